package execute

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

type obj = map[string]any

// Observe implements Clusters: what the dialect makes of the objects of every cluster.
func (w *mesh) Observe(context.Context, ...string) plan.Facts {
	d := kongmesh.Dialect()
	var snaps []plan.Snapshot
	for _, context := range append([]string{"hub"}, w.names()...) {
		s := plan.Snapshot{Context: context, At: w.now, Reads: map[plan.Read]plan.Result{}}
		if z := w.zones[context]; z != nil && !z.reachable {
			s.Err = "the API server did not answer in time"
			snaps = append(snaps, s)
			continue
		}
		for next := d.Reads(s.Reads, true); len(next) > 0; next = d.Reads(s.Reads, true) {
			for _, r := range next {
				s.Reads[r] = w.read(context, r)
			}
		}
		snaps = append(snaps, s)
	}
	return d.Facts(snaps, plan.Selection{}, w.now)
}

// read answers a read as an API server would.
func (w *mesh) read(context string, r plan.Read) plan.Result {
	body := func(v any) plan.Result {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return plan.Result{Body: b}
	}
	items := func(all []any) plan.Result { return body(obj{"items": all}) }
	z, global := w.zones[context], context == "hub"
	of := &w.global
	if z != nil {
		of = &z.rollout
	}
	switch r.Resource {
	case "namespaces":
		if r.Name == "kube-system" {
			return body(obj{"metadata": obj{"name": r.Name, "uid": "cluster-" + context}})
		}
		if !w.namespace {
			return plan.Result{Missing: true}
		}
		return body(obj{"metadata": obj{"name": r.Name}})
	case "deployments":
		return items([]any{w.deployment(of)})
	case "replicasets":
		return items([]any{obj{"metadata": obj{"uid": of.uid + "-set", "ownerReferences": []any{obj{"kind": "Deployment", "uid": of.uid}}}}})
	case "pods":
		var all []any
		for _, p := range of.pods {
			all = append(all, w.podObject(of, p))
		}
		return items(all)
	case "secrets":
		return items(w.secretObjects(z))
	case "zones":
		var all []any
		for _, name := range w.names() {
			all = append(all, obj{"metadata": obj{"name": name}})
		}
		return items(all)
	case "zoneinsights":
		return items(w.insights())
	case "configmaps":
		if r.Name == api.JournalName && global && (w.home.InFlight != nil || w.home.Originals != nil || w.home.Past != nil) {
			data := obj{}
			for key, v := range map[string]any{api.JournalKey: w.home.InFlight, api.OriginalsKey: w.home.Originals, api.HistoryKey: w.home.Past} {
				b, err := json.Marshal(v)
				if err != nil {
					panic(err)
				}
				if string(b) != "null" {
					data[key] = string(b)
				}
			}
			return body(obj{"metadata": obj{"name": r.Name}, "data": data})
		}
	}
	return plan.Result{Missing: true}
}

func (w *mesh) deployment(r *rollout) obj {
	updated, available := 0, 0
	for _, p := range r.pods {
		if p.of == r.version && !p.ending {
			updated++
		}
		if p.ready && !p.ending {
			available++
		}
	}
	annotations := obj{}
	if r.restart != "" {
		annotations["xcpauth.io/restarted-for"] = r.restart
	}
	return obj{"metadata": obj{"name": "kong-mesh-control-plane", "namespace": kongmesh.KongNamespace, "uid": r.uid, "resourceVersion": fmt.Sprint(r.version), "generation": r.version, "labels": obj{"app": "kong-mesh-control-plane"}},
		"spec":   obj{"replicas": r.replicas, "template": obj{"metadata": obj{"annotations": annotations}, "spec": w.podSpec(r.env)}},
		"status": obj{"observedGeneration": r.version, "replicas": len(r.pods), "updatedReplicas": updated, "availableReplicas": available}}
}

func (w *mesh) podSpec(env []any) obj {
	return obj{"containers": []any{obj{"name": "control-plane", "image": "docker.io/kong/kuma-cp:" + w.version, "env": env}}}
}

