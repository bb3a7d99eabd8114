package execute

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/xcpauth/kubectl-xcpauth/pkg/access"
	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// authorize asks for every right that the run will need before it writes anything: to its lock and its journal, to each step of the plan, and
// to the way back of each. What is missing in the hub ends the run; what is missing in the cluster of a member leaves that member out.
func (e *Executor) authorize(ctx context.Context, f plan.Facts, recorded map[string]Outcome) error {
	p := plan.Unfold(e.Dialect, f, e.Goal)
	needs := p.Rights()
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
		needs[home] = append(needs[home], e.homeNeeds(f, p)...)
	}
	lacking := e.Lacking(ctx, needs)
	hubs := []string{e.hub}
	if f.Standby != nil {
		hubs = append(hubs, f.Standby.Context)
	}
	for _, m := range f.Members {
		if lack, lacks := lacking[m.Context]; lacks && !slices.Contains(hubs, m.Context) {
			why := words(map[string]Lack{m.Context: lack}) + "; " + rolesPrinted
			e.skip(m.Name, "nothing was written: "+why)
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused, Why: e.Goal.Skipped(m.Name)}
		}
	}
	maps.DeleteFunc(
		lacking,
		func(context string, _ Lack) bool { return context == "" || !slices.Contains(hubs, context) },
	)
	return missing(lacking)
}

const rolesPrinted = "kubectl xcpauth check prints the roles that give them"

// homeNeeds are the rights to a home: the lock, the journal, and the roster where the run states what it proves.
func (e *Executor) homeNeeds(f plan.Facts, p plan.Plan) []plan.Need {
	all := writingHome()
	states := f.Stated && f.Hub.Roster.Kind // a hub of another product in the same cluster may have one
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			states = states ||
				slices.ContainsFunc(s.Writes, func(p plan.Patch) bool { return p.Object.Resource == api.EdgeClusters.Resource })
		}
	}
	if e.hub != "" && states {
		all = append(all, stating("")...)
	}
	return all
}

// writingHome are the rights to the lock and the journal of a home whose namespace is there, or is made by the run.
func writingHome() []plan.Need {
	all := slices.DeleteFunc(roster.Needs(nil), func(n plan.Need) bool { return n.Resource == "namespaces" })
	return append(all, readJournal)
}

// stating are the rights to state what a member presents, any member when name is empty.
func stating(name string) []plan.Need {
	ref := roster.Ref(name)
	if name == "" {
		ref.Name = ""
	}
	state := plan.Need{Verb: "state", Group: ref.Group, Resource: ref.Resource, Namespace: ref.Namespace, Name: ref.Name}
	write := state
	write.Verb, write.Subresource = "patch", "status"
	return []plan.Need{state, write}
}

// registering are the rights that Register takes for one edge, by context. Anyone who gives the reader a right must
// have it.
func registering(hub string, m plan.Member, reads []plan.Read) map[string][]plan.Need {
	needs := map[string][]plan.Need{hub: roster.Ref(m.Name).Needs(listing(m), "get", "patch")}
	needs[hub] = append(needs[hub], access.SecretRef(roster.ObjectName(m.Name)).Needs("create", "update")...)
	for _, o := range access.Objects(m.Object.Namespace, reads) {
		needs[m.Context] = append(needs[m.Context], o.Ref.Needs("create", "patch")...)
	}
	needs[m.Context] = append(
		needs[m.Context],
		plan.Need{Verb: "create", Resource: "serviceaccounts", Subresource: "token",
			Namespace: m.Object.Namespace, Name: access.ReaderName},
	)
	for _, r := range reads {
		verb := "list"
		if r.Name != "" {
			verb = "get"
		}
		needs[m.Context] = append(
			needs[m.Context],
			plan.Need{Verb: verb, Group: r.Group, Resource: r.Resource, Namespace: r.Namespace, Name: r.Name},
		)
	}
	return needs
}

// listing is the verb that brings the roster's entry of a member up to date.
func listing(m plan.Member) string {
	if m.Registered {
		return "patch"
	}
	return "create"
}

// unregistering are the rights that Unregister takes for one edge, by context.
func unregistering(hub string, m plan.Member, voids bool) map[string][]plan.Need {
	needs := map[string][]plan.Need{hub: roster.Ref(m.Name).Needs("patch")}
	if voids {
		needs[hub] = append(needs[hub], stating(m.Name)[1:]...)
	}
	needs[hub] = append(needs[hub], access.SecretRef(roster.ObjectName(m.Name)).Needs("delete")...)
	if m.Err == "" {
		for _, o := range access.Objects(m.Object.Namespace, nil) {
			needs[m.Context] = append(needs[m.Context], o.Ref.Needs("delete")...)
		}
	}
	return needs
}

