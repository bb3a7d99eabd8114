package engine

import (
	"bytes"
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
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/patch"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

type obj = map[string]any

// Observe implements Clusters: what the provider makes of the objects of the named clusters as they are now, and of
// the others as this run saw them last, as Live has it; of all when it is interrupted.
func (w *mesh) Observe(ctx context.Context, contexts ...string) plan.State {
	return w.observe(ctx, contexts, nil)
}

// observe observes, and reads of the contexts in moves only what that says.
func (w *mesh) observe(ctx context.Context, contexts []string, moves map[string]func(plan.Read) bool) plan.State {
	w.pass()
	d := kongmesh.Provider()
	all := append([]string{"hub"}, w.names()...)
	switch {
	case w.latest == nil:
		w.latest, contexts = map[string]plan.Snapshot{}, all
	case ctx.Err() != nil:
		contexts = nil
	case len(contexts) == 0:
		contexts = all
	}
	var snaps []plan.Snapshot
	for _, context := range all {
		if slices.Contains(contexts, context) {
			w.latest[context] = w.look(d, context, moves[context])
		}
		snaps = append(snaps, w.latest[context])
	}
	return d.ReadState(snaps, plan.Selection{}, w.now)
}

// Glance implements Clusters.
func (w *mesh) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	return w.observe(ctx, glanced(w.Rand, moves), moves)
}

// look reads a cluster: of one that was seen before what moves, where that is not nil. That what moves is among what is
// read at all is a mistake of who says what moves, and not of a run.
func (w *mesh) look(d plan.Provider, context string, moves func(plan.Read) bool) plan.Snapshot {
	last, moved := w.latest[context].Reads, false
	s := plan.Snapshot{Context: context, At: w.now, Reads: map[plan.Read]plan.Result{}}
	if z := w.zones[context]; z != nil && !z.reachable {
		s.Err = "the API server did not answer in time"
		return s
	}
	for next := d.Reads(s.Reads, true); len(next) > 0; next = d.Reads(s.Reads, true) {
		for _, r := range next {
			was, seen := last[r]
			if seen && moves != nil && !moves(r) {
				s.Reads[r] = was
				continue
			}
			s.Reads[r], moved = w.read(context, r), true
		}
	}
	if !moved {
		panic("a glance at " + context + " reads nothing")
	}
	return s
}

// answer is what a pod of the global answers by its own API, nil when it does not.
func (w *mesh) answer(r plan.Read) []byte {
	up := slices.ContainsFunc(w.global.pods, func(p *meshPod) bool { return p.ready && !p.ending })
	if w.apiOff || !up {
		return nil
	}
	store := "postgres"
	if w.memory {
		store = "memory"
	}
	list := func(items []string) []byte {
		return fmt.Appendf(nil, `{"total":%d,"items":[%s]}`, len(items), strings.Join(items, ","))
	}
	switch r.Asked {
	case "/config":
		return fmt.Appendf(nil, `{"mode":"global","environment":"universal","store":{"type":%q}}`, store)
	case "/who-am-i":
		return []byte(`{"name":"mesh-system:admin","groups":["mesh-system:admin"]}`)
	case "/global-secrets":
		var items []string
		for _, name := range slices.Sorted(maps.Keys(w.keys)) {
			items = append(items, fmt.Sprintf(`{"type":"GlobalSecret","name":%q,"creationTime":%q,"data":%q}`, name,
				w.made[name], w.keys[name].encoded))
		}
		if w.list != nil {
			items = append(items, fmt.Sprintf(`{"type":"GlobalSecret","name":%q,"creationTime":"revocations","data":%q}`,
				zonetoken.RevocationsName, base64.StdEncoding.EncodeToString(w.list)))
		}
		return list(items)
	case "/zones+insights":
		var items []string
		for _, name := range w.names() {
			items = append(items, fmt.Sprintf(`{"type":"ZoneOverview","name":%q,"zone":{},"zoneInsight":{"subscriptions":[%s]}}`,
				name, w.subscriptions(name)))
		}
		return list(items)
	}
	return nil
}

// place is a read of a cluster.
type place struct {
	context string
	plan.Read
}

