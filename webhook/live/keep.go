package live

import (
	"context"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
)

// DefaultKeep is how often connections and tokens are looked at: often enough that an API server does not let an idle
// connection go, which it does after 90 seconds.
const DefaultKeep = time.Minute

// tendWithin bounds what is done for one edge between decisions.
const tendWithin = 20 * time.Second

// Keep looks after connections and tokens until ctx ends, then lets the connections go. No decision rests on it.
func (r *Reader) Keep(ctx context.Context, every time.Duration) {
	defer r.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		r.Tend(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// Tend renews every token that is past two thirds of its life, and makes every connection that is not there. What
// fails is logged, counted, and tried again the next time.
func (r *Reader) Tend(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*tendWithin)
	defer cancel()
	members, err := r.roster(ctx)
	members = slices.DeleteFunc(members, func(m api.EdgeCluster) bool { return m.Spec.Evidence != api.EvidenceLive })
	if err != nil || len(members) == 0 {
		return // a roster that cannot be read is what readiness reports
	}
	found := r.list(ctx)
	if found.err != nil {
		r.log.Warn("the kubeconfigs of edges could not be read", "error", found.err.Error())
		return
	}
	r.keepOnly(found)
	var tending sync.WaitGroup
	for _, m := range members {
		if s, there := found.byName[m.Name]; there {
			tending.Go(func() {
				ctx, cancel := context.WithTimeout(ctx, tendWithin)
				defer cancel()
				r.tend(ctx, m.Name, s)
			})
		}
	}
	tending.Wait()
}

func (r *Reader) tend(ctx context.Context, name string, s secret) {
	client, err := r.connect(name, s.kubeconfig)
	if err != nil {
		r.log.Warn("the kubeconfig of an edge is refused", "edge", name, "error", err.Error())
		return
	}
	if r.clock.Now().Before(edgereader.RenewAt(s.annotations)) {
		if fault := client.Warm(ctx); fault != nil {
			r.log.Info("an edge could not be reached", "edge", name, "why", fault.Why)
		}
		return
	}
	outcome, err := r.renew(ctx, client, name, s)
	renewals.WithLabelValues(outcome).Inc()
	if err != nil {
		r.log.Warn("the token of an edge could not be renewed", "edge", name, "error", err.Error())
		return
	}
	r.log.Info("the token of an edge is renewed", "edge", name, "by", outcome)
}

// renew gets a new token and stores it, unless another replica has done so meanwhile.
func (r *Reader) renew(ctx context.Context, client *edgereader.Client, name string,
	s secret) (outcome string, err error) {
	k, token, err := client.Renew(ctx)
	if err != nil {
		return renewalFailed, err
	}
	text, err := k.Encode()
	if err != nil {
		return renewalFailed, err
	}
	stored, err := r.store(ctx, name, s, text, token)
	switch {
	case apierrors.IsConflict(err), err == nil && !stored:
		return renewedByOther, nil
	case err != nil:
		return renewalFailed, err
	}
	_, err = r.connect(name, text)
	return renewed, err
}
