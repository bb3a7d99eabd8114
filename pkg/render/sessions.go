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

// ZoneState is what is known of a zone's token and of its session.
type ZoneState struct {
	Zone    string `json:"zone"`
	KeyID   string `json:"kid,omitempty"`
	Expires string `json:"expires,omitempty"` // RFC 3339
	Since   string `json:"since,omitempty"`   // RFC 3339, of the session that lasts; "" when none does
	Token   string `json:"token"`             // what the session brought: provided, not provided; unknown without one
}

// zones adds the keys and sessions of a hub that has them, and takes the roster away, which such a hub has none of.
func (s *Status) zones(f plan.State) {
	if f.Hub.Keys == nil && f.Hub.Sessions == nil {
		return
	}
	s.Roster = ""
	s.Keys = []KeyState{}
	for _, k := range f.Hub.Keys {
		state := KeyState{KeyID: k.ID, Secret: k.Object.Namespace + "/" + k.Object.Name, Signs: k.Signs, Wrong: k.Wrong}
		if !k.Made.IsZero() {
			state.Made = stamp(k.Made)
		}
		s.Keys = append(s.Keys, state)
	}
	for _, m := range f.Members {
		z := ZoneState{Zone: m.Name, KeyID: m.Credential.Key, Token: "unknown"}
		if !m.Credential.Expires.IsZero() {
			z.Expires = stamp(m.Credential.Expires)
		}
		for _, one := range f.Hub.Sessions[m.ClusterName] {
			if !one.Ended.IsZero() {
				continue
			}
			z.Since, z.Token = stamp(one.Began), "not provided"
			if one.Provided {
				z.Token = "provided"
			}
		}
		s.Zones = append(s.Zones, z)
	}
}

// globalRow is the row of a hub with keys: what it takes from who presents nothing, and with how many keys it verifies.
func globalRow(r StatusRow, f plan.State, h plan.Hub, todo plan.Step, blocked string) StatusRow {
	switch h.Accepts.Accepts["none"] {
	case guard.Yes:
		r.Declared = "none"
	case guard.No:
		r.Declared = "zoneToken"
	default:
		r.Declared = "unknown"
	}
	var kids []string
	for c, t := range h.Accepts.Accepts {
		if kid, ok := strings.CutPrefix(string(c), "kid:"); ok && t == guard.Yes {
			kids = append(kids, "kid "+kid)
		}
	}
	slices.Sort(kids)
	if r.Declared == "none" {
		kids = append([]string{"no token"}, kids...)
	}
	if len(kids) > 0 {
		r.Witnesses = append(r.Witnesses, "it accepts "+strings.Join(kids, ", "))
	}
	r.Credential = plural(len(h.Keys), "key")
	ready := 0
	for _, p := range h.Workload.Processes {
		if p.Ready {
			ready++
		}
	}
	r.Effective = fmt.Sprintf("global %d/%d", ready, h.Workload.Replicas)
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

// tableOfZones prints the keys and the sessions.
func (s Status) tableOfZones(w io.Writer) {
	if len(s.Keys) > 0 {
		var rows [][]string
		for _, k := range s.Keys {
			signs := "no"
			if k.Signs {
				signs = "yes"
			}
			rows = append(rows, []string{cmp.Or(k.KeyID, "-"), k.Secret, cmp.Or(k.Made, "-"), signs})
		}
		table(w, []string{"KEY", "SECRET", "MADE", "SIGNS"}, rows)
		for _, k := range s.Keys {
			if k.Wrong != "" {
				paragraph(w, k.Secret+": ", k.Wrong)
			}
		}
		fmt.Fprintln(w)
	}
	if len(s.Zones) == 0 {
		return
	}
	var rows [][]string
	for _, z := range s.Zones {
		rows = append(rows, []string{z.Zone, cmp.Or(z.KeyID, "-"), cmp.Or(z.Expires, "-"), cmp.Or(z.Since, "none"), z.Token})
	}
	table(w, []string{"ZONE", "KID", "EXPIRES", "SESSION SINCE", "TOKEN"}, rows)
	fmt.Fprintln(w)
}
