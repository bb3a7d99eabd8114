package render

import (
	"fmt"
	"io"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// Token is what `kubectl xcpauth token` reports. It holds nothing that could be used as a credential.
type Token struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	At         time.Time `json:"at"`
	Source     string    `json:"source"`            // where it was read
	State      string    `json:"state"`             // unverified, valid, rejected
	Why        string    `json:"why,omitempty"`     // why it is rejected
	Key        string    `json:"key,omitempty"`     // the key that verified it
	RestsOn    []string  `json:"restsOn,omitempty"` // what the verdict rests on
	Alg        string    `json:"alg,omitempty"`
	KeyID      string    `json:"kid,omitempty"`
	Type       string    `json:"typ,omitempty"`
	Issued     string    `json:"issued,omitempty"` // RFC 3339
	NotBefore  string    `json:"notBefore,omitempty"`
	Expires    string    `json:"expires,omitempty"`
	Lifetime   string    `json:"lifetime,omitempty"`
	Left       string    `json:"left,omitempty"`
	Size       int       `json:"size"`   // bytes
	Digest     string    `json:"digest"` // the first 8 hex digits of its SHA-256
	Anomalies  []string  `json:"oddities"`
	Warnings   []string  `json:"warnings,omitempty"` // about the keys that it was verified with
}

// NewToken makes the report of a token that was read, and not verified.
func NewToken(source string, d token.Description, at time.Time) Token {
	t := Token{APIVersion: APIVersion, Kind: "Token", At: at.UTC().Truncate(time.Second), Source: source,
		State: "unverified", Alg: d.Alg, KeyID: d.KeyID, Type: d.Type, Size: d.Size, Digest: d.Digest,
		Anomalies: append([]string{}, d.Anomalies...)}
	for _, s := range []struct {
		at time.Time
		to *string
	}{{d.Issued, &t.Issued}, {d.NotBefore, &t.NotBefore}, {d.Expires, &t.Expires}} {
		if !s.at.IsZero() {
			*s.to = Stamp(s.at)
		}
	}
	if !d.Expires.IsZero() {
		t.Left = left(d.Expires, at)
		if d.Issued.Before(d.Expires) && !d.Issued.IsZero() {
			t.Lifetime = plan.Short(d.Expires.Sub(d.Issued))
		}
	}
	return t
}

// Judged adds a verdict. rests is what the keys rest on.
func (t Token) Judged(v token.Verdict, rests []string) Token {
	t.State, t.Why = "rejected", v.Why
	if v.Valid {
		t.State, t.Key = "valid", v.Key.Where
		t.RestsOn = append(append([]string{}, rests...), v.Rests...)
	}
	return t
}

// Table lays the token out.
func (t Token) Table(w io.Writer, _ bool) {
	t.Claims(w)
	Rests(w, t.RestsOn)
}

// Claims prints the verdict and what the token says of itself.
func (t Token) Claims(w io.Writer) {
	switch t.State {
	case "unverified":
		Paragraph(w, "unverified: ", "this is what the token says of itself; nobody has checked its signature")
	case "valid":
		Paragraph(w, "valid: ", "its signature is of "+t.Key)
	default:
		Paragraph(w, "rejected: ", t.Why)
	}
	digest := ""
	if t.Digest != "" {
		digest = "sha256:" + t.Digest + "..."
	}
	for _, l := range []struct{ label, text string }{
		{"source:     ", t.Source}, {"alg:        ", t.Alg}, {"kid:        ", t.KeyID}, {"typ:        ", t.Type},
		{"issued:     ", t.Issued}, {"not before: ", t.NotBefore}, {"expires:    ", t.Expires},
		{"lifetime:   ", t.Lifetime}, {"left:       ", t.Left}, {"size:       ", fmt.Sprintf("%d bytes", t.Size)},
		{"digest:     ", digest},
	} {
		if l.text == "" {
			l.text = "-"
		}
		Paragraph(w, l.label, l.text)
	}
	for _, odd := range t.Anomalies {
		Paragraph(w, "odd:        ", odd)
	}
}

// Rests prints what a verdict rests on.
func Rests(w io.Writer, all []string) {
	for _, r := range all {
		Paragraph(w, "rests on:   ", r)
	}
}
