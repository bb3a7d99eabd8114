package live

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

const (
	// believed is how long a reading may be decided from; in any case for as long as the decision that it was made for
	// may take.
	believed = 5 * time.Second
	// margin is what is left of a decision's time, a tenth of it at most, when the edges' time is over.
	margin = 500 * time.Millisecond
	// grace is how long reads that were cancelled may take to return.
	grace = 100 * time.Millisecond
	// heldBytes bounds what the answers of all edges may hold at one time.
	heldBytes = 64 << 20
)

// Reader reads registered edges.
type Reader struct {
	objects   dynamic.Interface // of the hub
	namespace string            // of the kubeconfigs
	roster    Roster
	agent     string
	log       *slog.Logger
	clock     clock.PassiveClock
	held      *edgereader.Budget

	mu    sync.Mutex
	edges map[string]*edge // by the name of the roster's entry, which is its Secret's
}

// edge is the connection to one edge, for as long as its kubeconfig stays what it is.
type edge struct {
	digest [sha256.Size]byte // of the kubeconfig
	client *edgereader.Client
	err    error // why the kubeconfig is refused
}

// Roster lists every entry of the roster.
type Roster func(context.Context) ([]api.EdgeCluster, error)

// NewReader reads the kubeconfigs from a namespace of the cluster of cfg.
func NewReader(cfg *rest.Config, namespace string, roster Roster, version string, log *slog.Logger) (*Reader, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1 // a decision must not wait behind another one
	objects, err := dynamic.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for the kubeconfigs of edges: %w", err)
	}
	return &Reader{objects: objects, namespace: namespace, roster: roster, agent: "xcpauth-webhook/" + version, log: log,
		clock: clock.RealClock{}, held: edgereader.NewBudget(heldBytes), edges: map[string]*edge{}}, nil
}

// Inventory is how the inventory of a hub is read.
type Inventory func(ctx context.Context, hubNamespace string) (verdict.Inventory, error)

// WithLiveReads adds to an inventory what is read of its members in their own clusters: of those that are to be read
// live, and of those whose kubeconfig is in the hub all the same, so that what is stated of them is checked. Where it
// is not known which those are, no statement of an edge can be checked, and none counts; who may not list them has
// none. The kubeconfigs are read beside the inventory.
func (r *Reader) WithLiveReads(read Inventory) Inventory {
	return func(ctx context.Context, hubNamespace string) (verdict.Inventory, error) {
		listed := make(chan secrets, 1)
		go func() { listed <- r.list(ctx) }()
		inv, err := read(ctx, hubNamespace)
		if err != nil || len(inv.Roster) == 0 {
			return inv, err
		}
		var found secrets
		select {
		case found = <-listed:
		case <-ctx.Done():
			found = secrets{err: ctx.Err()}
		}
		untold := found.err != nil && !apierrors.IsForbidden(found.err)
		var members []api.EdgeCluster
		for _, e := range inv.Roster {
			if _, readable := found.byName[e.Name]; (readable || untold) && e.Spec.Role == api.RoleEdge ||
				e.Spec.Evidence == api.EvidenceLive {
				members = append(members, e)
			}
		}
		if len(members) > 0 {
			inv.Live = r.read(ctx, members, found)
		}
		return inv, nil
	}
}

// read reads the members, all at once, and returns one reading for each when all have answered, or when their time is
// over.
func (r *Reader) read(ctx context.Context, members []api.EdgeCluster, found secrets) map[string]verdict.Reading {
	if found.err == nil {
		r.keepOnly(found)
	}
	began := r.clock.Now()
	ctx, cancel := withMargin(ctx)
	defer cancel()
	type answer struct {
		name    string
		reading verdict.Reading
	}
	answers := make(chan answer, len(members))
	for _, m := range members {
		go func() { answers <- answer{m.Name, r.one(ctx, m, found)} }()
	}
	readings := make(map[string]verdict.Reading, len(members))
	over := ctx.Done()
	var late <-chan time.Time
	for waiting := true; waiting && len(readings) < len(members); {
		select {
		case a := <-answers:
			readings[a.name] = a.reading
		case <-over:
			over, late = nil, time.After(grace) // what was cancelled returns at once, and says what it waited for
		case <-late:
			waiting = false
		}
	}
	for _, m := range members {
		if _, answered := readings[m.Name]; !answered {
			count(string(edgereader.Timeout), r.clock.Since(began))
			readings[m.Name] = verdict.Reading{Why: edgereader.TimedOut(r.clock.Since(began)).Why}
		}
	}
	return readings
}

