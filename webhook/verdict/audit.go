package verdict

import (
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// Finding is what is true of one member against what the hub is stored to accept.
type Finding struct {
	Member string // as Members names it
	Entry  string // its entry in the roster, "" when it has none
	Hub    string // the ManagementPlane, namespace/name; "" when there is none
	// Status is True when the hub surely accepts all that the member may present, False when the member is known to
	// present something else, and Unknown when that is not known of it.
	Status  metav1.ConditionStatus
	Reason  string
	Message string // one line
}

// The reasons of findings.
const (
	ReasonAccepted   = "Accepted"          // True
	ReasonRefused    = "Refused"           // False: the hub says that it does not accept it
	ReasonNotSure    = "NotSurelyAccepted" // False: the hub does not say whether it accepts it
	ReasonNotKnown   = "NotKnown"          // Unknown: what the member presents is not known
	ReasonNoHub      = "NoManagementPlane" // Unknown: nothing is stored that could accept anything
	refusedRemedy    = "; `kubectl xcpauth migrate` first makes the hub accept both again"
	maxFindingLength = 800
)

// Audit asks of a stored ManagementPlane what the webhook asks of an edit: the same members, the same guard, as if
// the object were created now. Every member is found once, sorted as Members sorts. One that is being deleted accepts
// nobody for long, so nothing is found of it.
func Audit(mp map[string]any, inv Inventory, now time.Time) []Finding {
	if text(mp, "metadata", "deletionTimestamp") != "" {
		return nil
	}
	hub, _ := state.ReadHub(mp)
	name := text(mp, "metadata", "namespace") + "/" + text(mp, "metadata", "name")
	members := Members(inv, now)
	against := map[string][]guard.Cred{}
	for _, b := range guard.Withdraw(fromUnknown(), hub, members, now) {
		against[b.Member] = append(against[b.Member], b.Cred)
	}
	entries := map[string]string{}
	for i := range inv.Roster {
		entries[displayed(&inv.Roster[i])] = inv.Roster[i].Name
	}
	var found []Finding
	for _, m := range members {
		f := Finding{Member: m.Name, Entry: entries[m.Name], Hub: name, Status: metav1.ConditionTrue, Reason: ReasonAccepted,
			Message: "ManagementPlane " + name + " accepts all that it may present"}
		creds := against[m.Name]
		known := m.Presents != nil && now.Before(m.Until)
		switch {
		case len(creds) == 0:
		case !known:
			f.Status, f.Reason = metav1.ConditionUnknown, ReasonNotKnown
			f.Message = fmt.Sprintf("ManagementPlane %s does not surely accept %s, and whether it presents that is not known: %s", name, credList(creds), m.Why)
			if m.Presents != nil {
				f.Message += ", which is over"
			}
		case slices.ContainsFunc(creds, func(c guard.Cred) bool { return hub.Accepts[c] == guard.No }):
			f.Status, f.Reason = metav1.ConditionFalse, ReasonRefused
			f.Message = fmt.Sprintf("ManagementPlane %s does not accept %s, which it may present (%s)%s", name, credList(creds),
				m.Why, refusedRemedy)
		default:
			f.Status, f.Reason = metav1.ConditionFalse, ReasonNotSure
			f.Message = fmt.Sprintf("ManagementPlane %s does not say whether it accepts %s, which it may present (%s)%s", name,
				credList(creds), m.Why, refusedRemedy)
		}
		f.Message = clean(f.Message, maxFindingLength)
		found = append(found, f)
	}
	return found
}

// WithoutHub are the findings where no ManagementPlane is stored.
func WithoutHub(inv Inventory) []Finding {
	var found []Finding
	for i := range inv.Roster {
		found = append(found, Finding{Member: displayed(&inv.Roster[i]), Entry: inv.Roster[i].Name,
			Status: metav1.ConditionUnknown, Reason: ReasonNoHub,
			Message: "there is no ManagementPlane in this cluster that could accept what it presents"})
	}
	return found
}

// Worst keeps one finding of each member, sorted by member: refused before not known before accepted. A member of
// several hubs is as safe as with the worst of them.
func Worst(found []Finding) []Finding {
	rank := func(f Finding) int {
		return slices.Index([]metav1.ConditionStatus{metav1.ConditionFalse, metav1.ConditionUnknown, metav1.ConditionTrue},
			f.Status)
	}
	worst := slices.Clone(found)
	slices.SortStableFunc(worst, func(a, b Finding) int {
		if a.Member != b.Member {
			if a.Member < b.Member {
				return -1
			}
			return 1
		}
		return rank(a) - rank(b)
	})
	return slices.CompactFunc(worst, func(a, b Finding) bool { return a.Member == b.Member })
}
