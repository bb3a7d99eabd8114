package zones

import (
	"cmp"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// Keys is what `kubectl xcpauth key list` reports.
type Keys struct {
	APIVersion string    `json:"apiVersion"`
	Kind       string    `json:"kind"`
	At         time.Time `json:"at"`
	Hub        string    `json:"hub"` // its context
	Version    string    `json:"version"`
	Keys       []KeyRow  `json:"keys"`
	Unread     string    `json:"unread,omitempty"` // why it is not known which keys there are
	// Unknown are the members of whom it is not known with which key they authenticate, each with the reason.
	Unknown []KeyUser `json:"unknown"`
}

// KeyRow is one signing key.
type KeyRow struct {
	KeyID  string   `json:"kid"`
	Secret string   `json:"secret"`
	Made   string   `json:"made,omitempty"` // RFC 3339
	Signs  bool     `json:"signs"`          // new tokens are signed with it
	UsedBy []string `json:"usedBy"`         // the members that present a token of it
	Wrong  string   `json:"wrong,omitempty"`
}

// KeyUser is one member.
type KeyUser struct {
	Member string `json:"member"`
	Why    string `json:"why"`
}

// NewKeys makes the report of a hub's signing keys, and of who presents a token of which. kid makes the credential of
// a key.
func NewKeys(f plan.State, kid func(string) guard.Cred) Keys {
	r := Keys{APIVersion: render.APIVersion, Kind: "Keys", At: f.At.UTC().Truncate(time.Second), Hub: f.Hub.Context,
		Version: f.Hub.Version, Keys: []KeyRow{}, Unknown: []KeyUser{}}
	if f.Hub.Keys == nil {
		r.Unread = cmp.Or(f.Hub.KeysErr, strings.Join(f.Hub.Anomalies, "; "), "they were not read")
	}
	for _, k := range f.Hub.Keys {
		row := KeyRow{KeyID: k.ID, Secret: k.Object.Path(), Signs: k.Signs, Wrong: k.Wrong,
			UsedBy: []string{}}
		if !k.Made.IsZero() {
			row.Made = render.Stamp(k.Made)
		}
		for _, m := range f.Members {
			if slices.Contains(m.Evidence.Presents, kid(k.ID)) {
				row.UsedBy = append(row.UsedBy, m.Name)
			}
		}
		r.Keys = append(r.Keys, row)
	}
	for _, m := range f.Members {
		if m.Evidence.Presents == nil {
			r.Unknown = append(r.Unknown, KeyUser{m.Name, m.Evidence.Why})
		}
	}
	return r
}

// Table lays the keys out.
func (r Keys) Table(w io.Writer, wide bool) {
	if r.Unread != "" {
		render.Paragraph(w, "the signing keys are not known: ", r.Unread)
		return
	}
	if len(r.Keys) == 0 {
		render.Paragraph(w, "", "there is no signing key for zone tokens; kubectl xcpauth migrate makes one")
		return
	}
	var rows [][]string
	for _, k := range r.Keys {
		signs, used := "no", strings.Join(k.UsedBy, ", ")
		if k.Signs {
			signs = "yes"
		}
		if n := len(k.UsedBy); n > 3 && !wide {
			used = strings.Join(k.UsedBy[:3], ", ") + " and " + strconv.Itoa(n-3) + " more"
		}
		rows = append(rows, []string{cmp.Or(k.KeyID, "-"), k.Secret, cmp.Or(k.Made, "-"), signs, cmp.Or(used, "-")})
	}
	render.Columns(w, []string{"KID", "SECRET", "MADE", "SIGNS", "USED BY"}, rows)
	for _, k := range r.Keys {
		if k.Wrong != "" {
			render.Paragraph(w, k.Secret+": ", k.Wrong)
		}
	}
	for _, u := range r.Unknown {
		render.Paragraph(w, u.Member+" is not known: ", u.Why)
	}
}

// Tokens is what `kubectl xcpauth token list` reports. No token, nor a part of one, is in it.
type Tokens struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	At         time.Time  `json:"at"`
	Hub        string     `json:"hub"`
	Unread     string     `json:"unread,omitempty"` // why it is not known which zones there are
	Tokens     []TokenRow `json:"tokens"`           // each member once, and what lies in its cluster beside
	Revoked    []string   `json:"revoked"`
}

