package render

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Table lays the status out: what is down first, then the members, of many those that are alike in one row, then what
// is wrong. What shows that of each of them is wide.
func (s Status) Table(w io.Writer, wide bool) {
	if !s.named {
		s.headline(w)
	}
	s.rows(w, wide, len(s.Members) > ungrouped, func(StatusRow) bool { return true })
	fmt.Fprintln(w)
	if !s.named {
		s.tableOfKeys(w)
	}
	if wide || s.named {
		s.tableOfSessions(w)
	}
	s.reasons(w, wide, wide || s.named)
	s.summary(w)
}

// rows prints the table of the members that are shown, those that are alike in one row where they are grouped.
func (s Status) rows(w io.Writer, wide, grouped bool, shown func(StatusRow) bool) {
	if wide {
		s.wideRows(w, shown)
		return
	}
	var rows [][]string
	for _, g := range s.groups(grouped, shown) {
		r := g.rows[0]
		rows = append(rows, []string{g.name(s.member), string(r.Health), r.auth(), g.credential(), g.proof(), r.Next})
	}
	Columns(w, []string{"MEMBER", "STATE", "AUTH", "CREDENTIAL", "PROOF", "NEXT"}, rows)
}

func (s Status) wideRows(w io.Writer, shown func(StatusRow) bool) {
	var rows [][]string
	for _, r := range s.Members {
		if shown(r) {
			rows = append(rows, []string{r.Member, r.Context, cmp.Or(string(r.Health), string(r.State)), r.Declared, r.Effective,
				r.Credential, r.Proof, r.Next, r.Expires})
		}
	}
	Columns(w, []string{"MEMBER", "CONTEXT", "STATE", "DECLARED", "EFFECTIVE", "CREDENTIAL", "PROOF", "NEXT", "EXPIRES"},
		rows)
}

// auth is what a member presents, or a hub accepts; what it is to present as well, where that is something else.
func (r StatusRow) auth() string {
	switch {
	case r.Role == "hub":
		return r.Declared
	case slices.Contains(strings.Split(r.Effective, "+"), r.Declared), r.Declared == "as hub",
		slices.Contains([]string{"unknown", "-"}, r.Declared), r.Effective == "unknown":
		return r.Effective
	}
	return fmt.Sprintf("%s (%s declared)", r.Effective, r.Declared)
}

// ungrouped is up to how many rows a table has before members are grouped, and fewAlike how many must be alike for
// that.
const (
	ungrouped = 20
	fewAlike  = 4
)

// group is members that are alike.
type group struct{ rows []StatusRow }

// groups are the rows to show, in their order; with each member in one of its own unless they are grouped. Contexts
// without a member are left out unless they could not be looked at.
func (s Status) groups(grouped bool, shown func(StatusRow) bool) []group {
	var rows []StatusRow
	for _, r := range s.Members {
		if shown(r) && (r.Member != "-" || r.unseen()) {
			rows = append(rows, r)
		}
	}
	of := map[string]int{}
	for _, r := range rows {
		of[r.kind()]++
	}
	var all []group
	at := map[string]int{}
	for _, r := range rows {
		kind := r.kind()
		together := grouped && of[kind] >= fewAlike && r.Role != "hub"
		if n, begun := at[kind]; together && begun {
			all[n].rows = append(all[n].rows, r)
			continue
		}
		at[kind] = len(all)
		all = append(all, group{[]StatusRow{r}})
	}
	return all
}

// kind is what rows that are alike have in common: all but names and times.
func (r StatusRow) kind() string {
	return strings.Join([]string{r.Role, string(r.Health), r.auth(), ageless(r.Credential), ageless(r.Proof), r.Next,
		ageless(r.text())}, "\x00")
}

// name is the member's; of many how many there are.
func (g group) name(member string) string {
	r := g.rows[0]
	switch {
	case len(g.rows) > 1:
		return plural(len(g.rows), cmp.Or(member, "member"))
	case r.Member == "-":
		return "(" + r.Context + ")"
	}
	return r.Member
}

// credential is that of the one that expires first.
func (g group) credential() string {
	first := g.rows[0]
	for _, r := range g.rows {
		if r.Expires != "" && r.Expires < first.Expires {
			first = r
		}
	}
	if len(g.rows) > 1 && first.Expires != "" {
		return first.Credential + "+"
	}
	return first.Credential
}

// proof is that of one; of many without its age.
func (g group) proof() string {
	if len(g.rows) > 1 {
		return ageless(g.rows[0].Proof)
	}
	return g.rows[0].Proof
}

// reasons prints the sentences about members: one for all of whom the same is to be said.
func (s Status) reasons(w io.Writer, wide, evidence bool) {
	same := map[string][]string{} // members, by the sentence
	for _, r := range s.Members {
		for _, why := range r.sentences() {
			same[why] = append(same[why], r.who())
		}
	}
	for _, r := range s.Members {
		for _, why := range r.sentences() {
			names := same[why]
			if names[0] != r.who() {
				continue // said already
			}
			most := fewNames
			if wide {
				most = len(names)
			}
			Paragraph(w, few(names, most)+": ", why)
		}
		if len(r.Witnesses) > 0 && evidence {
			Paragraph(w, r.who()+" evidence: ", strings.Join(r.Witnesses, "; "))
		}
	}
}

// sentences are what is to be said of a row: why it is not connected, and why nothing can be done. Of a context that
// holds no member nothing is, unless it could not be looked at.
func (r StatusRow) sentences() []string {
	var all []string
	if r.Health == NotConnected || r.Health == NotReady {
		all = append(all, "it is "+string(r.Health)+": "+r.HealthWhy)
	}
	if r.Member != "-" || r.unseen() {
		all = append(all, r.Why...)
	}
	return all
}

// unseen says whether a row could not be looked at.
func (r StatusRow) unseen() bool { return r.State == "unreachable" || r.State == "forbidden" }

// ownLines is of how many each is said on a line of its own when the same is to be said of them; else fewNames are
// named.
const (
	ownLines = 3
	fewNames = 5
)

// who is what a row is called by in a sentence.
func (r StatusRow) who() string {
	if r.Member == "-" {
		return r.Context
	}
	return r.Member
}

// text is all reasons of a row.
func (r StatusRow) text() string { return strings.Join(r.Why, "; ") }

// summary prints the sentences about the fleet.
func (s Status) summary(w io.Writer) {
	if s.InFlight != "" {
		Paragraph(w, "In flight: ", s.InFlight)
	}
	if s.Roster != "" {
		Paragraph(w, "Roster: ", s.Roster)
	}
	Paragraph(w, "Next: ", s.Next)
}
