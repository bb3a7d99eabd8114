package certificates

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
)

// Request is what `kubectl xcpauth certificate request` reports.
type Request struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Names      []string `json:"names"` // DNS names and IP addresses
	URIs       []string `json:"uris"`
	Usages     []string `json:"usages"`  // extended key usages
	KeyFile    string   `json:"keyFile"` // where the private key is
	Request    string   `json:"request"` // PEM
	Next       string   `json:"next"`
}

// NewRequest makes the report of a request, PEM, whose key is in a file.
func NewRequest(w migration.WantedCertificate, keyFile, request, next string) Request {
	return Request{APIVersion: render.APIVersion, Kind: "CertificateRequest", Names: w.Names, URIs: w.URIs,
		Usages: w.Usages, KeyFile: keyFile, Request: request, Next: next}
}

// Table prints the request alone, to be handed on; Notes says the rest.
func (r Request) Table(w io.Writer, _ bool) { io.WriteString(w, r.Request) }

// Notes says what whoever signs the request must keep, and what comes next.
func (r Request) Notes(w io.Writer) {
	render.Paragraph(w, "names:   ", strings.Join(r.Names, ", "))
	render.Paragraph(w, "URIs:    ",
		strings.Join(r.URIs, ", ")+"; members with certificates know Central by it, so it must be kept")
	render.Paragraph(w, "usages:  ", strings.Join(r.Usages, ", ")+": both extended key usages must be in the certificate")
	render.Paragraph(w, "signer:  ",
		"a CA that every member trusts already; migrate refuses a certificate that one of them would not")
	render.Paragraph(w, "key:     ", r.KeyFile+" holds the new private key; keep it to yourself")
	render.Paragraph(w, "next:    ", r.Next)
}

// Certificates is what `kubectl xcpauth certificate show` reports.
type Certificates struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	At         time.Time     `json:"at"`
	Dialled    []string      `json:"dialled"` // the names under which edges dial Central
	Hubs       []Certificate `json:"hubs"`
}

// Certificate is Central's certificate in one hub.
type Certificate struct {
	Hub     string      `json:"hub"` // "hub" or "standby"
	Context string      `json:"context"`
	Secret  string      `json:"secret"`
	Error   string      `json:"error,omitempty"` // why it cannot be read
	Names   []string    `json:"names"`
	Lacks   []string    `json:"lacks"` // the names that edges dial and it does not have
	URIs    []string    `json:"uris"`
	Usages  []string    `json:"usages"`
	Expires string      `json:"expires,omitempty"` // RFC 3339
	Digest  string      `json:"digest,omitempty"`
	CA      string      `json:"ca"`      // private, public or unknown, and how that is known
	Issuer  string      `json:"issuer"`  // what makes it
	Changes string      `json:"changes"` // who can change its names, and where
	Pods    []ServedPod `json:"pods"`    // what each pod of Central serves
}

// ServedPod is what one pod of Central serves.
type ServedPod struct {
	Pod    string   `json:"pod"`
	Serves string   `json:"serves"` // this certificate, another one, or that it could not be seen
	Digest string   `json:"digest,omitempty"`
	Lacks  []string `json:"lacks,omitempty"`
}

// NewCertificates makes the report of Central's certificates, wanted under further names besides those that are
// dialled.
func NewCertificates(f plan.State, more []string) Certificates {
	r := Certificates{APIVersion: render.APIVersion, Kind: "Certificates", At: f.At.UTC().Truncate(time.Second),
		Dialled: list(migration.Dialled(f, more)), Hubs: []Certificate{newCertificate("hub", f.Hub, f, more)}}
	if f.Standby != nil {
		r.Hubs = append(r.Hubs, newCertificate("standby", *f.Standby, f, more))
	}
	return r
}

func newCertificate(name string, h plan.Hub, f plan.State, more []string) Certificate {
	s := h.Server
	c := Certificate{Hub: name, Context: h.Context, Secret: s.Where, Error: s.Err, Names: list(s.Names), Lacks: []string{},
		URIs: list(s.URIs), Usages: list(s.Usages), Digest: s.Digest, Pods: []ServedPod{}}
	if !h.Found {
		c.Error = h.Err
	}
	if !s.Expires.IsZero() {
		c.Expires = render.Stamp(s.Expires)
	}
	if c.Error == "" {
		c.Lacks = list(migration.Lacking(s, migration.Dialled(f, more)))
	}
	switch {
	case c.Error != "":
		c.CA = "unknown: the certificate was not read"
	case len(s.CA) > 0:
		c.CA = "private: ca.crt is next to it"
	case s.Public:
		c.CA = "public: no ca.crt is next to it, and a CA that this system trusts has signed it"
	default:
		c.CA = "unknown: no ca.crt is next to it, and no CA that this system trusts has signed it"
	}
	if c.Issuer = h.Issuer.Kind; c.Issuer == "" {
		c.Issuer = "unknown"
	}
	switch {
	case h.Issuer.Why != "":
		c.Changes = h.Issuer.Why
	case h.Issuer.Object.Name != "":
		c.Changes = fmt.Sprintf("migrate does: it adds names to %s", h.Issuer.Object)
	default:
		c.Changes = "not known"
	}
	for _, p := range h.Workload.Processes {
		pod := ServedPod{Pod: p.Name, Serves: "not seen: its port could not be dialled through the API server"}
		if p.Serves != nil {
			pod.Serves, pod.Digest, pod.Lacks = "another certificate", p.Serves.Digest,
				migration.Lacking(*p.Serves, migration.Dialled(f, more))
			if p.Serves.Digest == s.Digest {
				pod.Serves = "this certificate"
			}
		}
		c.Pods = append(c.Pods, pod)
	}
	return c
}

// list is never null in JSON.
func list(l []string) []string { return append([]string{}, l...) }

// Table lays the certificates out.
func (r Certificates) Table(w io.Writer, _ bool) {
	orNone := func(l []string) string {
		if len(l) == 0 {
			return "none"
		}
		return strings.Join(l, ", ")
	}
	for i, c := range r.Hubs {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if c.Error != "" {
			render.Paragraph(w, c.Hub+": ", c.Error)
			continue
		}
		render.Paragraph(w, "", fmt.Sprintf("%s: secret %s in context %s", c.Hub, c.Secret, c.Context))
		render.Paragraph(w, "   names:   ", orNone(c.Names))
		render.Paragraph(w, "   dialled: ", orNone(r.Dialled))
		render.Paragraph(w, "   lacks:   ", orNone(c.Lacks))
		render.Paragraph(w, "   URIs:    ", orNone(c.URIs))
		render.Paragraph(w, "   usages:  ", orNone(c.Usages))
		render.Paragraph(w, "   expires: ", c.Expires)
		render.Paragraph(w, "   CA:      ", c.CA)
		render.Paragraph(w, "   issuer:  ", c.Issuer)
		render.Paragraph(w, "   changes: ", c.Changes)
		for _, p := range c.Pods {
			line := p.Serves
			if len(p.Lacks) > 0 {
				line += ", which lacks " + strings.Join(p.Lacks, ", ")
			}
			render.Paragraph(w, "   "+p.Pod+": ", line)
		}
	}
}
