package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// State is what is known of a hub and its members at one moment. It is made by a provider from snapshots, and
// everything that decides takes it as it is.
type State struct {
	At      time.Time
	Product string // the name of the provider that made them
	Words   Words
	// UsesRoster says that what is verified of a member is stated in the roster, for the admission webhook of the product.
	UsesRoster bool
	// TellsSessions says that the hub signs tokens with keys of its own, and tells of the sessions of its members.
	TellsSessions bool
	Hub           Hub
	Standby       *Hub           // the second hub, when one was named
	Members       []Member       // sorted by name; each member once
	Others        []OtherContext // the selected contexts that hold no member of this hub, sorted by context
	Denied        []string       // the contexts that were reached and may not be looked at
	// Probes is what came of the probes of the steps that are being verified, by member.
	Probes map[string]Probe
	// Contexts are all selected contexts, sorted by name; only for check.
	Contexts []Context
	// at is where members are in Members, by name; what it lacks is looked for.
	at map[string]int
}

// OtherContext is a selected context that holds no member of this hub.
type OtherContext struct {
	Context    string
	ClusterUID string // of kube-system, "" when it was not reached
	State      string // "unreachable", "no-member", "other-management-plane", "duplicate"
	Why        string
	Claims     string // the cluster name that its object claims, when it has one
}

// Ref names one object in one cluster.
type Ref struct {
	Group           string `json:"group"`
	Version         string `json:"version"`
	Resource        string `json:"resource"`
	Kind            string `json:"kind"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name"`
	UID             string `json:"uid,omitempty"`
	ResourceVersion string `json:"-"` // moves by itself; never part of a plan's basis
}

// String is kind namespace/name.
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

// Path is namespace/name, or the name alone of what has no namespace.
func (r Ref) Path() string {
	if r.Namespace == "" {
		return r.Name
	}
	return r.Namespace + "/" + r.Name
}

// clone is a copy that shares nothing with f which an effect may change.
func (f State) clone() State {
	f.Members = slices.Clone(f.Members)
	f.at = make(map[string]int, len(f.Members))
	for i := len(f.Members) - 1; i >= 0; i-- {
		f.at[f.Members[i].Name] = i
	}
	return f.withOwnHubs()
}

// withOwnHubs is the state with hubs that share nothing with f which an effect may change.
func (f State) withOwnHubs() State {
	f.Hub = f.Hub.clone()
	if f.Standby != nil {
		standby := f.Standby.clone()
		f.Standby = &standby
	}
	return f
}

func (h Hub) clone() Hub {
	h.Sessions = maps.Clone(h.Sessions)
	h.Accepts.Accepts = maps.Clone(h.Accepts.Accepts)
	return h
}

// Listed returns what says whether the hub lists a member by its own name of it; where it has no inventory, it lists
// nobody.
func (h Hub) Listed() func(clusterName string) bool {
	all := make(map[string]bool, len(h.Inventory))
	for _, name := range h.Inventory {
		all[name] = true
	}
	return func(clusterName string) bool { return all[clusterName] }
}

// Member returns the named member, or nil.
func (f State) Member(name string) *Member {
	if i, known := f.at[name]; known && i < len(f.Members) && f.Members[i].Name == name {
		return &f.Members[i]
	}
	for i := range f.Members {
		if f.Members[i].Name == name {
			return &f.Members[i]
		}
	}
	return nil
}

// UnknownMember says that no member has the name that a user gave, and what the one is called that was meant, as far as
// that is known.
func (f State) UnknownMember(name string) string {
	said := fmt.Sprintf("no %s is called %q", f.Words.Member, name)
	if called := f.AliasOf(name); called != "" {
		return said + ": " + called
	}
	var others []string
	for _, m := range f.Members {
		if m.Role == RoleEdge {
			others = append(others, m.Name)
		}
	}
	if len(others) > 0 {
		return fmt.Sprintf("%s; the %ss are: %s", said, f.Words.Member, Few(others, 8))
	}
	return said + "; none was found: kubectl xcpauth status says where it looked"
}

// AliasOf says how the member is called whose cluster has that name, "" when none is called otherwise.
func (f State) AliasOf(cluster string) string {
	for _, m := range f.Members {
		if m.ClusterName == cluster && m.Renamed != "" {
			return fmt.Sprintf("cluster %s is called %s here, since %s", cluster, m.Name, m.Renamed)
		}
	}
	return ""
}

// Switched says whether a member is where a goal wants it: verified, as the roster states; where there is no roster, as
// its object says and its processes do.
func (f State) Switched(m Member, to guard.Cred) bool {
	if f.UsesRoster {
		return m.Verified(to, f.At)
	}
	return m.Err == "" && m.Declared == to && m.Effective == to && m.Workload.Settled
}

// Blockers asks the one rule about a step that has a hub stop accepting something: who may still present it, at a
// time. It is asked where a plan is made, on the state and on predicted ones, and again right before the write.
func (f State) Blockers(s Step, now time.Time) []guard.Blocker {
	if s.Withdraws == nil {
		return nil
	}
	accepts := f.Hub.Accepts
	if s.Member == "standby" && f.Standby != nil {
		accepts = f.Standby.Accepts
	}
	return guard.Withdraw(accepts, *s.Withdraws, f.GuardMembers(), now)
}

// GuardMembers returns every member in the form that the one rule takes; and as members of which nothing is known:
// every context that could not be looked at, and those whom an inventory or a roster may list that could not be read.
func (f State) GuardMembers() []guard.Member {
	edges := make([]guard.Member, 0, len(f.Members))
	for _, m := range f.Members {
		e := m.Evidence
		e.Name = m.Name
		edges = append(edges, e)
	}
	for _, o := range f.Others {
		if o.State == "unreachable" {
			edges = append(edges, guard.Member{Name: "context " + o.Context, Why: o.Why})
		}
	}
	for _, why := range []string{f.Hub.InventoryErr, f.Hub.Roster.Err, f.Hub.Err} {
		if why != "" {
			edges = append(edges, guard.Member{Name: "whoever else the hub knows", Why: why})
		}
	}
	return edges
}
