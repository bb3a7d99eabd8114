package render

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Plan is what `kubectl xcpauth plan` reports.
type Plan struct {
	APIVersion string          `json:"apiVersion"`
	Kind       string          `json:"kind"`
	At         time.Time       `json:"at"`
	Hub        string          `json:"hub"`
	Context    string          `json:"context"`
	Waves      []PlanWave      `json:"waves"`
	Blocked    []plan.Obstacle `json:"blocked"`
	Notes      []plan.Obstacle `json:"notes"` // what to know, and stands in nobody's way
	Changes    int             `json:"changes"`
	InFlight   string          `json:"inFlight,omitempty"`
	Takes                      // all waves together; nothing without waves
	Next       string          `json:"next"`
}

// PlanWave is one wave of a plan.
type PlanWave struct {
	Title string `json:"title"`
	Takes
	Steps []PlanStep `json:"steps"`
}

// PlanStep is one step of a plan.
type PlanStep struct {
	ID      string   `json:"id"`
	Member  string   `json:"member"`
	Title   string   `json:"title"`
	Why     string   `json:"why"`
	Changes []string `json:"changes"`
	// Diff has for each write what it does to its object, as unified text, when that was asked for.
	Diff   []string `json:"diff,omitempty"`
	Proof  []string `json:"proof"`
	Within string   `json:"within"`
	// WithinSeconds is within as a number: how long its verification may take.
	WithinSeconds int64  `json:"withinSeconds"`
	WayBack       string `json:"wayBack"`
	OneWay        bool   `json:"oneWay,omitempty"` // nothing takes it back
	// Server is what the API servers said of the writes, with --dry-run=server.
	Server []string `json:"server,omitempty"`
}

// Details are what a plan is shown with besides.
type Details struct {
	Diff   bool                // what each write does to its object
	Server map[string][]string // what the API servers said of each step, by ID
	Limits estimate.Limits     // how a run looks while it verifies
	// Untimed leaves out how long it takes, which depends on the state of the clusters.
	Untimed bool
}

// NewPlan makes the report of a plan.
func NewPlan(f plan.State, p plan.Plan, with Details, again func(verb string) string) Plan {
	r := Plan{APIVersion: APIVersion, Kind: "Plan", At: f.At.UTC().Truncate(time.Second), Context: f.Hub.Context,
		Waves: []PlanWave{}, Blocked: append([]plan.Obstacle{}, p.Obstacles...), Notes: append([]plan.Obstacle{}, p.Notes...),
		Changes: p.Changes(), InFlight: inFlight(f), Next: nextText(f, p, "", again)}
	if f.Hub.Found {
		r.Hub = f.Hub.Object.String()
	}
	each, all := estimate.Plan(f, p, with.Limits)
	if len(p.Waves) > 0 && !with.Untimed {
		r.Takes = takes(all, f.At)
	}
	for i, w := range p.Waves {
		wave := PlanWave{Title: w.Title}
		if !with.Untimed {
			wave.Takes = takes(each[i], f.At)
		}
		for _, s := range w.Steps {
			within := s.Timeout.Round(time.Second)
			step := PlanStep{ID: s.ID, Member: s.Member, Title: s.Title, Why: s.Why, Changes: []string{}, Proof: []string{},
				Within: within.String(), WithinSeconds: int64(within.Seconds()), WayBack: wayBack(s),
				OneWay: s.Irreversible, Server: with.Server[s.ID]}
			if s.Supply != nil {
				step.Changes = append(step.Changes, supplied(*s.Supply, p.Goal.Supplied))
			}
			for _, write := range s.Writes {
				step.Changes = append(step.Changes, changes(write)...)
				if with.Diff {
					step.Diff = append(step.Diff, diffOf(write))
				}
			}
			for _, c := range s.Conditions {
				step.Proof = append(step.Proof, c.Text)
			}
			wave.Steps = append(wave.Steps, step)
		}
		r.Waves = append(r.Waves, wave)
	}
	return r
}

// supplied says which secrets come from where.
func supplied(s plan.Supply, from string) string {
	if t := s.Token; t != nil {
		return fmt.Sprintf("secret %s/%s in %s: %s", s.Namespace, t.Secret, s.Context, t.Says)
	}
	line := fmt.Sprintf("secrets %s in namespace %s of %s, from %s", strings.Join(s.Wants, ", "), s.Namespace,
		s.Context, from)
	if len(s.Adds) > 0 {
		line += "; and " + strings.Join(s.Adds, ", ") + ", which is missing"
	}
	return line
}

