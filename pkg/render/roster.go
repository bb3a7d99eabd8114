package render

import (
	"io"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Roster is what `kubectl xcpauth edge list` reports.
type Roster struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	At         time.Time   `json:"at"`
	Members    []RosterRow `json:"members"`
}

// RosterRow is one entry.
type RosterRow struct {
	Member    string   `json:"member"`
	Role      string   `json:"role"`
	Evidence  string   `json:"evidence"` // statement, or live: what the webhook decides from
	Presents  string   `json:"presents"`
	Believed  string   `json:"believed"` // "12m", "expired", "void", "never stated"
	Until     string   `json:"until,omitempty"`
	Source    string   `json:"source"`
	Witnesses []string `json:"witnesses,omitempty"`
}

// NewRoster makes the report of the roster's entries, in the words of their product.
func NewRoster(entries []api.EdgeCluster, words plan.Words, at time.Time) Roster {
	r := Roster{APIVersion: APIVersion, Kind: "Roster", At: at.UTC().Truncate(time.Second), Members: []RosterRow{}}
	for _, e := range entries {
		row := RosterRow{Member: e.Name, Role: strings.ToLower(string(e.Spec.Role)), Evidence: "statement",
			Presents: "unknown", Believed: "never stated", Source: "-"}
		if st := roster.StatementOf(e, at); st != nil {
			row.Presents, row.Believed, row.Until = words.CredentialsOf(st.Presents), left(st.Until, at), Stamp(st.Until)
			row.Source, row.Witnesses = st.Source, st.Evidence
			if st.Invalid != "" {
				row.Believed = "void: " + st.Invalid
			}
		}
		if e.Spec.Evidence != "" {
			row.Evidence = strings.ToLower(string(e.Spec.Evidence))
		}
		r.Members = append(r.Members, row)
	}
	return r
}

// Table lays the roster out.
func (r Roster) Table(w io.Writer, _ bool) {
	if len(r.Members) == 0 {
		Paragraph(w, "", "nobody is registered; kubectl xcpauth migrate registers every member it sees")
		return
	}
	var rows [][]string
	for _, m := range r.Members {
		rows = append(rows, []string{m.Member, m.Role, m.Evidence, m.Presents, m.Believed, m.Source})
	}
	Columns(w, []string{"MEMBER", "ROLE", "EVIDENCE", "PRESENTS", "BELIEVED", "SOURCE"}, rows)
	for _, m := range r.Members {
		if len(m.Witnesses) > 0 {
			Paragraph(w, m.Member+" witness: ", strings.Join(m.Witnesses, "; "))
		}
	}
}