func (w *mesh) podObject(r *rollout, p *meshPod) obj {
	meta := obj{"name": p.name, "uid": p.uid, "creationTimestamp": p.made.Format(time.RFC3339), "ownerReferences": []any{obj{"kind": "ReplicaSet", "uid": r.uid + "-set"}}}
	if p.ending {
		meta["deletionTimestamp"] = w.now.Format(time.RFC3339)
	}
	state, phase, ready := obj{"waiting": obj{"reason": p.waiting}}, "Pending", "False"
	if p.started {
		state, phase = obj{"running": obj{"startedAt": p.since.Format(time.RFC3339)}}, "Running"
	}
	if p.ready {
		ready = "True"
	}
	return obj{"metadata": meta, "spec": w.podSpec(p.env), "status": obj{"phase": phase, "conditions": []any{obj{"type": "Ready", "status": ready}}, "containerStatuses": []any{obj{"state": state}}}}
}

func (w *mesh) secretObjects(z *zone) []any {
	var all []any
	if z != nil {
		for _, name := range slices.Sorted(maps.Keys(z.secrets)) {
			s := z.secrets[name]
			all = append(all, obj{"metadata": obj{"name": name, "namespace": kongmesh.KongNamespace, "uid": s.uid, "creationTimestamp": s.written.Format(time.RFC3339)}, "type": "Opaque", "immutable": s.immutable, "data": obj{"token": s.token}})
		}
		return all
	}
	for _, name := range slices.Sorted(maps.Keys(w.keys)) {
		all = append(all, obj{"metadata": obj{"name": name, "namespace": kongmesh.KongNamespace, "uid": w.made[name]}, "type": kongmesh.SecretType, "data": obj{"value": kongmesh.EncodeKey(w.keys[name])}})
	}
	if w.list != nil {
		all = append(all, obj{"metadata": obj{"name": kongmesh.RevocationsName, "namespace": kongmesh.KongNamespace, "uid": "revocations"}, "type": kongmesh.SecretType, "data": obj{"value": w.list}})
	}
	return all
}

// revoke writes the list of revoked tokens.
func (w *mesh) revoke(p plan.Patch) (bool, error) {
	value := func(values obj) string { v, _ := values["data"].(obj)["value"].(string); return v }
	switch {
	case p.Create && w.list != nil:
		return false, nil
	case !p.Create && (w.list == nil || value(p.Before) != base64.StdEncoding.EncodeToString(w.list)):
		return false, &ChangedError{Object: p.Object, Context: p.Context}
	}
	var err error
	w.list, err = base64.StdEncoding.DecodeString(value(p.After))
	w.note("revoked: %s", w.list)
	return true, err
}

func (w *mesh) insights() []any {
	var all []any
	for _, name := range w.names() {
		var subs []any
		for _, s := range w.told[name] {
			sub := obj{"id": s.id, "connectTime": s.began.Format(time.RFC3339Nano)}
			if !s.ended.IsZero() {
				sub["disconnectTime"] = s.ended.Format(time.RFC3339Nano)
			}
			if s.provided {
				sub["authTokenProvided"] = true
			}
			subs = append(subs, sub)
		}
		all = append(all, obj{"metadata": obj{"name": name}, "spec": obj{"subscriptions": subs}})
	}
	return all
}

// count dies before the write, afterWrite after it.
func (w *mesh) count() {
	if w.writes++; w.writes == -w.killAt {
		w.note("KILLED before write %d", w.writes)
		panic(killed{})
	}
}

func (w *mesh) afterWrite() {
	if w.writes == w.killAt {
		w.note("KILLED after write %d", w.writes)
		panic(killed{})
	}
}

// Write implements Clusters, with the comparisons of the real writer.
func (w *mesh) Write(_ context.Context, p plan.Patch, still func() error) (bool, error) {
	w.count()
	defer w.afterWrite()
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	z := w.zones[p.Context]
	switch {
	case z != nil && !z.reachable:
		return false, fmt.Errorf("writing %s: the API server did not answer in time", p.Object)
	case p.Object.Kind == "Namespace":
		w.namespace = true
		return true, nil
	case p.Object.Name == kongmesh.RevocationsName:
		return w.revoke(p)
	case p.Object.Kind == "Secret" && p.Create:
		if p.Fill != kongmesh.KeyFill || z != nil || w.keys[p.Object.Name] != nil {
			return false, nil
		}
		w.note("key %s is added", p.Object.Name)
		w.addKey(p.Object.Name)
		return true, nil
	case p.Object.Kind == "Secret" && p.Delete && z != nil:
		delete(z.secrets, p.Object.Name)
		return true, nil
	case p.Object.Kind == "Secret" && p.Delete:
		w.note("key %s is deleted", p.Object.Name)
		delete(w.keys, p.Object.Name)
		return true, nil
	}
	r := &w.global
	if z != nil {
		r = &z.rollout
	}
	if p.Restart {
		why := fmt.Sprint(p.After["spec"].(obj)["template"].(obj)["metadata"].(obj)["annotations"].(obj)["xcpauth.io/restarted-for"])
		if r.restart == why {
			return false, nil
		}
		r.restart, r.version = why, r.version+1
		return true, nil
	}
	return r.write(p, w)
}

