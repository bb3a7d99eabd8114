package deploy

import (
	"context"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/install"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Used reads which namespace runs use in the cluster: the one that the roster's kind names, else the usual one.
func (c Cluster) Used(ctx context.Context) (install.Used, error) {
	ctx, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
	defer cancel()
	kind := roster.CRDRef()
	body, there, err := c.find(ctx, kind)
	if err != nil {
		return install.Used{}, fmt.Errorf("reading %s in %s: %s", kind, c.Context, observe.Explain(err))
	}
	if there {
		namespace, err := roster.NamedBy(body)
		if err != nil {
			return install.Used{}, fmt.Errorf("in context %s: %w", c.Context, err)
		}
		return install.Used{Namespace: namespace, Kind: true}, nil
	}
	used := install.Used{Namespace: api.Namespace}
	for _, ref := range []plan.Ref{engine.JournalRef(api.Namespace), apply.LockRef(api.Namespace)} {
		_, there, err := c.find(ctx, ref)
		if err != nil {
			return install.Used{}, fmt.Errorf("reading %s in %s: %s", ref, c.Context, observe.Explain(err))
		}
		used.Ran = used.Ran || there
	}
	return used, nil
}