// withMargin ends a little before ctx does, so that there is time to answer.
func withMargin(ctx context.Context) (context.Context, context.CancelFunc) {
	end, bounded := ctx.Deadline()
	if !bounded {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end.Add(-min(margin, time.Until(end)/10)))
}

// one reads one member:
//
//  1. With the kubeconfig that its Secret holds, rebuilt.
//  2. In one burst, or two where a pod does not tell whose it is; and once more when its token was refused and its
//     Secret holds another by now.
//  3. What was found must be of the ControlPlane that was registered.
func (r *Reader) one(ctx context.Context, m api.EdgeCluster, found secrets) verdict.Reading {
	began := r.clock.Now()
	unknown := func(outcome, why string) verdict.Reading {
		count(outcome, r.clock.Since(began))
		return verdict.Reading{Why: why}
	}
	cp := m.Spec.ControlPlane
	secret, there := found.byName[m.Name]
	switch {
	case cp == nil || cp.UID == "":
		return unknown(notRegistered, "its entry names no ControlPlane")
	case found.err != nil:
		return unknown(noKubeconfig, fmt.Sprintf("the kubeconfigs in namespace %s could not be read: %v",
			r.namespace, found.err))
	case !there:
		return unknown(noKubeconfig, fmt.Sprintf("Secret %s/%s with its kubeconfig is not there; make it with: kubectl xcpauth edge register %s", r.namespace, m.Name, m.Name))
	}
	client, err := r.connect(m.Name, secret.kubeconfig)
	if err != nil {
		return unknown(badKubeconfig, fmt.Sprintf("in Secret %s/%s, %v; make it again with: kubectl xcpauth edge register %s",
			r.namespace, m.Name, err, m.Name))
	}
	reads := func(soFar map[plan.Read]plan.Result) []plan.Read { return state.LiveReads(*cp, soFar) }
	results, fault := client.Bursts(ctx, reads, state.Trim)
	if fault != nil && fault.Kind == edgereader.Unauthorized {
		if newer, ok := r.newer(ctx, m.Name, secret); ok {
			if client, err = r.connect(m.Name, newer.kubeconfig); err == nil {
				results, fault = client.Bursts(ctx, reads, state.Trim)
			}
		}
	}
	if fault != nil {
		why := fault.Why
		if fault.Kind == edgereader.Unauthorized || fault.Kind == edgereader.Forbidden || fault.Kind == edgereader.Untrusted {
			why += "; if that is as it should be, renew its access with: kubectl xcpauth edge register " + m.Name
		}
		return unknown(string(fault.Kind), why)
	}
	presents, why := state.Live(results, *cp)
	if presents == nil {
		return unknown(unclear, why)
	}
	at := r.clock.Now()
	count(ok, at.Sub(began))
	until := at.Add(believed)
	if end, bounded := ctx.Deadline(); bounded && end.Add(margin).After(until) {
		until = end.Add(margin)
	}
	return verdict.Reading{Presents: presents, At: at, Until: until, Why: why}
}

// connect returns the client of an edge, made again when its kubeconfig has changed. The old one ends with what it
// has in flight.
func (r *Reader) connect(name string, kubeconfig []byte) (*edgereader.Client, error) {
	digest := sha256.Sum256(kubeconfig)
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.edges[name]; e != nil && e.digest == digest {
		return e.client, e.err
	}
	made := &edge{digest: digest}
	k, err := edgereader.Parse(kubeconfig)
	if err == nil {
		made.client, err = edgereader.NewClient(k, r.agent, r.held)
	}
	made.err = err
	r.drop(name)
	r.edges[name] = made
	return made.client, made.err
}

// keepOnly drops the connections of edges whose Secret is gone.
func (r *Reader) keepOnly(found secrets) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name := range r.edges {
		if _, there := found.byName[name]; !there {
			r.drop(name)
		}
	}
}

// drop is called with mu held.
func (r *Reader) drop(name string) {
	if e := r.edges[name]; e != nil && e.client != nil {
		e.client.Close()
	}
	delete(r.edges, name)
}

// Close lets every connection go.
func (r *Reader) Close() { r.keepOnly(secrets{}) }
