package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Supplier gets a member the credentials that it lacks from outside.
type Supplier interface {
	// Secrets returns what is to be written into the member's namespace, and says in lines what that rests on and what
	// else was there and is left alone. It ends with ctx.
	Secrets(ctx context.Context, s plan.Supply) (secrets []map[string]any, said []string, err error)
	// From says in a few words where they come from.
	From() string
	// Makes says that asking makes something new outside, so that a dry run does not ask.
	Makes() bool
}

// Supply implements Clusters. A secret that is there is replaced when it is one of those wanted, and left as it is
// otherwise.
func (l *Live) Supply(ctx context.Context, s plan.Supply, still func() error) ([]string, error) {
	return l.supply(ctx, writer{fleet: l.Fleet}, s, still)
}

// dryRunSupply is Supply with which nothing is stored, here or outside. It says whether all was accepted.
func (l *Live) dryRunSupply(ctx context.Context, s plan.Supply) ([]string, bool) {
	if l.Supplier != nil && l.Supplier.Makes() {
		return []string{fmt.Sprintf("not asked: %s makes something new for each who asks", l.Supplier.From())}, true
	}
	said, err := l.supply(ctx, writer{fleet: l.Fleet, dryRun: true}, s, nil)
	if err != nil {
		return append(said, err.Error()), false
	}
	return said, true
}

func (l *Live) supply(ctx context.Context, w writer, s plan.Supply, still func() error) ([]string, error) {
	if l.Supplier == nil {
		return nil, fmt.Errorf("nothing says where the credentials of %s come from; pass --tctl or --secrets", s.Member)
	}
	secrets, said, err := l.Supplier.Secrets(ctx, s)
	if err != nil {
		return said, fmt.Errorf("getting the credentials of %s from %s: %w", s.Member, l.Supplier.From(), err)
	}
	c, err := l.Fleet.Cluster(s.Context)
	if err != nil {
		return said, err
	}
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	for _, o := range secrets {
		meta, _ := o["metadata"].(map[string]any)
		name, _ := meta["name"].(string)
		p := plan.Write{Context: s.Context, Op: plan.OpCreate, After: o,
			Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: s.Namespace, Name: name}}
		wrote, err := w.create(ctx, c, p, still)
		switch {
		case err == nil && !wrote && slices.Contains(s.Adds, name):
			said = append(said, fmt.Sprintf("%s is in %s by now, and left as it is", p.Object, s.Context))
			continue
		case err == nil && !wrote && s.Token != nil: // another run's, and perhaps in use
			return said, fmt.Errorf("%s is in %s already, and is left as it is; run the command again", p.Object, s.Context)
		case err == nil && !wrote:
			if err = ask(ctx, c, p); err == nil {
				wrote, err = w.replace(ctx, c, p, still)
			}
		}
		if err != nil {
			return said, err
		}
		if wrote {
			said = append(said, fmt.Sprintf("wrote %s in %s from %s", p.Object, s.Context, l.Supplier.From()))
		}
	}
	return said, nil
}

// ask asks of a secret that is about to be replaced who keeps it.
func ask(ctx context.Context, c *kubeconfig.Cluster, p plan.Write) error {
	live, err := Get(ctx, c, p.Object)
	if err != nil {
		return fmt.Errorf("reading %s in %s before replacing it: %w", p.Object, p.Context, Explained(err))
	}
	p.After = map[string]any{"data": p.After["data"]}
	return checkOwner(p, live)
}

// replace writes the data of a secret that is there.
func (w writer) replace(ctx context.Context, c *kubeconfig.Cluster, p plan.Write, still func() error) (bool, error) {
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	doc, err := json.Marshal(map[string]any{"data": p.After["data"]})
	if err != nil {
		return false, fmt.Errorf("encoding %s: %w", p.Object, err)
	}
	_, err = Send(ctx, w.options(c.REST.Patch(types.MergePatchType).AbsPath(ObjectPath(p.Object)).Body(doc)), p.Object, "")
	return err == nil, w.explain(p, err)
}
