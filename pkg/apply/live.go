package apply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Live is the clusters of a kubeconfig.
type Live struct {
	Fleet        *kubeconfig.Fleet
	Observer     *observe.Observer
	Provider     plan.Provider
	Where        plan.Selection // which of the contexts hold the hub
	Supplier     Supplier       // where credentials come from; nil when nowhere
	SecretFields map[string]FillSecret
	// Namespace is where the user says that the hub keeps its state; "" = the hub says.
	Namespace string
	// API writes objects of a hub's own API; nil where there is none.
	API HubAPI
	// By says who runs this as a cluster knows it; nil = as the caller says.
	By func(ctx context.Context, context string) string

	mu     sync.Mutex
	latest map[string]plan.Snapshot
	uids   map[string]string // of each context's cluster, as it was read last
	// namespaces are where the roster, the journal and the lock lie, by context, as each said when it was first read.
	namespaces sync.Map
	// journals are those that this run has read or written, by context.
	journals sync.Map
}

// HubAPI writes objects of a hub's own API.
type HubAPI interface {
	// Write carries out a write with Via, with the comparisons of a write to a cluster. With dryRun nothing is written.
	Write(ctx context.Context, c *kubeconfig.Cluster, w plan.Write, fill func(map[string]any) error, still func() error,
		dryRun bool) (wrote bool, err error)
}

// Observe implements Clusters.
func (l *Live) Observe(ctx context.Context, contexts ...string) plan.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.latest == nil {
		l.latest, l.uids, contexts = map[string]plan.Snapshot{}, map[string]string{}, nil // nothing was seen yet
	}
	if len(contexts) == 0 {
		contexts = l.Fleet.Contexts()
	} else {
		contexts = l.withTwins(contexts)
	}
	return l.saw(ctx, l.Observer.All(ctx, contexts))
}

// Glance implements Clusters. A context that leads to the same cluster as one of those is glanced at too.
func (l *Live) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	l.mu.Lock()
	defer l.mu.Unlock()
	contexts := l.withTwins(slices.Sorted(maps.Keys(moves)))
	return l.saw(ctx, l.Observer.Again(ctx, contexts, l.latest, func(name string, r plan.Read) bool {
		if its, named := moves[name]; named {
			return its == nil || its(r)
		}
		for _, of := range moves { // it is not told which of them it leads to
			if of == nil || of(r) {
				return true
			}
		}
		return false
	}))
}

// saw keeps snapshots, and makes a state of what was last seen of every context.
func (l *Live) saw(ctx context.Context, snaps []plan.Snapshot) plan.State {
	for _, s := range snaps {
		if _, known := l.latest[s.Context]; !known || ctx.Err() == nil { // an interrupted look says less than the last one
			l.latest[s.Context] = s
		}
		if uid := kube.ClusterUID(s); uid != "" {
			l.uids[s.Context] = uid
		}
		if in, unknown := roster.In(s.Reads); unknown == "" && s.Err == "" {
			l.namespaces.LoadOrStore(s.Context, in)
		}
	}
	all := make([]plan.Snapshot, 0, len(l.latest))
	for _, name := range l.Fleet.Contexts() {
		all = append(all, l.latest[name])
	}
	return l.asNamed(l.Provider.ReadState(all, l.Where, l.Now()))
}

// withTwins adds to contexts those that lead to the same clusters. Where one of them fails, another tells of the
// cluster, and must not tell what it was like before.
func (l *Live) withTwins(contexts []string) []string {
	endpoints, uids := map[string]bool{}, map[string]bool{}
	for _, name := range contexts {
		endpoints[l.Fleet.Endpoint(name)], uids[l.uids[name]] = true, true
	}
	delete(endpoints, "") // not known
	delete(uids, "")
	all := slices.Clone(contexts)
	for _, name := range l.Fleet.Contexts() {
		if (endpoints[l.Fleet.Endpoint(name)] || uids[l.uids[name]]) && !slices.Contains(contexts, name) {
			all = append(all, name)
		}
	}
	return all
}

// RunBy is who runs this: as a cluster knows it, else as the caller says.
func (l *Live) RunBy(ctx context.Context, context, source string) string {
	if l.By == nil {
		return source
	}
	return l.By(ctx, context)
}

// Now implements Clusters. It goes on while the machine sleeps, which the monotonic clock does not: what was seen
// before is old then.
func (l *Live) Now() time.Time { return time.Now().Round(0) }

// Write implements Clusters. A kind that it makes is served when it returns.
func (l *Live) Write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	wrote, err := writer{fleet: l.Fleet, fills: l.SecretFields, api: l.API}.write(ctx, p, still)
	if err == nil && p.Op == plan.OpCreate && p.Object.Kind == "CustomResourceDefinition" {
		err = l.served(ctx, p)
	}
	return wrote, err
}

