package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// authorize asks for every right that the run will need before it writes anything: to its lock and its journal, to
// each step of the plan, and to the way back of each. What is missing in the hub ends the run; what is missing in the
// cluster of a member leaves that member out.
func (e *Executor) authorize(ctx context.Context, f plan.State, recorded map[string]Outcome) error {
	p := plan.Build(e.Provider, f, e.Goal)
	needs := p.Permissions()
	homes := []string{e.hub}
	if e.hub == "" {
		homes = nil
		for _, m := range f.Members {
			if m.Err == "" && len(needs[m.Context]) > 0 && !slices.Contains(homes, m.Context) {
				homes = append(homes, m.Context)
			}
		}
	}
	for _, home := range homes {
		needs[home] = append(needs[home], e.journalPermissions(f, p)...)
	}
	lacking := e.MissingPermissions(ctx, needs)
	hubs := []string{e.hub}
	if f.Standby != nil {
		hubs = append(hubs, f.Standby.Context)
	}
	for _, m := range f.Members {
		if lack, lacks := lacking[m.Context]; lacks && !slices.Contains(hubs, m.Context) {
			why := words(map[string]Denial{m.Context: lack}) + "; " + rolesRemedy
			e.skip(m.Name, "nothing was written: "+why)
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused, Why: e.Goal.Skipped(m.Name)}
		}
	}
	maps.DeleteFunc(
		lacking,
		func(context string, _ Denial) bool { return context == "" || !slices.Contains(hubs, context) },
	)
	return missing(lacking)
}

const rolesRemedy = "an administrator gives them with: kubectl xcpauth install rbac"

// journalPermissions are the rights to a home: the lock, the journal, and the roster where the run states what it
// verifies.
func (e *Executor) journalPermissions(f plan.State, p plan.Plan) []plan.Permission {
	all := WritingJournal(e.namespace)
	states := f.UsesRoster && f.Hub.Roster.Kind // a hub of another product in the same cluster may have one
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			states = states ||
				slices.ContainsFunc(s.Writes, func(p plan.Write) bool { return p.Object.Resource == api.EdgeClusters.Resource })
		}
	}
	if e.hub != "" && states {
		all = append(all, Stating(e.namespace, "")...)
	}
	return all
}

// WritingJournal are the rights to the lock and the journal of a home whose namespace is there, or is made by the run.
func WritingJournal(namespace string) []plan.Permission {
	return append(roster.RunPermissions(namespace), readJournal(namespace)...)
}

// MayPublish asks, of those of whom a statement is to be written, whether it may be.
func MayPublish(ctx context.Context, c Clusters, hub plan.Hub, members []plan.Member) map[string]string {
	if hub.Context == "" {
		return nil
	}
	needs := map[string]map[string][]plan.Permission{}
	for _, m := range members {
		needs[m.Name] = map[string][]plan.Permission{hub.Context: publishing(hub.Roster.In, m)}
	}
	why := map[string]string{}
	for name, lacking := range missingFor(ctx, c, needs) {
		why[name] = fmt.Sprintf("nothing was written, since %s; %s", words(lacking), rolesRemedy)
	}
	return why
}

// publishing are the rights that ProveNamed takes in the hub for one member.
func publishing(namespace string, m plan.Member) []plan.Permission {
	entry := roster.Ref(namespace, m.Name)
	all := append(entry.Permissions("get"), Stating(namespace, m.Name)...)
	if !m.Registered || m.EntryStale {
		all = append(all, entry.Permissions(Listing(m))...)
	}
	return append(all, readJournal(namespace)...)
}

// readJournal is the right to see what an interrupted run left in flight.
func readJournal(namespace string) []plan.Permission { return JournalRef(namespace).Permissions("get") }

// Stating are the rights to state what a member presents, any member when name is empty.
func Stating(namespace, name string) []plan.Permission {
	ref := roster.Ref(namespace, name)
	if name == "" {
		ref.Name = ""
	}
	state := plan.Permission{Verb: "state", Group: ref.Group, Resource: ref.Resource,
		Namespace: ref.Namespace, Name: ref.Name}
	write := state
	write.Verb, write.Subresource = "patch", "status"
	return []plan.Permission{state, write}
}

// missingFor asks for the rights of several things, which are by context, and says of each what is missing: once for
// all, and of each alone where something is missing.
func missingFor(ctx context.Context, c Clusters,
	needs map[string]map[string][]plan.Permission) map[string]map[string]Denial {
	sets := map[string]map[plan.Permission]bool{}
	for _, of := range needs {
		for context, list := range of {
			if sets[context] == nil {
				sets[context] = map[plan.Permission]bool{}
			}
			for _, n := range list {
				sets[context][n] = true
			}
		}
	}
	all := map[string][]plan.Permission{}
	for context, set := range sets {
		all[context] = plan.SortedPermissions(set)
	}
	if len(c.MissingPermissions(ctx, all)) == 0 {
		return nil
	}
	lacking := map[string]map[string]Denial{}
	for of, list := range needs {
		if lacks := c.MissingPermissions(ctx, list); len(lacks) > 0 {
			lacking[of] = lacks
		}
	}
	return lacking
}

// Allowed asks for rights, by context, and returns what is missing as the reason why nothing was written.
func Allowed(ctx context.Context, c Clusters, needs map[string][]plan.Permission) error {
	return missing(c.MissingPermissions(ctx, needs))
}

// missing words the rights that are missing, by context, as the reason why nothing was written; nil when none are.
func missing(lacking map[string]Denial) error {
	if len(lacking) == 0 {
		return nil
	}
	return &NotBegunError{Err: fmt.Errorf("nothing was written, since %s; %s", words(lacking), rolesRemedy)}
}

// words says which rights are missing where, or where that is not known.
func words(lacking map[string]Denial) string {
	var all []string
	for _, context := range slices.Sorted(maps.Keys(lacking)) {
		said := "rights are missing in %s: %s"
		if lacking[context].Unknown {
			said = "rights in %s could not be asked for: %s"
		}
		all = append(all, fmt.Sprintf(said, context, lacking[context].Why))
	}
	return strings.Join(all, "; ")
}

// Listing is the verb that brings the roster's entry of a member up to date.
func Listing(m plan.Member) string {
	if m.Registered {
		return "patch"
	}
	return "create"
}
