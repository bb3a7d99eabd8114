package apply

import (
	"context"
	"strings"
	"sync"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// MissingPermissions implements Clusters.
func (l *Live) MissingPermissions(ctx context.Context, needs map[string][]plan.Permission) map[string]engine.Denial {
	var mu sync.Mutex
	var wg sync.WaitGroup
	lacking := map[string]engine.Denial{}
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
			lack := engine.Denial{Why: strings.Join(words, "; ")}
			if len(words) == 0 && err != "" {
				lack = engine.Denial{Why: err, Unknown: true}
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