// write changes the environment of a Deployment.
func (r *rollout) write(p plan.Patch, w *mesh) (bool, error) {
	live := obj{"spec": obj{"template": obj{"spec": obj{"containers": []any{obj{"name": "control-plane", "env": r.env}}}}}}
	b, err := json.Marshal(p) // what a journal keeps of it is enough
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		panic(err)
	}
	switch {
	case !p.ByName || p.Object.UID != r.uid:
		return false, &ChangedError{Object: p.Object, Context: p.Context, By: "being re-created"}
	case covers(live, p.After, true), p.Unless != nil && covers(live, p.Unless, true):
		return false, nil
	case !covers(live, p.Before, true):
		return false, &ChangedError{Object: p.Object, Context: p.Context}
	}
	next := slices.Clone(r.env)
	container := strategic(p.After)["spec"].(obj)["template"].(obj)["spec"].(obj)["containers"].([]any)[0].(obj)
	for _, e := range container["env"].([]any) {
		change := e.(obj)
		next = slices.DeleteFunc(next, func(have any) bool { return have.(obj)["name"] == change["name"] })
		if change["$patch"] != "delete" {
			entry := obj{}
			for k, v := range change {
				if v != nil {
					entry[k] = v
				}
			}
			next = append(next, entry)
		}
	}
	r.env, r.version = next, r.version+1
	w.note("%s: its environment is changed: %v", r.uid, container["env"])
	return true, nil
}

// Supply implements Clusters: it issues a token with the global's key, into a secret that is never written again.
func (w *mesh) Supply(_ context.Context, s plan.Supply, still func() error) ([]string, error) {
	w.count()
	defer w.afterWrite()
	z, t := w.zones[s.Context], s.Token
	if !z.reachable {
		return nil, fmt.Errorf("writing secret %s: the API server did not answer in time", t.Secret)
	}
	if still != nil {
		if err := still(); err != nil {
			return nil, err
		}
	}
	if w.keys[t.Key.Name] == nil {
		return nil, errors.New("the key is not there any more")
	}
	if _, there := z.secrets[t.Secret]; there {
		return nil, fmt.Errorf("secret %s is there already", t.Secret)
	}
	z.secrets[t.Secret] = tokenSecret{uid: w.id("secret"), token: w.issue(t.Subject, t.KeyID, t.ValidFor), written: w.now, immutable: true}
	return nil, nil
}

func (w *mesh) Lock(context.Context, string, string) (Lock, error) { return free{}, nil }

func (w *mesh) ReadJournal(context.Context, string) (Journal, error) { return w.home, nil }

// WriteJournal implements Clusters. What is kept is what can be written down.
func (w *mesh) WriteJournal(_ context.Context, _ string, j Journal) error {
	if !w.namespace {
		return errors.New("writing the journal: its namespace is not there")
	}
	w.count()
	defer w.afterWrite()
	b, err := json.Marshal(j)
	if err != nil {
		panic(err)
	}
	if strings.Contains(string(b), "eyJ") {
		panic("a token is in the journal: " + string(b))
	}
	w.home = Journal{}
	if err := json.Unmarshal(b, &w.home); err != nil {
		panic(err)
	}
	return nil
}

func (w *mesh) Publish(context.Context, string, plan.Member, api.EdgeClusterStatus) error {
	return errors.New("there is no roster to state anything in")
}

func (w *mesh) Probe(context.Context, plan.Patch) (string, error) { return "", nil }

func (w *mesh) Now() time.Time { return w.now }

func (w *mesh) Pause(context.Context, time.Duration) {
	if w.pauses++; w.pauses == w.cancelAt {
		w.cancel()
	}
	w.tick()
}