// TokenRow is one token that is deployed.
type TokenRow struct {
	Member  string `json:"member"`
	Context string `json:"context,omitempty"`
	Secret  string `json:"secret,omitempty"`
	KeyID   string `json:"kid,omitempty"`
	ID      string `json:"jti,omitempty"`
	Expires string `json:"expires,omitempty"`
	State   string `json:"state"` // accepted, refused, none, unknown, unused
	Revoked bool   `json:"revoked"`
	Why     string `json:"why,omitempty"`
}

// NewTokens makes the report of the tokens that members have.
func NewTokens(f plan.State) Tokens {
	r := Tokens{APIVersion: render.APIVersion, Kind: "Tokens", At: f.At.UTC().Truncate(time.Second), Hub: f.Hub.Context,
		Unread: f.Hub.InventoryErr, Tokens: []TokenRow{}, Revoked: []string{}}
	if f.Hub.Revocations != nil {
		r.Revoked = append(r.Revoked, f.Hub.Revocations.IDs...)
	}
	for _, m := range f.Members {
		c := m.Credential
		row := TokenRow{Member: m.Name, Context: m.Context, Secret: c.Where, KeyID: c.Key, ID: c.ID, Why: c.Why}
		if !c.Expires.IsZero() {
			row.Expires = render.Stamp(c.Expires)
		}
		row.Revoked = c.ID != "" && slices.Contains(r.Revoked, c.ID)
		switch {
		case m.Err != "":
			row.State, row.Why = "unknown", m.Err
		case c.State == plan.CredentialReady:
			row.State = "accepted"
		case c.State == plan.CredentialBad:
			row.State = "refused"
		case c.State == plan.CredentialMissing:
			row.State = "none"
		default:
			row.State = "unknown"
		}
		r.Tokens = append(r.Tokens, row)
		for _, l := range m.Leftovers {
			r.Tokens = append(r.Tokens, TokenRow{Member: m.Name, Context: m.Context, Secret: l.Object.Namespace + "/" +
				l.Object.Name, State: "unused", Why: l.Why})
		}
	}
	return r
}

// Table lays the tokens out.
func (r Tokens) Table(w io.Writer, wide bool) {
	switch {
	case r.Unread != "":
		render.Paragraph(w, "it is not known which zones there are: ", r.Unread)
	case len(r.Tokens) == 0:
		render.Paragraph(w, "", "the global knows of no zone")
	}
	if len(r.Tokens) > 0 {
		var rows [][]string
		for _, t := range r.Tokens {
			state, id := t.State, t.ID
			if t.Revoked {
				state = "revoked"
			}
			if !wide && len(id) > 8 {
				id = id[:8] + "..."
			}
			rows = append(rows, []string{t.Member, cmp.Or(t.Secret, "-"), cmp.Or(t.KeyID, "-"), cmp.Or(id, "-"),
				cmp.Or(t.Expires, "-"), state})
		}
		render.Columns(w, []string{"ZONE", "SECRET", "KID", "JTI", "EXPIRES", "STATE"}, rows)
	}
	for _, t := range r.Tokens {
		if t.Why != "" && t.State != "accepted" && t.State != "unused" {
			render.Paragraph(w, t.Member+": ", t.Why)
		}
	}
	if n := len(r.Revoked); n > 0 {
		text := strconv.Itoa(n) + " on the list"
		if wide {
			text = strings.Join(r.Revoked, ", ")
		}
		render.Paragraph(w, "Revoked: ", text)
	}
}
