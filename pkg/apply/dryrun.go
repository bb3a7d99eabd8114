package apply

import (
	"context"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// DryRun sends every write of a plan to its API server with dryRun=All, so that permissions and admission are tried
// and nothing is stored, and returns what the servers said, by step ID. It says whether all were accepted. Three
// kinds of write are not sent, or not judged, and said not to be: one that needs an object which an earlier step makes;
// one that a fence denies which is removed before it; and one that withdraws a credential which a member still presents
// today: it must be denied now, and is asked again when its turn comes.
func (l *Live) DryRun(ctx context.Context, f plan.State, p plan.Plan) (map[string][]string, bool) {
	said, all := map[string][]string{}, true
	unfenced := map[string]bool{} // the contexts whose fence an earlier write removes
	rosterReady := f.Hub.Roster.Namespace && f.Hub.Roster.Kind
	for i, wave := range p.Waves {
		for _, s := range wave.Steps {
			if s.Withdraws != nil {
				if blockers := f.Blockers(s, l.Now()); len(blockers) > 0 {
					said[s.ID] = append(said[s.ID], fmt.Sprintf("not sent: today %s", blockers[0]))
					continue
				}
				if i > 0 {
					said[s.ID] = append(said[s.ID], "not sent: it must be denied until the waves before it are done")
					continue
				}
			}
			if s.Supply != nil {
				lines, ok := l.dryRunSupply(ctx, *s.Supply)
				said[s.ID], all = append(said[s.ID], lines...), all && ok
			}
			for _, write := range s.Writes {
				if write.Object.Kind == "EdgeCluster" && !rosterReady {
					said[s.ID] = append(said[s.ID], fmt.Sprintf("%s: not sent: its kind is made in the same step", write.Object))
					continue
				}
				line, err := l.try(ctx, write)
				if unfenced[write.Context] && engine.DeniedByFence(err) {
					line, err = fmt.Sprintf("%s: not sent: its fence denies it, and is removed before it", write.Object), nil
				}
				said[s.ID], all = append(said[s.ID], line), all && err == nil
				unfenced[write.Context] = unfenced[write.Context] ||
					write.Op == plan.OpDelete && write.Object.Name == plan.FenceName
			}
		}
	}
	return said, all
}

// Try sends one write with dryRun=All, and returns what its server said and whether that accepted it.
func (l *Live) Try(ctx context.Context, write plan.Write) (said string, accepted bool) {
	said, err := l.try(ctx, write)
	return said, err == nil
}

func (l *Live) try(ctx context.Context, write plan.Write) (string, error) {
	w := writer{fleet: l.Fleet, fills: l.SecretFields, api: l.API, dryRun: true}
	if _, err := w.write(ctx, write, nil); err != nil {
		return err.Error(), err
	}
	if write.Via != nil {
		return fmt.Sprintf("%s: not sent: the hub's own API has no dry run; it is as it was seen", write.Object), nil
	}
	return fmt.Sprintf("%s: %s", write.Object, Accepted), nil
}

// Accepted is what is said of a write that an API server would have taken.
const Accepted = "accepted (dry run)"
