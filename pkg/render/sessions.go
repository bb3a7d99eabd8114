package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// KeyState is one of the hub's signing keys.
type KeyState struct {
	KeyID  string `json:"kid"`
	Secret string `json:"secret"`
	Made   string `json:"made,omitempty"` // RFC 3339
	Signs  bool   `json:"signs"`          // new tokens are signed with it
	Wrong  string `json:"wrong,omitempty"`
}

// Session is what is known of a member's token and of its session.
type Session struct {
	Member  string `json:"zone"`
	KeyID   string `json:"kid,omitempty"`
	Expires string `json:"expires,omitempty"` // RFC 3339
	Since   string `json:"since,omitempty"`   // RFC 3339, of the session that lasts; "" when none does
	Token   string `json:"token"`             // what the session brought: provided, not provided; unknown without one
}

// sessions adds the keys and sessions of a hub that tells of them, and takes the roster away, which such a hub has
// none of.
func (s *Status) sessions(f plan.State) {
	if !f.TellsSessions || !f.Hub.Found {
		return
	}
	s.Roster = ""
	s.Keys = []KeyState{}
	for _, k := range f.Hub.Keys {
		state := KeyState{KeyID: k.ID, Secret: k.Object.Path(), Signs: k.Signs, Wrong: k.Wrong}
		if !k.Made.IsZero() {
			state.Made = Stamp(k.Made)
		}
		s.Keys = append(s.Keys, state)
	}
	for _, m := range f.Members {
		z := Session{Member: m.Name, KeyID: m.Credential.Key, Token: "unknown"}
		if !m.Credential.Expires.IsZero() {
			z.Expires = Stamp(m.Credential.Expires)
		}
		for _, one := range f.Hub.Sessions[m.ClusterName] {
			if !one.Ended.IsZero() {
				continue
			}
			z.Since, z.Token = Stamp(one.Began), "not provided"
			if one.Provided {
				z.Token = "provided"
			}
		}
		s.Sessions = append(s.Sessions, z)
	}
}

// sessionsRow is the row of a hub with keys: whether it takes a member that presents nothing, and with how many keys it
// verifies.
func sessionsRow(r StatusRow, words plan.Words, h plan.Hub, todo plan.Step, blocked string) StatusRow {
	switch h.Accepts.Accepts[words.Nothing] {
	case guard.Yes:
		r.Declared = "none"
	case guard.No:
		r.Declared = words.Required
	default:
		r.Declared = "unknown"
	}
	var creds []guard.Cred
	for c, t := range h.Accepts.Accepts {
		if c != words.Nothing && t == guard.Yes {
			creds = append(creds, c)
		}
	}
	slices.Sort(creds)
	if r.Declared == "none" {
		creds = append([]guard.Cred{words.Nothing}, creds...)
	}
	accepted := words.Names(creds)
	if len(accepted) > 0 {
		r.Witnesses = append(r.Witnesses, "it accepts "+strings.Join(accepted, ", "))
	}
	if r.Credential = "unknown"; h.Keys != nil {
		r.Credential = plural(len(h.Keys), "key")
	}
	r.Effective = workloadText(words, h.Workload)
	r.Why = append(r.Why, h.Anomalies...)
	if blocked != "" && len(h.Anomalies) == 0 {
		r.Why = append(r.Why, blocked)
	}
	if h.HelmNote != "" && todo.ID != "" {
		r.Why = append(r.Why, fmt.Sprintf("%s belongs to Helm release %s: set the same values there too, or its next upgrade takes the change back", h.Object, h.HelmNote))
	}
	r.State, r.Next = stateAndNext(todo, blocked)
	return r
}

// tableOfKeys prints the keys.
func (s Status) tableOfKeys(w io.Writer) {
	if len(s.Keys) > 0 {
		var rows [][]string
		for _, k := range s.Keys {
			signs := "no"
			if k.Signs {
				signs = "yes"
			}
			rows = append(rows, []string{cmp.Or(k.KeyID, "-"), k.Secret, cmp.Or(k.Made, "-"), signs})
		}
		Columns(w, []string{"KEY", "SECRET", "MADE", "SIGNS"}, rows)
		for _, k := range s.Keys {
			if k.Wrong != "" {
				Paragraph(w, k.Secret+": ", k.Wrong)
			}
		}
		fmt.Fprintln(w)
	}
}

// tableOfSessions prints the sessions.
func (s Status) tableOfSessions(w io.Writer) {
	if len(s.Sessions) == 0 {
		return
	}
	var rows [][]string
	for _, z := range s.Sessions {
		rows = append(rows, []string{z.Member, cmp.Or(z.KeyID, "-"), cmp.Or(z.Expires, "-"),
			cmp.Or(z.Since, "none"), z.Token})
	}
	Columns(w, []string{strings.ToUpper(s.member), "KID", "EXPIRES", "SESSION SINCE", "TOKEN"}, rows)
	fmt.Fprintln(w)
}