// publishing are the rights that ProveNamed takes in the hub for one member.
func publishing(m plan.Member) []plan.Need {
	all := append(roster.Ref(m.Name).Needs("get"), stating(m.Name)...)
	if !m.Registered || m.Outdated {
		all = append(all, roster.Ref(m.Name).Needs(listing(m))...)
	}
	return append(all, readJournal)
}

// readJournal is the right to see what an interrupted run left in flight.
var readJournal = plan.Need{Verb: "get", Resource: "configmaps", Namespace: api.Namespace, Name: api.JournalName}

// forgetting are the rights that Forget takes in the hub.
func forgetting(name string, alive, live bool) []plan.Need {
	all := append(
		roster.Ref(name).Needs("get", "delete"),
		plan.Need{Verb: "create", Resource: "events", Namespace: api.Namespace},
	)
	if live {
		all = append(all, access.SecretRef(roster.ObjectName(name)).Needs("delete")...)
	}
	if !alive {
		return all
	}
	return append(all, writingHome()...)
}

// mayPublish asks, of those of whom a statement is to be written, whether it may be.
func mayPublish(ctx context.Context, c Clusters, hub string, members []plan.Member) map[string]string {
	if hub == "" {
		return nil
	}
	needs := map[string]map[string][]plan.Need{}
	for _, m := range members {
		needs[m.Name] = map[string][]plan.Need{hub: publishing(m)}
	}
	why := map[string]string{}
	for name, lacking := range lackingOf(ctx, c, needs) {
		why[name] = fmt.Sprintf("nothing was written, since %s; %s", words(lacking), rolesPrinted)
	}
	return why
}

// lackingOf asks for the rights of several things, which are by context, and says of each what is missing: once for
// all, and of each alone where something is missing.
func lackingOf(ctx context.Context, c Clusters, needs map[string]map[string][]plan.Need) map[string]map[string]Lack {
	sets := map[string]map[plan.Need]bool{}
	for _, of := range needs {
		for context, list := range of {
			if sets[context] == nil {
				sets[context] = map[plan.Need]bool{}
			}
			for _, n := range list {
				sets[context][n] = true
			}
		}
	}
	all := map[string][]plan.Need{}
	for context, set := range sets {
		all[context] = plan.SortedNeeds(set)
	}
	if len(c.Lacking(ctx, all)) == 0 {
		return nil
	}
	lacking := map[string]map[string]Lack{}
	for of, list := range needs {
		if lacks := c.Lacking(ctx, list); len(lacks) > 0 {
			lacking[of] = lacks
		}
	}
	return lacking
}

// allowed asks for rights, by context, and returns what is missing as the reason why nothing was written.
func allowed(ctx context.Context, c Clusters, needs map[string][]plan.Need) error {
	return missing(c.Lacking(ctx, needs))
}

// missing words the rights that are missing, by context, as the reason why nothing was written; nil when none are.
func missing(lacking map[string]Lack) error {
	if len(lacking) == 0 {
		return nil
	}
	return &NotBegunError{fmt.Errorf("nothing was written, since %s; %s", words(lacking), rolesPrinted)}
}

// words says which rights are missing where, or where that is not known.
func words(lacking map[string]Lack) string {
	var all []string
	for _, context := range slices.Sorted(maps.Keys(lacking)) {
		said := "rights are missing in %s: %s"
		if lacking[context].Unasked {
			said = "rights in %s could not be asked for: %s"
		}
		all = append(all, fmt.Sprintf(said, context, lacking[context].Why))
	}
	return strings.Join(all, "; ")
}

// Lacking implements Clusters.
func (l *Live) Lacking(ctx context.Context, needs map[string][]plan.Need) map[string]Lack {
	var mu sync.Mutex
	var wg sync.WaitGroup
	lacking := map[string]Lack{}
	slots := make(chan struct{}, max(l.Observer.Limit, 1))
	for name, list := range needs {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			missing, err := l.Observer.Lacking(ctx, name, list)
			var words []string
			for _, n := range missing {
				words = append(words, n.String())
			}
			lack := Lack{Why: strings.Join(words, "; ")}
			if len(words) == 0 && err != "" {
				lack = Lack{Why: err, Unasked: true}
			}
			if lack.Why != "" {
				mu.Lock()
				defer mu.Unlock()
				lacking[name] = lack
			}
		})
	}
	wg.Wait()
	return lacking
}
