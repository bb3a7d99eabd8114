package zones

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// ProductAnswer is what the product itself answers to the token.
type ProductAnswer struct {
	Version string   `json:"version"`
	Outcome string   `json:"outcome"`         // accepted, rejected, crashes, not asked
	Code    string   `json:"code,omitempty"`  // gRPC's, of a rejection
	Words   string   `json:"words,omitempty"` // its own
	RestsOn []string `json:"restsOn"`
}

// Token is what `kubectl xcpauth token` reports of a zone token.
type Token struct {
	render.Token
	Zone *ZoneToken `json:"zoneToken"`
}

// NewToken makes the report of a zone token: what it says of itself, and what is to be said of it.
func NewToken(t render.Token, z zonetoken.Zone, f finding.Findings) Token {
	t.Anomalies = []string{} // each is a finding
	return Token{t, &ZoneToken{Kind: string(z.Kind), Zone: z.Name, Scope: append([]string{}, z.Scope...), ID: z.ID,
		Findings: tokenFindings(f)}}
}

// Answered adds the product's answer to a zone token, of a version.
func (t Token) Answered(v zonetoken.Version, a zonetoken.Answer) Token {
	t.Zone.Product = &ProductAnswer{Version: v.String(), Outcome: string(a.Outcome), Code: a.Code, Words: a.Text,
		RestsOn: append([]string{}, a.RestsOn...)}
	return t
}

// Judged adds our verdict. rests is what the keys rest on.
func (t Token) Judged(v token.Verdict, rests []string) Token {
	t.Token = t.Token.Judged(v, rests)
	return t
}

// Table lays the token out.
func (t Token) Table(w io.Writer, _ bool) {
	t.Claims(w)
	t.Zone.table(w)
	rests := t.RestsOn
	if p := t.Zone.Product; p != nil {
		rests = append(slices.Clone(p.RestsOn), slices.DeleteFunc(slices.Clone(rests), func(r string) bool {
			return slices.Contains(p.RestsOn, r)
		})...)
	}
	render.Rests(w, rests)
}

// table lays it out below the token.
func (z *ZoneToken) table(w io.Writer) {
	lines(w, [][2]string{{"kind:       ", z.Kind}, {"zone:       ", z.Zone}, {"scope:      ", strings.Join(z.Scope, ", ")},
		{"jti:        ", z.ID}})
	if p := z.Product; p != nil {
		said := map[string]string{"accepted": "accepts it", "rejected": "rejects it", "crashes": "crashes on it",
			"not asked": "was not asked"}[p.Outcome]
		if p.Code != "" {
			said += " (" + p.Code + ")"
		}
		render.Paragraph(w, "product:    ", p.Version+" "+said)
		if p.Words != "" {
			render.Paragraph(w, "its words:  ", p.Words)
		}
	}
	findings(w, z.Findings)
}

// Issued is what `kubectl xcpauth token issue` reports. It does not hold the token.
type Issued struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	At         time.Time      `json:"at"`
	Zone       string         `json:"zone"`
	Scope      []string       `json:"scope"`
	KeyID      string         `json:"kid"`
	ID         string         `json:"jti"`
	Expires    string         `json:"expires"` // RFC 3339
	Lifetime   string         `json:"lifetime"`
	File       string         `json:"file"` // where the token is
	Digest     string         `json:"digest"`
	SignedWith string         `json:"signedWith"`
	Note       string         `json:"note"`
	Findings   []TokenFinding `json:"findings"`
}

// NewIssued makes the report of a token that was issued, as it reads now: signed here says that it was not by the
// product.
func NewIssued(z zonetoken.Zone, lifetime time.Duration, digest, file, signedWith string, here bool, f finding.Findings,
	at time.Time) Issued {
	note := "keep its jti, by which it can be revoked"
	if here {
		note = "it was signed here, not by the product: it is not in the product's audit log, and nobody asked the product whether you may; " + note
	}
	return Issued{APIVersion: render.APIVersion, Kind: "IssuedToken", At: at.UTC().Truncate(time.Second), Zone: z.Name,
		Scope: append([]string{}, z.Scope...), KeyID: z.KeyID, ID: z.ID, Expires: render.Stamp(z.Expires),
		Lifetime: plan.Short(lifetime), File: file, Digest: digest, SignedWith: signedWith,
		Findings: tokenFindings(f), Note: note}
}

// Table lays the report out.
func (i Issued) Table(w io.Writer, _ bool) {
	lines(w, [][2]string{{"issued:     ", "a zone token, in " + i.File}, {"zone:       ", i.Zone},
		{"scope:      ", strings.Join(i.Scope, ", ")}, {"kid:        ", i.KeyID}, {"jti:        ", i.ID},
		{"expires:    ", i.Expires},
		{"lifetime:   ", i.Lifetime}, {"digest:     ", "sha256:" + i.Digest + "..."}, {"signed by:  ", i.SignedWith},
		{"note:       ", i.Note}})
	findings(w, i.Findings)
}

// CreatedKey is what `kubectl xcpauth key create` reports. It does not hold the key.
type CreatedKey struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	At         time.Time `json:"at"`
	Form       string    `json:"form"`
	File       string    `json:"file,omitempty"`     // PEM
	Manifest   string    `json:"manifest,omitempty"` // of the secret
	Secret     string    `json:"secret,omitempty"`   // namespace/name
	KeyID      string    `json:"kid,omitempty"`
	Note       string    `json:"note"`
}

