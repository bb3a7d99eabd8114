package engine

import (
	"errors"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// State is what became of a member in a run. Each member, and each selected context that holds none, has exactly one.
type State string

// The states.
const (
	OK              State = "ok"            // nothing was to be done
	Changed         State = "changed"       // changed and verified
	Skipped         State = "skipped"       // no member of this hub, or another name of one
	Refused         State = "blocked"       // could not be begun; the reason says what to do
	Failed          State = "failed"        // begun and not verified; the reason says whether it was put back
	Interrupted     State = "interrupted"   // begun, and put back since the run was asked to end
	Unreachable     State = "unreachable"   // could not be looked at
	NotAttempted    State = "not attempted" // its turn did not come
	OtherManagement State = "other-management-plane"
)

// Outcome is what became of one member.
type Outcome struct {
	Member  string `json:"member"`
	Context string `json:"context,omitempty"`
	State   State  `json:"state"`
	Why     string `json:"why,omitempty"`
}

// Result is what became of a run.
type Result struct {
	Outcomes    []Outcome // the hub first, then members, then other contexts
	Facts       plan.State
	Done        bool // the goal is reached
	Interrupted bool
	Err         error // what ended the run as a whole, when it was no member's affair
}

// ExitCode is 1 when the run itself failed, 0 when the goal is reached, 130 when interrupted, 4 when a part of the
// members was served and a part was not or failed, 5 when nothing could be begun.
func (r Result) ExitCode() int {
	has := func(states ...State) bool {
		return slices.ContainsFunc(r.Outcomes, func(o Outcome) bool { return slices.Contains(states, o.State) })
	}
	switch {
	case r.Interrupted:
		return 130
	case refusedRun(r.Err):
		return 5
	case r.Err != nil:
		return 1
	case has(Failed, Unreachable):
		return 4
	case (has(Refused, NotAttempted) || !r.Done) && has(Changed):
		return 4
	case has(Refused, NotAttempted) || !r.Done:
		return 5
	}
	return 0
}

// refusedRun says whether a run was refused as a whole: it could not become the writer, as when another one is at
// work, or the saved plan is stale.
func refusedRun(err error) bool {
	var notBegun *NotBegunError
	var stale *plan.StaleError
	return errors.As(err, &notBegun) || errors.As(err, &stale)
}

// summarize makes one outcome for the hub, each member and each other context: what the run recorded, else what the
// last facts and the last wave say. Of a member for which nothing is done, or not yet, it is what it presents, where
// the provider tells.
func summarize(d plan.Provider, f plan.State, goal plan.Goal, recorded map[string]Outcome, last plan.Wave,
	done bool) []Outcome {
	blocked, notes := map[string]string{}, map[string]string{}
	for _, b := range last.Obstacles {
		blocked[b.Member] = b.Why
	}
	for _, n := range last.Notes {
		notes[n.Member] = n.Why
	}
	pick := func(name, context, err string) Outcome {
		o := Outcome{Member: name, Context: context, State: OK}
		r, known := recorded[name]
		switch {
		case known && (r.State == Failed || r.State == Refused || r.State == Interrupted):
			o.State, o.Why = r.State, r.Why
		case err != "" && context != "":
			o.State, o.Why = Unreachable, err
		case known:
			o.State, o.Why = r.State, r.Why
			if why := blocked[name]; why != "" && !done {
				o.Why = strings.TrimPrefix(o.Why+"; then it is blocked: "+why, "; ")
			}
		case blocked[name] != "":
			o.State, o.Why = Refused, blocked[name]
		case !done && len(last.Steps) > 0:
			o.State, o.Why = NotAttempted, "the run ended before its turn"
		case !done && name == "hub" && goal.Renew == nil:
			o.State, o.Why = NotAttempted, "waits until every member is verified"
		}
		if note := notes[name]; note != "" {
			o.Why = strings.TrimPrefix(o.Why+"; "+note, "; ")
		}
		return o
	}
	var all []Outcome
	if f.Hub.Found || (len(last.Obstacles) > 0 && !goal.NoHub) {
		all = append(all, pick("hub", f.Hub.Context, ""))
	}
	if f.Standby != nil {
		all = append(all, pick("standby", f.Standby.Context, ""))
	}
	for _, m := range f.Members {
		o := pick(m.Name, m.Context, m.Err)
		_, known := recorded[m.Name]
		there, presents := f.Switched(m, goal.To), ""
		if d.Converged != nil {
			there, presents = d.Converged(f, m, goal)
		}
		if presents != "" {
			presents = "it presents " + presents
		}
		switch {
		case goal.Back, goal.Renew != nil:
		case there && !done && !known && (o.State == NotAttempted || o.State == OK):
			o.State, o.Why = OK, strings.Trim(presents+"; "+notes[m.Name], "; ")
		case o.State == NotAttempted && presents != "":
			o.Why += "; " + presents
		case o.State == OK && !known && !done && !there && m.Role == plan.RoleEdge && goal.Reaches(plan.Edges):
			o.State, o.Why = NotAttempted, strings.TrimSuffix("waits for what is blocked; "+presents, "; ")
		}
		all = append(all, o)
	}
	for _, x := range f.Others {
		o := Outcome{Member: "-", Context: x.Context, State: Skipped, Why: x.Why}
		switch x.State {
		case "unreachable":
			o.State = Unreachable
		case "other-management-plane":
			o.State = OtherManagement
		}
		all = append(all, o)
	}
	sorting.Stable(all, func(a, b *Outcome) int { return strings.Compare(order(*a), order(*b)) })
	return all
}

func order(o Outcome) string {
	switch o.Member {
	case "hub":
		return "0"
	case "standby":
		return "00"
	case "-":
		return "2" + o.Context
	}
	return "1" + o.Member
}
