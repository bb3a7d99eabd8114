package execute

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

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
		if why := lacking[m.Context]; why != "" && !slices.Contains(hubs, m.Context) {
			why = fmt.Sprintf("rights are missing in %s: %s; %s", m.Context, why, rolesPrinted)
			e.skip(m.Name, why)
			recorded[m.Name] = Outcome{Member: m.Name, State: Refused, Why: "nothing was written: " + why}
		}
	}
	for _, context := range slices.Sorted(maps.Keys(lacking)) {
		if context != "" && slices.Contains(hubs, context) {
			return &notBegunError{fmt.Errorf("nothing was written, since rights are missing in %s: %s; %s", context, lacking[context], rolesPrinted)}
		}
	}
	return nil
}

const rolesPrinted = "kubectl xcpauth check prints the roles that give them"

// homeNeeds are the rights to a home: the lock, the journal, and the roster where the run states what it proves.
func (e *Executor) homeNeeds(f plan.Facts, p plan.Plan) []plan.Need {
	var all []plan.Need
	for _, n := range roster.Needs(nil) {
		if n.Resource != "namespaces" {
			all = append(all, n)
		}
	}
	all = append(all, plan.Need{Verb: "get", Resource: "configmaps", Namespace: api.Namespace, Name: api.JournalName})
	states := f.Hub.Roster.Kind
	for _, w := range p.Waves {
		for _, s := range w.Steps {
			states = states || slices.ContainsFunc(s.Writes, func(p plan.Patch) bool { return p.Object.Resource == api.EdgeClusters.Resource })
		}
	}
	if e.hub != "" && states {
		group, resource := api.GroupVersion.Group, api.EdgeClusters.Resource
		all = append(all, plan.Need{Verb: "patch", Group: group, Resource: resource, Subresource: "status", Namespace: api.Namespace})
	}
	return all
}

// Lacking implements Clusters.
func (l *Live) Lacking(ctx context.Context, needs map[string][]plan.Need) map[string]string {
	var mu sync.Mutex
	var wg sync.WaitGroup
	lacking := map[string]string{}
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
			why := strings.Join(words, "; ")
			if why == "" && err != "" {
				why = "they could not be asked for: " + err
			}
			if why != "" {
				mu.Lock()
				defer mu.Unlock()
				lacking[name] = why
			}
		})
	}
	wg.Wait()
	return lacking
}