// served waits until the API server serves the kind of a CustomResourceDefinition that was just made.
func (l *Live) served(ctx context.Context, crd plan.Write) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	c, err := l.Fleet.Cluster(crd.Context)
	if err != nil {
		return err
	}
	namespace, err := l.StateNamespace(ctx, c)
	if err != nil {
		return err
	}
	list := observe.Path(plan.Read{Group: api.GroupVersion.Group, Version: api.GroupVersion.Version,
		Resource: api.EdgeClusters.Resource, Namespace: namespace})
	for {
		err := c.REST.Get().AbsPath(list).Do(ctx).Error()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("waiting for %s in %s to be served: %s", crd.Object, crd.Context, observe.Explain(err))
		}
		l.Pause(ctx, 200*time.Millisecond)
	}
}

// Pause implements Clusters.
func (l *Live) Pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Probe implements Clusters. The connection is a new one each time, since each may lead to another of a cluster's API
// servers.
func (l *Live) Probe(ctx context.Context, p plan.Write) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	c, err := l.Fleet.Cluster(p.Context)
	if err != nil {
		return "", err
	}
	client, end, err := c.Fresh()
	if err != nil {
		return "", err
	}
	defer end()
	body := maps.Clone(p.After)
	body["metadata"] = map[string]any{"uid": p.Object.UID}
	doc, err := json.Marshal(body)
	if err != nil {
		return "", fmt.Errorf("encoding the probe of %s: %w", p.Object, err)
	}
	req := client.Patch(types.MergePatchType).AbsPath(ObjectPath(p.Object)).Body(doc)
	err = writer{dryRun: true}.options(req).Do(ctx).Error()
	var denied *engine.DeniedError
	switch err := (writer{}).explain(p, err); {
	case errors.As(err, &denied):
		return denied.Message, nil
	default:
		return "", err
	}
}

// Publish implements Clusters. What was taken back after it was seen is not stated again.
func (l *Live) Publish(ctx context.Context, hub string, m plan.Member, st api.EdgeClusterStatus) error {
	c, err := l.Fleet.Cluster(hub)
	if err != nil {
		return err
	}
	st.Conditions = nil // the webhook's auditor writes those, even where a statement that was provided has some
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&st)
	if err != nil {
		return fmt.Errorf("encoding the statement about %s: %w", m.Name, err)
	}
	for _, key := range []string{"rotationTime", "fence"} { // what an older statement said must not stay beside this one
		if _, said := status[key]; !said {
			status[key] = nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	namespace, err := l.StateNamespace(ctx, c)
	if err != nil {
		return fmt.Errorf("publishing the statement about %s in %s: %w", m.Name, hub, err)
	}
	for range conflictRetries {
		if err = publish(ctx, c, roster.Ref(namespace, m.Name), st.ObservedTime, status); !apierrors.IsConflict(err) {
			break // else it was written meanwhile: look again
		}
	}
	var back *engine.RetractedError
	switch {
	case errors.As(err, &back):
		return back
	case err != nil:
		return fmt.Errorf("publishing the statement about %s in %s: %s", m.Name, hub, observe.Explain(err))
	}
	return nil
}

// publish writes the status of a member's entry as it stands now.
func publish(ctx context.Context, c *kubeconfig.Cluster, entry plan.Ref, observed *metav1.Time,
	status map[string]any) error {
	body := map[string]any{"status": status}
	live, err := Get(ctx, c, entry)
	switch {
	case apierrors.IsNotFound(err): // as the write will say
	case err != nil:
		return err
	default:
		var stands struct {
			Metadata map[string]any        `json:"metadata"`
			Status   api.EdgeClusterStatus `json:"status"`
		}
		if b, err := json.Marshal(live); err != nil || json.Unmarshal(b, &stands) != nil {
			return fmt.Errorf("%s is not as its kind says", entry)
		}
		if why := roster.TakenBackSince(stands.Status, observed.Time); why != "" {
			return &engine.RetractedError{Why: why}
		}
		body["metadata"] = map[string]any{"uid": stands.Metadata["uid"],
			"resourceVersion": stands.Metadata["resourceVersion"]}
	}
	doc, err := json.Marshal(body)
	if err != nil {
		return err
	}
	_, err = Send(ctx, c.REST.Patch(types.MergePatchType).AbsPath(ObjectPath(entry)+"/status").
		Param("fieldManager", FieldManager).Param("fieldValidation", "Strict").Body(doc), entry, "")
	return err
}