// NewCreatedKey makes the report of a key that was made here.
func NewCreatedKey(file, manifest, secret, kid string, at time.Time) CreatedKey {
	k := CreatedKey{APIVersion: render.APIVersion, Kind: "CreatedKey", At: at.UTC().Truncate(time.Second),
		Form: "RSA 2048, PKCS#1 PEM", File: file, Manifest: manifest, Secret: secret, KeyID: kid,
		Note: "anyone who has it can be every zone; it is in no cluster yet"}
	if manifest != "" {
		k.Note += ". Create the secret in the global's cluster as it is (not with apply, which keeps a copy of the key in an annotation): from then on the product signs with it. Retire the key before it only once every zone has a new token"
	}
	return k
}

// Table lays the report out.
func (k CreatedKey) Table(w io.Writer, _ bool) {
	lines(w, [][2]string{{"created:  ", k.Form}, {"file:     ", k.File}, {"manifest: ", k.Manifest},
		{"secret:   ", k.Secret}, {"kid:      ", k.KeyID}, {"note:     ", k.Note}})
}

// lines prints labelled texts, a dash for none.
func lines(w io.Writer, all [][2]string) {
	for _, l := range all {
		if l[1] == "" {
			l[1] = "-"
		}
		render.Paragraph(w, l[0], l[1])
	}
}

// Revocations is what `kubectl xcpauth token revocations` reports.
type Revocations struct {
	APIVersion  string         `json:"apiVersion"`
	Kind        string         `json:"kind"`
	At          time.Time      `json:"at"`
	Source      string         `json:"source"`
	Revoked     []string       `json:"revoked"`     // what the product takes for revoked
	Ineffective []string       `json:"ineffective"` // what was meant, and is not
	Findings    []TokenFinding `json:"findings"`
	Added       []string       `json:"added,omitempty"`
	// what takes effect now, since it is written as the product reads it
	Meant   []string `json:"meant,omitempty"`
	List    string   `json:"list,omitempty"`    // as it is to be
	Written string   `json:"written,omitempty"` // the file with it
}

// NewRevocations makes the report of a list as it is found.
func NewRevocations(source string, r zonetoken.Revocations, at time.Time) Revocations {
	return Revocations{APIVersion: render.APIVersion, Kind: "Revocations", At: at.UTC().Truncate(time.Second),
		Source: source, Revoked: append([]string{}, r.IDs()...), Ineffective: append([]string{}, r.Ineffective()...),
		Findings: tokenFindings(r.Findings())}
}

// ZoneToken is what is reported of a zone token of Kong Mesh or Kuma besides.
type ZoneToken struct {
	Kind     string         `json:"kind"` // zone token, or control plane token: the older kind
	Zone     string         `json:"zone"`
	Scope    []string       `json:"scope"`
	ID       string         `json:"jti"`
	Product  *ProductAnswer `json:"product,omitempty"`
	Findings []TokenFinding `json:"findings"`
}

// TokenFinding is a finding about a token, a key or a list: by the name of its rule, which token commands print too.
type TokenFinding struct {
	ID       string           `json:"id"` // the rule's name
	Severity finding.Severity `json:"severity"`
	Found    string           `json:"saw"`              // one clause
	Remedy   string           `json:"remedy,omitempty"` // one sentence
}

// tokenFindings are findings in that form.
func tokenFindings(all finding.Findings) []TokenFinding {
	shown := make([]TokenFinding, len(all))
	for i, f := range all {
		shown[i] = TokenFinding{f.Name, f.Severity, f.Found, f.Remedy}
	}
	return shown
}

// Merged adds what the list becomes, and the file that it was written to, if any.
func (r Revocations) Merged(m zonetoken.Merged, written string) Revocations {
	r.Added, r.Meant, r.List, r.Written = m.Added, m.Meant, string(m.Data), written
	return r
}

// Table lays the list out.
func (r Revocations) Table(w io.Writer, _ bool) {
	render.Paragraph(w, "source:      ", r.Source)
	each := func(label string, ids []string) {
		for _, id := range ids {
			render.Paragraph(w, label, fmt.Sprintf("%q", id))
		}
	}
	each("revoked:     ", r.Revoked)
	each("not revoked: ", r.Ineffective)
	if len(r.Revoked)+len(r.Ineffective) == 0 {
		render.Paragraph(w, "revoked:     ", "-")
	}
	findings(w, r.Findings)
	each("added:       ", r.Added)
	each("meant:       ", r.Meant)
	if r.List != "" {
		render.Paragraph(w, "list:        ", r.List)
	}
	if r.Written != "" {
		render.Paragraph(w, "written:     ", r.Written)
	}
}

// findings prints what is wrong, each with what to do.
func findings(w io.Writer, all []TokenFinding) {
	for _, f := range all {
		text := f.Found
		if f.Remedy != "" {
			text += ". " + f.Remedy
		}
		render.Paragraph(w, fmt.Sprintf("%-12s", string(f.Severity)+":"), text+" ["+f.ID+"]")
	}
}
