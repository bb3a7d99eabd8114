package enrol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// Roster returns the entries of the hub's roster, sorted by name, and when they were read.
func (l Enroller) Roster(ctx context.Context) ([]api.EdgeCluster, time.Time, error) {
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return nil, f.At, err
	}
	entries, err := l.entries(ctx, hub)
	return entries, f.At, err
}

// entries lists the roster of a hub.
func (l Enroller) entries(ctx context.Context, hub hubCluster) ([]api.EdgeCluster, error) {
	b, err := kubeconfig.Body(hub.REST.Get().AbsPath(observe.Path(plan.Read{Group: api.GroupVersion.Group,
		Version:  api.GroupVersion.Version,
		Resource: api.EdgeClusters.Resource, Namespace: hub.entry("").Namespace})).Do(ctx))
	if apierrors.IsNotFound(err) {
		return nil, nil // not installed: nobody is registered
	}
	if err != nil {
		return nil, fmt.Errorf("listing the roster in %s: %s", hub.Context, observe.Explain(err))
	}
	entries, err := kube.DecodeList[api.EdgeCluster](b)
	if err != nil {
		return nil, fmt.Errorf("decoding the roster in %s: %w", hub.Context, err)
	}
	sorting.Stable(entries, func(a, b *api.EdgeCluster) int { return strings.Compare(a.Name, b.Name) })
	return entries, nil
}

// Forget takes a member out of the roster, unless it is seen running or in flight and alive is false; or unless the
// hub itself still lists it, for then it would go on counting. The Event with the reason is written first: without it
// nothing is forgotten. One that is forgotten alive is so beside no other run, and what was seen of it before is not
// taken over any more.
func (l Enroller) Forget(ctx context.Context, name, source, reason string, alive bool) error {
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return err
	}
	source = l.RunBy(ctx, hub.Context, source)
	m := f.Member(name)
	if err := mayForget(f, m, name, alive); err != nil {
		return err
	}
	needs := map[string][]plan.Permission{hub.Context: forgetting(hub, name, alive, m != nil && m.ReadLive)}
	if err := engine.Allowed(ctx, l, needs); err != nil {
		return err
	}
	if alive { // the journal is written, and that only by who holds the lock: else a wave's way back could be lost
		var lock engine.Lock
		if lock, f, err = l.lockHub(ctx, hub, f, source); err != nil {
			return &engine.NotBegunError{Err: fmt.Errorf("nothing was forgotten: %w", err)}
		}
		defer lock.Unlock()
	}
	now := l.Now().UTC()
	told := plan.WaveRecord{Wave: "forget", Began: now, Ended: now, By: source, Steps: []string{roster.ForgetStep(name)},
		Result: "forgotten: " + reason}
	entry, err := entryToForget(ctx, hub, f, name, alive)
	if err != nil {
		return err
	}
	if entry == nil {
		return l.drop(ctx, hub.Context, name, told)
	}
	if err := writeEvent(ctx, hub, forgottenEvent(hub.entry(name).Namespace, name, apply.UID(entry), source, reason,
		now)); err != nil {
		return fmt.Errorf("nothing was forgotten: writing the Event about %s in %s: %s", name, hub.Context,
			observe.Explain(err))
	}
	precondition, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "DeleteOptions",
		"preconditions": map[string]any{"uid": apply.UID(entry)}})
	if err != nil {
		return fmt.Errorf("encoding the deletion of %s: %w", name, err)
	}
	if err := apply.SendDeletion(ctx, hub.REST.Delete().AbsPath(apply.ObjectPath(hub.entry(name))).SetHeader(
		"Content-Type", "application/json").Body(precondition), hub.entry(name)); err != nil {
		return fmt.Errorf("deleting %s in %s: %s", hub.entry(name), hub.Context, observe.Explain(err))
	}
	// nobody would renew or remove it any more
	if isReadLive(entry) {
		if _, err := l.Write(ctx, plan.Write{Context: hub.Context, Object: hub.kubeconfig(name),
			Op: plan.OpDelete}, nil); err != nil {
			return fmt.Errorf("%s is forgotten, and its kubeconfig is left in the hub: %w", name, err)
		}
	}
	if !alive {
		return nil
	}
	return l.drop(ctx, hub.Context, name, told)
}

// mayForget refuses to forget a member that would go on counting, or that alive alone says may be forgotten.
func mayForget(f plan.State, m *plan.Member, name string, alive bool) error {
	switch {
	case m != nil && m.Err == "" && len(m.Workload.Processes) > 0 && !alive:
		return fmt.Errorf("%s is running in context %s (%s); forgetting it lets the hub refuse it; pass --alive if "+
			"that is meant", name, m.Context, m.Evidence.Why)
	case f.Hub.InFlight != "" && !alive:
		return fmt.Errorf("%s is in flight, and may hold %s; kubectl xcpauth migrate restores it; pass --alive to "+
			"forget it all the same", f.Hub.InFlight, name)
	case m != nil && m.Role == plan.RoleEdge && slices.Contains(f.Hub.Inventory, m.ClusterName) && !alive:
		return fmt.Errorf("the hub itself lists cluster %s, so it would go on counting; first delete the cluster "+
			"from TSB, and see that clusters.xcp.tetrate.io/%s in namespace %s of %s is gone",
			m.ClusterName, m.ClusterName, f.Hub.Object.Namespace, f.Hub.Context)
	}
	return nil
}