// read answers a read as an API server would: with the answer before, when it is the same to the letter, of which
// nothing is decoded again.
func (w *mesh) read(context string, r plan.Read) plan.Result {
	body := w.body(context, r)
	if r.Asked != "" {
		if body = w.answer(r); body == nil {
			return plan.Result{Err: "the global's API did not answer"}
		}
	}
	if body == nil {
		return plan.Result{Missing: true}
	}
	at := place{context, r}
	if w.answered[at].Body == nil || !bytes.Equal(w.answered[at].Body, body) {
		w.answered[at] = plan.Result{Body: body}.WithCache()
	}
	return w.answered[at]
}

// body is an object or a list as JSON, nil when it is not there.
func (w *mesh) body(context string, r plan.Read) []byte {
	z, global := w.zones[context], context == "hub"
	of := &w.global
	if z != nil {
		of = &z.rollout
	}
	var items []string
	switch r.Resource {
	case "namespaces":
		switch {
		case r.Name == "kube-system":
			return fmt.Appendf(nil, `{"metadata":{"name":%q,"uid":%q}}`, r.Name, "cluster-"+context)
		case w.namespace:
			return fmt.Appendf(nil, `{"metadata":{"name":%q}}`, r.Name)
		}
		return nil
	case "configmaps":
		if r.Name != api.JournalName || !global || w.journal == "" {
			return nil
		}
		return fmt.Appendf(nil, `{"metadata":{"name":%q},"data":%s}`, r.Name, w.journal)
	case "deployments":
		items = append(items, w.deployment(of))
	case "replicasets":
		items = append(items, fmt.Sprintf(`{"metadata":{"uid":"%[1]s-set","ownerReferences":[{"kind":"Deployment","uid":"%[1]s"}]}}`, of.uid))
	case "pods":
		for _, p := range of.pods {
			items = append(items, w.podObject(of, p))
		}
	case "secrets":
		items = w.secretObjects(z)
	case "zones":
		if w.universal {
			break
		}
		for _, name := range w.names() {
			items = append(items, fmt.Sprintf(`{"metadata":{"name":%q}}`, name))
		}
	case "zoneinsights":
		if !w.universal {
			items = w.insights()
		}
	default:
		return nil
	}
	return []byte(`{"items":[` + strings.Join(items, ",") + `]}`)
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (w *mesh) deployment(r *rollout) string {
	updated, available := 0, 0
	for _, p := range r.pods {
		if p.of == r.version && !p.ending {
			updated++
		}
		if p.ready && !p.ending {
			available++
		}
	}
	annotations := "{}"
	if r.restart != "" {
		annotations = asJSON(obj{"xcpauth.io/restarted-for": r.restart})
	}
	return fmt.Sprintf(`{"metadata":{"name":"kong-mesh-control-plane","namespace":%q,"uid":%q,"resourceVersion":"%d","generation":%[3]d,"labels":{"app":"kong-mesh-control-plane"}},`+
		`"spec":{"replicas":%d,"template":{"metadata":{"annotations":%s},"spec":%s}},"status":{"observedGeneration":%[3]d,"replicas":%[7]d,"updatedReplicas":%d,"availableReplicas":%d}}`,
		zonetoken.KongNamespace, r.uid, r.version, r.replicas, annotations, w.podSpec(r.env), len(r.pods), updated, available)
}

// podSpec is what pods with an environment run. No environment is ever changed in its place.
func (w *mesh) podSpec(env []any) string {
	if w.specs[&env[0]] == "" {
		w.specs[&env[0]] = asJSON(obj{"containers": []any{obj{"name": "control-plane", "image": "docker.io/kong/kuma-cp:" +
			w.version, "env": env}}})
	}
	return w.specs[&env[0]]
}

func (w *mesh) podObject(r *rollout, p *meshPod) string {
	deleted := ""
	if p.ending {
		deleted = `"deletionTimestamp":"2026-01-02T12:00:00Z",`
	}
	state, phase, ready := fmt.Sprintf(`{"waiting":{"reason":%q}}`, p.waiting), "Pending", "False"
	if p.started {
		state, phase = fmt.Sprintf(`{"running":{"startedAt":%q}}`, p.since.Format(time.RFC3339)), "Running"
	}
	if p.ready {
		ready = "True"
	}
	return fmt.Sprintf(`{"metadata":{"name":%q,"uid":%q,%s"creationTimestamp":%q,"labels":{"pod-template-hash":%[5]q},"ownerReferences":[{"kind":"ReplicaSet","name":"kong-mesh-control-plane-%[5]s","uid":"%[5]s-set"}]},"spec":%s,"status":{"phase":%q,"conditions":[{"type":"Ready","status":%q}],"containerStatuses":[{"state":%s}]}}`,
		p.name, p.uid, deleted, p.made.Format(time.RFC3339), r.uid, w.podSpec(p.env), phase, ready, state)
}

func (w *mesh) secretObjects(z *zone) []string {
	var all []string
	add := func(name, uid, written, kind string, immutable bool, key, value string) {
		all = append(all, fmt.Sprintf(`{"metadata":{"name":%q,"namespace":%q,"uid":%q,"creationTimestamp":%q},"type":%q,"immutable":%v,"data":{%q:"%s"}}`,
			name, zonetoken.KongNamespace, uid, written, kind, immutable, key, value))
	}
	if z != nil {
		for _, name := range slices.Sorted(maps.Keys(z.secrets)) {
			s := z.secrets[name]
			add(name, s.uid, s.written.Format(time.RFC3339), "Opaque", s.immutable, "token", s.encoded)
		}
		return all
	}
	if w.universal {
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(w.keys)) {
		add(name, w.made[name], "", zonetoken.SecretType, false, "value", w.keys[name].encoded)
	}
	if w.list != nil {
		add(zonetoken.RevocationsName, "revocations", "", zonetoken.SecretType, false, "value",
			base64.StdEncoding.EncodeToString(w.list))
	}
	return all
}

// revoke writes the list of revoked tokens.
func (w *mesh) revoke(p plan.Write) (bool, error) {
	value := func(values obj) string {
		if text, is := values["data"].(string); is {
			return text
		}
		v, _ := values["data"].(obj)["value"].(string)
		return v
	}
	switch {
	case p.Op == plan.OpCreate && w.list != nil:
		return false, nil
	case p.Op != plan.OpCreate && (w.list == nil || value(p.Before) != base64.StdEncoding.EncodeToString(w.list)):
		return false, &ChangedError{Object: p.Object, Context: p.Context}
	}
	var err error
	w.list, err = base64.StdEncoding.DecodeString(value(p.After))
	w.note("revoked: %s", w.list)
	return true, err
}

func (w *mesh) insights() []string {
	var all []string
	for _, name := range w.names() {
		all = append(all, fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"subscriptions":[%s]}}`, name, w.subscriptions(name)))
	}
	return all
}

// subscriptions are what the global tells of a zone's sessions.
func (w *mesh) subscriptions(zone string) string {
	var subs []string
	for _, s := range w.told[zone] {
		more := ""
		if !s.ended.IsZero() {
			more += fmt.Sprintf(`,"disconnectTime":%q`, s.ended.Format(time.RFC3339Nano))
		}
		if s.provided {
			more += `,"authTokenProvided":true`
		}
		subs = append(subs, fmt.Sprintf(`{"id":%q,"connectTime":%q%s}`, s.id, s.began.Format(time.RFC3339Nano), more))
	}
	return strings.Join(subs, ",")
}

// count dies before the write, afterWrite after it.
func (w *mesh) count() {
	w.changes++
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
func (w *mesh) Write(_ context.Context, p plan.Write, still func() error) (bool, error) {
	w.count()
	w.patch(p)
	defer w.afterWrite()
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	if err := forbidden(w.mayNot, p); err != nil {
		return false, err
	}
	z := w.zones[p.Context]
	switch {
	case z != nil && !z.reachable:
		return false, fmt.Errorf("writing %s: the API server did not answer in time", p.Object)
	case p.Object.Kind == "Namespace":
		w.namespace = true
		return true, nil
	case p.Object.Kind == "Secret", p.Object.Kind == "GlobalSecret":
		return w.writeSecret(p, z)
	}
	r := &w.global
	if z != nil {
		r = &z.rollout
	}
	if p.Op == plan.OpRestart {
		why := fmt.Sprint(p.After["spec"].(obj)["template"].(obj)["metadata"].(obj)["annotations"].(obj)["xcpauth.io/restarted-for"])
		if r.restart == why {
			return false, nil
		}
		r.restart, r.version = why, r.version+1
		return true, nil
	}
	return r.write(p, w)
}

// writeSecret makes, changes or deletes a secret of a zone, or of the global where that keeps it.
func (w *mesh) writeSecret(p plan.Write, z *zone) (bool, error) {
	switch {
	case z == nil && (p.Via != nil) != w.universal:
		panic(fmt.Sprintf("%s is written where the global does not keep it", p.Object))
	case p.Via != nil && w.apiOff:
		return false, fmt.Errorf("writing %s: the global's API did not answer", p.Object)
	case p.Object.Name == zonetoken.RevocationsName:
		return w.revoke(p)
	case p.Op == plan.OpCreate && (p.SecretField != migration.KeySecretField || z != nil || w.keys[p.Object.Name] != nil):
		return false, nil
	case p.Op == plan.OpCreate:
		w.note("key %s is added", p.Object.Name)
		w.addKey(p.Object.Name)
	case z != nil:
		delete(z.secrets, p.Object.Name)
	default:
		w.note("key %s is deleted", p.Object.Name)
		delete(w.keys, p.Object.Name)
	}
	return true, nil
}

// write changes the environment of a Deployment.
func (r *rollout) write(p plan.Write, w *mesh) (bool, error) {
	live := obj{"spec": obj{"template": obj{"spec": obj{"containers": []any{obj{"name": "control-plane", "env": r.env}}}}}}
	b, err := json.Marshal(p) // what a journal keeps of it is enough
	if err != nil {
		panic(err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		panic(err)
	}
	switch {
	case !p.ListsByName || p.Object.UID != r.uid:
		return false, &ChangedError{Object: p.Object, Context: p.Context, By: "being re-created"}
	case patch.Matches(live, p.After, true), p.SatisfiedBy != nil && patch.Matches(live, p.SatisfiedBy, true):
		return false, nil
	case !patch.Matches(live, p.Before, true):
		return false, &ChangedError{Object: p.Object, Context: p.Context}
	}
	next := slices.Clone(r.env)
	container := patch.Strategic(p.After)["spec"].(obj)["template"].(obj)["spec"].(obj)["containers"].([]any)[0].(obj)
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
	w.wrote("supply", s.Context, plan.Ref{Namespace: s.Namespace, Name: s.Token.Secret},
		[]string{s.Token.KeyID, s.Token.Subject, s.Token.ValidFor.String()})
	defer w.afterWrite()
	z, t := w.zones[s.Context], s.Token
	if s.Context == w.mayNot {
		return nil, fmt.Errorf("writing secret %s: forbidden (403)", t.Secret)
	}
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
	z.secrets[t.Secret] = newSecret(w.id("secret"), w.issue(t.Subject, t.KeyID, t.ValidFor), w.now, true)
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
	kept := map[string]string{}
	w.home = Journal{}
	for key, part := range map[string]struct{ from, to any }{api.JournalKey: {j.InFlight, &w.home.InFlight},
		api.OriginalsKey: {j.Originals, &w.home.Originals}, api.HistoryKey: {j.History, &w.home.History}} {
		text := asJSON(part.from)
		if strings.Contains(text, "eyJ") {
			panic("a token is in the journal: " + text)
		}
		if err := json.Unmarshal([]byte(text), part.to); err != nil {
			panic(err)
		}
		if text != "null" {
			kept[key] = text
		}
	}
	w.journal = asJSON(kept)
	return nil
}

func (w *mesh) Publish(context.Context, string, plan.Member, api.EdgeClusterStatus) error {
	return errors.New("there is no roster to state anything in")
}

// Lacking implements Clusters, as that of a world.
func (w *mesh) MissingPermissions(_ context.Context, needs map[string][]plan.Permission) map[string]Denial {
	return lackingIn(w.mayNot, needs)
}

func (w *mesh) Probe(context.Context, plan.Write) (string, error) { return "", nil }

func (w *mesh) Now() time.Time { return w.now }

func (w *mesh) Pause(context.Context, time.Duration) {
	w.pass()
	w.tick()
}

// pass counts a look or a pause, and interrupts the run in the midst of it when its time has come.
func (w *mesh) pass() {
	if w.passed++; w.passed == w.cancelAt {
		w.cancel()
	}
}
