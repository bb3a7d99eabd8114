package deploy

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

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
	body, there, err := c.find(ctx, roster.CRDRef())
	if err != nil {
		return install.Used{}, err
	}
	if there {
		namespace, err := roster.NamedBy(body)
		if err != nil {
			return install.Used{}, fmt.Errorf("in context %s: %w", c.Context, err)
		}
		return install.Used{Namespace: namespace, Kind: true}, nil
	}
	_, kept, err := c.find(ctx, engine.JournalRef(api.Namespace))
	return install.Used{Namespace: api.Namespace, Journal: kept}, err
}

// find reads an object that may not be there.
func (c Cluster) find(ctx context.Context, ref plan.Ref) (body []byte, there bool, err error) {
	body, err = c.get(ctx, ref)
	switch {
	case apierrors.IsNotFound(err):
		return nil, false, nil
	case err != nil:
		return nil, false, fmt.Errorf("reading %s in %s: %s", ref, c.Context, observe.Explain(err))
	}
	return body, true, nil
}