// lockHub becomes the only writer of a hub. What was seen before it waited for another run is past: it looks again.
func (l Enroller) lockHub(ctx context.Context, hub hubCluster, f plan.State, source string) (engine.Lock, plan.State,
	error) {
	lock, waited, err := engine.AwaitLock(ctx, l, hub.Context, source, l.Now().Add(l.LockTimeout), l.Report)
	if err == nil && waited {
		f = l.Observe(ctx)
	}
	return lock, f, err
}

// entryToForget is the roster's entry of a member; nil when there is none, and the wave in flight alone may hold it.
func entryToForget(ctx context.Context, hub hubCluster, f plan.State, name string,
	alive bool) (map[string]any, error) {
	entry, err := apply.Get(ctx, hub.Cluster, hub.entry(name))
	switch {
	case err == nil:
		return entry, nil
	case !apierrors.IsNotFound(err):
		return nil, fmt.Errorf("reading %s in %s: %s", hub.entry(name), hub.Context, observe.Explain(err))
	case alive && f.Hub.InFlight != "":
		return nil, nil
	case f.Member(name) == nil:
		return nil, errors.New(f.UnknownMember(name))
	}
	return nil, fmt.Errorf("%s is not in the roster of %s; kubectl xcpauth edge list shows who is", name, hub.Context)
}

// forgottenEvent is the Event that says why a member was forgotten.
func forgottenEvent(namespace, name, uid, source, reason string, now time.Time) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "Forgotten",
		"metadata": map[string]any{"name": fmt.Sprintf("%s.%x", name, now.UnixNano()), "namespace": namespace},
		"involvedObject": map[string]any{"apiVersion": api.GroupVersion.String(), "kind": "EdgeCluster",
			"namespace": namespace, "name": name, "uid": uid},
		"message":        fmt.Sprintf("forgotten by %s: %s", source, reason),
		"source":         map[string]any{"component": apply.FieldManager},
		"firstTimestamp": now.Format(time.RFC3339), "lastTimestamp": now.Format(time.RFC3339), "count": 1,
	}
}

// writeEvent writes an Event, which has a name of its own.
func writeEvent(ctx context.Context, hub hubCluster, event map[string]any) error {
	doc, err := json.Marshal(event)
	if err != nil {
		return fmt.Errorf("encoding it: %w", err)
	}
	meta := event["metadata"].(map[string]any)
	ref := plan.Ref{Version: "v1", Kind: "Event", Resource: "events", Namespace: meta["namespace"].(string),
		Name: meta["name"].(string)}
	_, err = apply.Send(ctx, hub.REST.Post().AbsPath("/api/v1/namespaces/"+ref.Namespace+"/events").SetHeader(
		"Content-Type", "application/json").Body(doc), ref, "")
	return err
}

// isReadLive says whether an entry of the roster is decided from what is read in the member's own cluster.
func isReadLive(entry map[string]any) bool {
	spec, _ := entry["spec"].(map[string]any)
	return spec["evidence"] == string(api.EvidenceLive)
}

// hubCluster is the hub's cluster, with the namespace of its roster.
type hubCluster struct {
	*kubeconfig.Cluster
	namespace string
}

// entry names the roster's entry of a member.
func (h hubCluster) entry(member string) plan.Ref { return roster.Ref(h.namespace, member) }

// kubeconfig names the Secret with the kubeconfig of a member's reader.
func (h hubCluster) kubeconfig(member string) plan.Ref {
	return edgereader.SecretRef(h.namespace, roster.ObjectName(member))
}

// findHub looks for the hub and returns its client.
func (l Enroller) findHub(ctx context.Context) (hubCluster, plan.State, error) {
	f := l.Observe(ctx)
	if !f.Hub.Found {
		return hubCluster{}, f, errors.New(f.Hub.Err)
	}
	c, err := l.Fleet.Cluster(f.Hub.Context)
	if err != nil {
		return hubCluster{}, f, err
	}
	namespace, err := l.StateNamespace(ctx, c)
	return hubCluster{c, namespace}, f, err
}

// drop takes a member that is forgotten out of the wave in flight, since there is nothing left to take back, and
// tells of it in the history: what was seen of it before is not taken over any more.
func (l Enroller) drop(ctx context.Context, hub, name string, told plan.WaveRecord) error {
	j, err := l.ReadJournal(ctx, hub)
	if err != nil {
		return err
	}
	if j.InFlight != nil {
		left := *j.InFlight
		left.Steps = slices.DeleteFunc(slices.Clone(left.Steps), func(s engine.EntryStep) bool { return s.Member == name })
		if j.InFlight = &left; len(left.Steps) == 0 {
			j.InFlight = nil
		}
	}
	j.Record(told)
	return l.WriteJournal(ctx, hub, j)
}
