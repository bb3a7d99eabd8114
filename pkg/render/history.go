package render

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// History is what `kubectl xcpauth status --history` reports: the waves that were carried out, as the journals say.
type History struct {
	APIVersion string        `json:"apiVersion"`
	Kind       string        `json:"kind"`
	At         time.Time     `json:"at"`
	Waves      []HistoryWave `json:"waves"`              // oldest first
	InFlight   string        `json:"inFlight,omitempty"` // what an interrupted run left, and the next one restores first
	// the contexts whose journal could not be looked at, each with the reason
	Unread []string `json:"unread,omitempty"`

	contexts, reasons []string // of Unread, for the table
}

// HistoryWave is one wave that was carried out.
type HistoryWave struct {
	Context string `json:"context"` // of the cluster whose journal says so
	plan.WaveRecord
}

// NewHistory merges the journals of the hub and of every member's own cluster, each once.
func NewHistory(f plan.State) History {
	h := History{APIVersion: APIVersion, Kind: "History", At: f.At.UTC().Truncate(time.Second), Waves: []HistoryWave{},
		InFlight: inFlight(f)}
	seen := map[string]bool{}
	add := func(context, uid string, past []plan.WaveRecord) {
		if context == "" || seen[context] || (uid != "" && seen[uid]) {
			return
		}
		seen[context], seen[uid] = true, true
		for _, p := range past {
			h.Waves = append(h.Waves, HistoryWave{context, p})
		}
	}
	unread := func(context, why string) {
		if why != "" && context != "" && !seen[context] {
			seen[context] = true
			h.Unread = append(h.Unread, context+": "+why)
			h.contexts, h.reasons = append(h.contexts, context), append(h.reasons, why)
		}
	}
	add(f.Hub.Context, f.Hub.ClusterUID, f.Hub.History)
	if f.Standby != nil {
		add(f.Standby.Context, f.Standby.ClusterUID, f.Standby.History)
	}
	for _, m := range f.Members {
		if m.Err != "" {
			unread(m.Context, m.Err)
			continue
		}
		add(m.Context, m.ClusterUID, m.History)
	}
	for _, o := range f.Others {
		if o.State == "unreachable" {
			unread(o.Context, o.Why)
		}
	}
	sorting.Stable(h.Waves, func(a, b *HistoryWave) int { return a.Ended.Compare(b.Ended) })
	return h
}

// Table lays the history out, two lines for each wave: newest last, next to the prompt.
func (h History) Table(w io.Writer, wide bool) {
	var rows [][]string
	for _, p := range h.Waves {
		rows = append(rows, []string{p.Began.UTC().Format(time.DateTime), plan.Short(max(p.Ended.Sub(p.Began), 0)),
			p.Wave, p.Outcome()})
	}
	var laid bytes.Buffer
	Columns(&laid, []string{"BEGAN (UTC)", "TOOK", "WAVE", "RESULT"}, rows)
	lines := strings.Split(strings.TrimRight(laid.String(), "\n"), "\n")
	if len(rows) == 0 {
		Paragraph(w, "", "no wave was carried out yet")
		lines = nil
	}
	for i, line := range lines {
		fmt.Fprintln(w, strings.TrimRight(line, " "))
		if i > 0 {
			h.Waves[i-1].details(w, wide)
		}
	}
	if h.InFlight != "" {
		Paragraph(w, "In flight: ", h.InFlight)
	}
	if len(h.contexts) > ownLines {
		Paragraph(w, "Not read: ", plan.GroupByReason(h.contexts, h.reasons))
		return
	}
	for _, why := range h.Unread {
		Paragraph(w, "Not read: ", why)
	}
}

// Outcome is what became of a wave, in a word.
func (p HistoryWave) Outcome() string {
	switch {
	case len(p.Failed) > 0:
		return fmt.Sprintf("%d of %d failed", len(p.Failed), len(p.Steps))
	case strings.HasPrefix(p.Result, "interrupted"):
		return "interrupted"
	case p.Result == plan.ResultVerified:
		return "verified"
	}
	return p.Result
}

// membersShown is how many members of a wave the table names; wide names all.
const membersShown = 6

func (p HistoryWave) details(w io.Writer, wide bool) {
	of, more := p.members(), ""
	if n := len(of) - membersShown; n > 0 && !wide {
		of, more = of[:membersShown], fmt.Sprintf(", and %d more", n)
	}
	goal := ""
	if p.Goal != "" { // unknown of a wave that another run had to restore
		goal = "goal " + p.Goal + ", "
	}
	Paragraph(w, "  ", fmt.Sprintf("%s%s; %sby %s, journal in %s", strings.Join(of, ", "), more, goal, p.By, p.Context))
	if p.Result != plan.ResultVerified {
		Paragraph(w, "  ", p.Result)
	}
}

// members are those whom the steps of a wave are about, or the keys and tokens: the ID of a step ends with what it is
// about, and names nothing where that is the hub.
func (p HistoryWave) members() []string {
	what := map[string]string{"key": "key ", "prune": "key ", "revoke": "token "}
	var all []string
	for _, id := range p.Steps {
		kind, of, _ := strings.Cut(id, "/")
		if of = what[kind] + cmp.Or(of, "hub"); !slices.Contains(all, of) {
			all = append(all, of)
		}
	}
	return all
}
