package auditor

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// condition is a roster entry with the conditions that it is to have.
type condition struct {
	entry      api.EdgeCluster
	conditions []metav1.Condition
}

// event is what is to be told of one ManagementPlane.
type event struct {
	hub                string // namespace/name
	warning            bool
	reason, note       string
	changed, remaining int
}

// changes compares what was found, the worst of each member, with the conditions that the entries carry:
//
//   - an entry whose condition says otherwise, and not just at another time, gets the new one, its other conditions
//     kept;
//   - a ManagementPlane by which a member came to be refused, or is no longer, gets one Event: it names everybody
//     whom it refuses now, else those of whom it is not known any more, else those who are accepted again.
//
// What was told before stands in the conditions, so nothing is told twice, by another replica or after a restart
// either.
func changes(entries []api.EdgeCluster, found []verdict.Finding,
	now time.Time) (conditions []condition, events []event) {
	byEntry := map[string]verdict.Finding{}
	for _, f := range found {
		if f.Entry != "" {
			byEntry[f.Entry] = f
		}
	}
	moved, lost, refused, order := map[string][]string{}, map[string][]string{}, map[string][]string{}, []string{}
	for _, e := range entries {
		f, ok := byEntry[e.Name]
		if !ok {
			continue
		}
		was := meta.FindStatusCondition(e.Status.Conditions, api.ConditionAccepted)
		before := was != nil && was.Status == metav1.ConditionFalse
		is := f.Status == metav1.ConditionFalse
		if is {
			refused[f.Hub] = append(refused[f.Hub], f.Member)
		}
		if is != before && f.Hub != "" {
			if moved[f.Hub] == nil {
				order = append(order, f.Hub)
			}
			moved[f.Hub] = append(moved[f.Hub], f.Member)
			if f.Status == metav1.ConditionUnknown {
				lost[f.Hub] = append(lost[f.Hub], f.Member)
			}
		}
		if was != nil && was.Status == f.Status && was.Reason == f.Reason && timeless(was.Message) == timeless(f.Message) {
			continue // only read or stated again: no write for each member at each audit
		}
		next := make([]metav1.Condition, len(e.Status.Conditions), len(e.Status.Conditions)+1)
		copy(next, e.Status.Conditions)
		if meta.SetStatusCondition(&next, metav1.Condition{Type: api.ConditionAccepted, Status: f.Status, Reason: f.Reason,
			Message:            f.Message,
			ObservedGeneration: e.Generation, LastTransitionTime: metav1.NewTime(now)}) {
			conditions = append(conditions, condition{e, next})
		}
	}
	for _, hub := range order {
		ev := event{hub: hub, warning: len(refused[hub]) > 0 || len(lost[hub]) > 0, changed: len(moved[hub]),
			remaining: len(refused[hub])}
		switch {
		case len(refused[hub]) > 0:
			var why []string
			for _, f := range found {
				if f.Hub == hub && f.Status == metav1.ConditionFalse {
					why = append(why, f.Member+": "+f.Message)
				}
			}
			ev.reason = "MembersRefused"
			ev.note = fmt.Sprintf("%s may present what this ManagementPlane does not surely accept. %s",
				verdict.Count(len(why)), strings.Join(why, ". "))
		case len(lost[hub]) > 0:
			ev.reason, ev.note = "MembersNotKnown",
				fmt.Sprintf("what %s may present is not known any more, and this ManagementPlane does not surely accept everything; last it was known to be refused", strings.Join(lost[hub], ", "))
		default:
			ev.reason, ev.note = "MembersAccepted", fmt.Sprintf("this ManagementPlane accepts again all that %s may present",
				strings.Join(moved[hub], ", "))
		}
		events = append(events, ev)
	}
	return conditions, events
}

// times are the times of day and dates in a message.
var times = regexp.MustCompile(`(\d{4}-\d{2}-\d{2}T)?\d{2}:\d{2}:\d{2}Z?`)

func timeless(message string) string { return times.ReplaceAllString(message, "") }
