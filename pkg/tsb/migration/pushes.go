package migration

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// pushes wants each pod of an edge to push to Central twice.
func pushes(name, text string) plan.Condition {
	return plan.Condition{Kind: "pushes", Member: name, Text: text, Moves: state.Counters,
		Follow: pushesWhile(name, func(_, _ plan.State) bool { return true })}
}

// pushesWhile counts the pushes of an edge while something holds of it. It is asked of an edge that was read.
func pushesWhile(name string, holds func(before, now plan.State) bool) func() plan.Judge {
	return func() plan.Judge {
		var seen pushing
		return func(before, now plan.State) plan.Evaluation {
			m := now.Member(name)
			if m == nil || m.Err != "" || !m.Workload.Settled || !holds(before, now) {
				seen = pushing{}
			} else {
				seen.see(*m, now.Hub)
			}
			return plan.OfMember(name, func(m plan.Member, _, _ plan.State) plan.Evaluation {
				return seen.twice(m.Workload)
			})(before, now)
		}
	}
}

// pushing is what was seen of an edge's pushes while the same pods ran, settled, under the same Central.
type pushing struct {
	during   string             // the pods, their state and Central's pods
	counters map[string]float64 // the push counter of each pod when it was last read, by UID
	advances map[string]int     // how often it was seen to advance
}

// see adds an observation of an edge that is settled.
func (p *pushing) see(m plan.Member, hub plan.Hub) {
	during := strings.Join([]string{string(m.Effective), podSet(m.Workload), podSet(hub.Workload)}, "\n")
	if p.counters == nil || during != p.during {
		*p = pushing{during: during, counters: map[string]float64{}, advances: map[string]int{}}
	}
	for pod, now := range pushCounters(m) {
		if earlier, ok := p.counters[pod]; ok && now > earlier {
			p.advances[pod]++
		}
		p.counters[pod] = now
	}
}

// twice wants each pod to have connected, and to have pushed twice.
func (p *pushing) twice(w plan.Workload) plan.Evaluation {
	if len(w.Processes) == 0 {
		return plan.Evaluation{Evidence: "it has no pods"}
	}
	for _, pod := range w.Processes {
		if pod.Counters == nil {
			why := pod.NoMetric
			if why == "" {
				why = "not read yet"
			}
			return plan.Evaluation{Evidence: fmt.Sprintf("the counters of pod %s could not be read: %s", pod.Name, why)}
		}
	}
	for _, pod := range w.Processes {
		if pod.Counters[state.MetricConnect+`{statusLabel="ok"}`] < 1 {
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s has not connected", pod.Name)}
		}
		if n := p.advances[pod.UID]; n < 2 {
			return plan.Evaluation{Evidence: fmt.Sprintf("pod %s pushed %d of 2 times since", pod.Name, n)}
		}
	}
	return plan.Evaluation{Met: true, Evidence: "its own pods connected and pushed twice since"}
}

// podSet names the pods of a workload.
func podSet(w plan.Workload) string {
	var ids []string
	for _, p := range w.Processes {
		ids = append(ids, p.UID)
	}
	slices.Sort(ids)
	return strings.Join(ids, " ")
}

// pushed is the newest push of any pod of the edge; 0 when none is known.
func pushed(m plan.Member) float64 {
	var newest float64
	for _, v := range pushCounters(m) {
		newest = max(newest, v)
	}
	return newest
}

// pushCounters is the push counter of each pod, by UID.
func pushCounters(m plan.Member) map[string]float64 {
	c := map[string]float64{}
	for _, p := range m.Workload.Processes {
		if v, ok := p.Counters[state.MetricPush]; ok {
			c[p.UID] = v
		}
	}
	return c
}