func wayBack(s plan.Step) string {
	switch {
	case s.Irreversible:
		return "NONE: this ends the way back"
	case s.WayBack != "":
		return s.WayBack
	case len(s.Writes) == 0:
		return "nothing is written"
	}
	return "the values before are written down first, and put back when the proof fails"
}

// Table lays the plan out.
func (p Plan) Table(w io.Writer, _ bool) {
	if p.Hub != "" {
		Paragraph(w, "", fmt.Sprintf("Plan for %s in context %s: %s, %s with writes.", p.Hub, p.Context,
			plural(len(p.Waves), "wave"), plural(p.Changes, "step")))
	}
	if p.InFlight != "" {
		fmt.Fprintln(w)
		Paragraph(w, "First: ", p.InFlight)
	}
	for i, wave := range p.Waves {
		fmt.Fprintf(w, "\n%d. %s\n", i+1, wave.Title)
		if wave.told() {
			Paragraph(w, "   ", wave.words())
		}
		for _, s := range wave.Steps {
			mark := "   "
			if s.OneWay {
				mark = " ! "
			}
			Paragraph(w, mark, s.Title)
			Paragraph(w, "     why:      ", s.Why)
			for _, line := range s.Changes {
				Paragraph(w, "     change:   ", line)
			}
			for _, d := range s.Diff {
				for line := range strings.Lines(d) {
					fmt.Fprintln(w, "     "+strings.TrimRight(line, "\n"))
				}
			}
			for _, c := range s.Proof {
				Paragraph(w, "     proof:    ", c)
			}
			if len(s.Proof) > 0 {
				Paragraph(w, "     within:   ", s.Within)
			}
			Paragraph(w, "     way back: ", s.WayBack)
			for _, line := range s.Server {
				Paragraph(w, "     server:   ", line)
			}
		}
	}
	if len(p.Waves) > 0 && p.told() {
		fmt.Fprintln(w)
		Paragraph(w, "All waves: ", p.words()+p.over())
	}
	if len(p.Blocked) > 0 {
		fmt.Fprintf(w, "\nBlocked\n")
		for _, b := range p.Blocked {
			Paragraph(w, "   "+b.Member+": ", b.Why)
		}
	}
	if len(p.Notes) > 0 {
		fmt.Fprintf(w, "\nTo know\n")
		for _, n := range p.Notes {
			Paragraph(w, "   "+n.Member+": ", n.Why)
		}
	}
	if n := p.ends(); n > 0 {
		fmt.Fprintln(w)
		Paragraph(w, "THE WAY BACK ENDS with ",
			plural(n, "step")+" marked with ! above: what they delete, rollback would need.")
	}
	if len(p.Waves)+len(p.Blocked)+len(p.Notes) > 0 {
		fmt.Fprintln(w)
	}
	if p.Next != "" {
		Paragraph(w, "Next: ", p.Next)
	}
}

// ends counts the steps that nothing takes back.
func (p Plan) ends() int {
	n := 0
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			if s.OneWay {
				n++
			}
		}
	}
	return n
}

// changes says what a patch does, one line for each value.
func changes(p plan.Write) []string {
	switch {
	case p.Op == plan.OpCreate:
		return []string{fmt.Sprintf("create %s in %s", p.Object, p.Context)}
	case p.Op == plan.OpDelete:
		return []string{fmt.Sprintf("delete %s in %s", p.Object, p.Context)}
	}
	if p.Object.Kind == "EdgeCluster" {
		return []string{fmt.Sprintf("%s in %s: %s", p.Object, p.Context, rosterChange(p))}
	}
	var lines []string
	p = named(p)
	for _, l := range leaves("", p.After, p.Before, p.Object.Kind == "Secret") {
		lines = append(lines, fmt.Sprintf("%s in %s: %s", p.Object, p.Context, l))
	}
	if p.SecretField != "" {
		lines = append(lines, fmt.Sprintf("%s in %s: data.tls.key: *** (before) -> *** (after)", p.Object, p.Context))
	}
	return lines
}

// leaves lists the values that change, each with its path. Those of a secret are masked, as kubectl diff does.
func leaves(path string, after, before map[string]any, secret bool) []string {
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(after)) {
		at := k
		if path != "" {
			at = path + "." + k
		}
		was := before[k]
		if sub, ok := after[k].(map[string]any); ok {
			wasMap, _ := was.(map[string]any)
			lines = append(lines, leaves(at, sub, wasMap, secret)...)
		} else if a, b := value(was), value(after[k]); a != b {
			if secret {
				a, b = "*** (before)", "*** (after)"
			}
			lines = append(lines, fmt.Sprintf("%s: %s -> %s", at, a, b))
		}
	}
	return lines
}

func value(v any) string {
	if v == nil {
		return "(unset)"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
