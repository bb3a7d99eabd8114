package report

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// Past is a wave that was carried out.
type Past struct {
	Title, By, Goal, Context string
	Began, Ended             time.Time
	Took                     string // "" when it is not known
	Outcome                  string // in a word or two
	Said                     string // the sentence about it, "" when it was verified
	Verified                 bool
	Members, Steps, Failed   []string
	// Evidence is by what each member was verified in this wave, as far as the roster still says.
	Evidence []string
}

// past is the history, each wave with its members and the evidence.
func past(f plan.State, h render.History) []Past {
	var all []Past
	for _, w := range h.Waves {
		p := Past{Title: w.Wave, By: w.By, Goal: w.Goal, Context: w.Context, Began: w.Began, Ended: w.Ended,
			Outcome: w.Outcome(), Verified: w.Result == plan.ResultVerified, Steps: w.Steps, Failed: w.Failed}
		if !p.Verified {
			p.Said = w.Result
		}
		if !w.Began.IsZero() && !w.Ended.Before(w.Began) {
			p.Took = plan.Short(w.Ended.Sub(w.Began))
		}
		for _, id := range w.Steps {
			if _, who, ok := strings.Cut(id, "/"); ok && !slices.Contains(p.Members, who) {
				p.Members = append(p.Members, who)
			}
		}
		all = append(all, p)
	}
	// A member has one statement: it goes with the last wave that it can be of.
	said := map[string]bool{}
	for i, w := range slices.Backward(h.Waves) {
		for _, name := range all[i].Members {
			if why := evidence(f.Member(name), w.WaveRecord); why != "" && !said[name] {
				said[name] = true
				all[i].Evidence = append(all[i].Evidence, name+": "+why)
			}
		}
	}
	return all
}

// evidence is by what a member was verified during a wave, "" when the roster has no word of that time any more.
func evidence(m *plan.Member, w plan.WaveRecord) string {
	if m == nil || m.Statement == nil || m.Statement.Invalid != "" || slices.Contains(w.Failed, m.Name) {
		return ""
	}
	// What a wave verified is stated right after it.
	if at := m.Statement.Observed; at.Before(w.Began) || at.After(w.Ended.Add(time.Minute)) {
		return ""
	}
	return cmp.Or(strings.Join(m.Statement.Evidence, "; "), "stated by "+m.Statement.Source)
}

// obstacles are what blocks, and what to know, each with whose it is.
func obstacles(all []plan.Obstacle) [][2]string {
	var rows [][2]string
	for _, o := range all {
		rows = append(rows, [2]string{o.Member, o.Why})
	}
	return rows
}
