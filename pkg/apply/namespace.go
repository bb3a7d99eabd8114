package apply

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// StateNamespace is where a cluster keeps the roster, the journal and the lock, as it said when it was first looked at.
// Where it did not say, that is an error, and it is not asked again: what was decided since rests on that look, and in
// another namespace there is another lock.
func (l *Live) StateNamespace(ctx context.Context, c *kubeconfig.Cluster) (string, error) {
	l.mu.Lock()
	_, seen := l.latest[c.Context]
	l.mu.Unlock()
	if !seen {
		l.Observe(ctx, c.Context)
	}
	if in, known := l.namespaces.Load(c.Context); known {
		return in.(string), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, unknown := roster.In(l.latest[c.Context].Reads)
	return "", errors.New(cmp.Or(unknown, l.latest[c.Context].Err, "it is not known in which namespace the lock is") +
		"; run the command again")
}

// asNamed is a state without its hub where that keeps its state in another namespace than the user named.
func (l *Live) asNamed(f plan.State) plan.State {
	if in := f.Hub.Roster.In; f.Hub.Found && l.Namespace != "" && in != l.Namespace {
		f.Hub.Found = false
		f.Hub.Err = fmt.Sprintf("the hub in context %s keeps its state in namespace %s, not in %s; leave --namespace out",
			f.Hub.Context, in, l.Namespace)
	}
	return f
}
