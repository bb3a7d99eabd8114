package enrol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Enroller lists, registers and forgets members in the hub's roster.
type Enroller struct {
	*apply.Live
	// LockTimeout is how long to wait for the lock that another run holds; Report is told of that.
	LockTimeout time.Duration
	Report      func(engine.Event)
}

// Registration is how edges are registered to be read live.
type Registration struct {
	// Server and ServerName, when not empty, are the address by which the hub reaches the one edge, and the name in its
	// certificate.
	Server, ServerName string
	// Agent is the User-Agent of the reads that verify it.
	Agent string
	// Reads and Presents are the product's: what to read of an edge, and what it may present by that (nil = unknown).
	Reads    func(api.ControlPlaneReference) []plan.Read
	Presents func(map[plan.Read]plan.Result, api.ControlPlaneReference) ([]guard.Cred, string)
}

// takeEffect is how long rights and tokens that were just made may take to be known to their own API server.
const takeEffect = 15 * time.Second

// Register lets the hub read the named edges in their own clusters, and has the webhook decide from that. It may be
// repeated: everything is made again or left as it is, and the token is renewed.
func (l Enroller) Register(ctx context.Context, names []string, how Registration) (engine.Result, error) {
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return engine.Result{Facts: f}, err
	}
	return l.each(ctx, f, names, func(m plan.Member) engine.Outcome {
		if m.Err != "" {
			return engine.Outcome{State: engine.Unreachable, Why: m.Err}
		}
		said, err := l.register(ctx, hub, m, how)
		var notBegun *engine.NotBegunError
		switch {
		case errors.As(err, &notBegun):
			return engine.Outcome{State: engine.Refused, Why: err.Error()}
		case err != nil:
			return engine.Outcome{State: engine.Failed, Why: err.Error()}
		}
		return engine.Outcome{State: engine.Changed, Why: said}
	})
}

// Unregister takes the hub's means of reading the named edges away, and has the webhook decide from statements again.
func (l Enroller) Unregister(ctx context.Context, names []string) (engine.Result, error) {
	hub, f, err := l.findHub(ctx)
	if err != nil {
		return engine.Result{Facts: f}, err
	}
	return l.each(ctx, f, names, func(m plan.Member) engine.Outcome { return l.unregister(ctx, hub, m) })
}

// each does something for the named edges, side by side, and accounts for everybody.
func (l Enroller) each(ctx context.Context, f plan.State, names []string,
	do func(plan.Member) engine.Outcome) (engine.Result, error) {
	if err := edgesOf(f, names); err != nil {
		return engine.Result{Facts: f}, err
	}
	r := engine.Result{Facts: f, Done: true, Outcomes: make([]engine.Outcome, len(f.Members))}
	slots := make(chan struct{}, max(l.Observer.Limit, 1))
	var doing sync.WaitGroup
	for i, m := range f.Members {
		r.Outcomes[i] = engine.Outcome{Member: m.Name, Context: m.Context, State: engine.Skipped, Why: "not asked for"}
		if !slices.Contains(names, m.Name) {
			continue
		}
		doing.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			o := do(m)
			o.Member, o.Context = m.Name, m.Context
			r.Outcomes[i] = o
		})
	}
	doing.Wait()
	r.Interrupted = ctx.Err() != nil
	r.Done = !slices.ContainsFunc(r.Outcomes, func(o engine.Outcome) bool {
		return o.State == engine.Failed || o.State == engine.Refused || o.State == engine.Unreachable
	})
	return r, nil
}

// register registers one edge:
//
//  1. See that the webhook can reach it by what its context says, or by the address that is given, and ask for every
//     right.
//  2. Make its entry in the roster, or renew it.
//  3. Make the reader in its cluster, and have a token issued.
//  4. Read it by the very kubeconfig, as the webhook will.
//  5. Store the kubeconfig in the hub.
//  6. Have the webhook decide from it.
func (l Enroller) register(ctx context.Context, hub hubCluster, m plan.Member,
	how Registration) (string, error) {
	edge, err := l.Fleet.Cluster(m.Context)
	if err != nil {
		return "", &engine.NotBegunError{Err: err}
	}
	kube, err := reachable(m.Context, edge.Config, how)
	if err != nil {
		return "", &engine.NotBegunError{Err: err}
	}
	kube.Namespace = m.Object.Namespace
	cp := *roster.Entry(hub.namespace, m).Spec.ControlPlane
	if err := engine.Allowed(ctx, l, registering(hub, m, how.Reads(cp))); err != nil {
		return "", err
	}
	if err := l.enlist(ctx, hub, m); err != nil {
		return "", &engine.NotBegunError{Err: err}
	}
	for _, o := range edgereader.Objects(kube.Namespace, how.Reads(cp)) {
		if err := serverSideApply(ctx, edge, o.Ref, o.Body, false); err != nil {
			return "", err
		}
	}
	token, err := issue(ctx, edge, kube.Namespace)
	if err != nil {
		return "", err
	}
	kube.Token = token.Secret
	text, err := kube.Encode()
	if err != nil {
		return "", fmt.Errorf("context %s cannot be handed to the webhook: %w", m.Context, err)
	}
	said, err := proveAccess(ctx, edge, kube, cp, how)
	if err != nil {
		return "", fmt.Errorf("nothing was stored in the hub: reading %s in %s by its own kubeconfig: %w",
			m.Name, m.Context, err)
	}
	if err := replace(ctx, hub.Cluster, hub.kubeconfig(m.Name), kubeconfigSecret(hub.kubeconfig(m.Name), text,
		token.Annotations()), false); err != nil {
		return "", err
	}
	if err := setEvidence(ctx, hub, m.Name, api.EvidenceLive, false); err != nil {
		return "", err
	}
	return fmt.Sprintf("read live from now on; %s; its token ends %s, and the webhook renews it", said,
		token.Expires.Format(time.RFC3339)), nil
}

// kubeconfigSecret is the Secret in the hub with the kubeconfig of an edge's reader.
func kubeconfigSecret(ref plan.Ref, text []byte, annotations map[string]string) map[string]any {
	meta := map[string]any{"name": ref.Name, "namespace": ref.Namespace,
		"labels": map[string]any{"app.kubernetes.io/part-of": "xcpauth"}}
	if annotations != nil {
		meta["annotations"] = annotations
	}
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": meta,
		"data": map[string]any{edgereader.KubeconfigKey: text}}
}

// reachable is the kubeconfig, without a token, by which the webhook reaches what a context reaches.
func reachable(name string, cfg *rest.Config, how Registration) (edgereader.Kubeconfig, error) {
	k := edgereader.Kubeconfig{Server: cfg.Host, CA: cfg.CAData, ServerName: cfg.TLSClientConfig.ServerName}
	cannot := func(why string) error {
		return fmt.Errorf("context %s cannot be handed to the webhook: it %s", name, why)
	}
	switch {
	case cfg.Insecure:
		return k, cannot("trusts any certificate (insecure-skip-tls-verify), so that there is no CA to provide; give it certificate-authority-data first")
	case cfg.Proxy != nil && how.Server == "":
		return k, cannot("reaches its API server by a proxy (proxy-url), which the webhook never does; name with --server the address that the hub reaches directly")
	}
	if len(k.CA) == 0 && cfg.CAFile != "" {
		ca, err := os.ReadFile(cfg.CAFile)
		if err != nil {
			return k, fmt.Errorf("reading the certificate-authority of context %s: %w", name, err)
		}
		k.CA = ca
	}
	if len(k.CA) == 0 {
		return k, cannot("names no CA (certificate-authority-data), and the webhook trusts no other; give it the one that signed its API server's certificate")
	}
	if how.Server != "" {
		k.Server = how.Server
	}
	if how.ServerName != "" {
		k.ServerName = how.ServerName
	}
	if !strings.Contains(k.Server, "://") { // as client-go reads it
		k.Server = "https://" + k.Server
	}
	probe := k
	probe.Namespace, probe.Token = "x", plan.NewSecret([]byte("x"))
	if _, err := probe.Encode(); err != nil {
		return k, fmt.Errorf("context %s cannot be handed to the webhook: %w; name with --server the address that the hub reaches directly", name, err)
	}
	return k, nil
}

// enlist makes the roster's entry of an edge, or renews it when its ControlPlane was re-created.
func (l Enroller) enlist(ctx context.Context, hub hubCluster, m plan.Member) error {
	entry, needed, err := entryOf(ctx, hub, m)
	if err != nil || !needed {
		return err
	}
	if _, err := l.Write(ctx, entry, nil); err != nil {
		return fmt.Errorf("%w; kubectl xcpauth migrate installs the roster where it is not", err)
	}
	return nil
}

// entryOf is the write by which the roster lists an edge as it is, and whether it is needed. Another cluster's entry
// is not touched.
func entryOf(ctx context.Context, hub hubCluster, m plan.Member) (entry plan.Write, needed bool,
	err error) {
	entry = plan.Write{Context: hub.Context, Object: hub.entry(m.Name), Op: plan.OpCreate,
		After: roster.EntryObject(hub.namespace, m)}
	if m.Registered {
		live, err := apply.Get(ctx, hub.Cluster, hub.entry(m.Name))
		if err != nil {
			return entry, false, fmt.Errorf("reading %s in %s: %s", hub.entry(m.Name), hub.Context, observe.Explain(err))
		}
		spec, _ := live["spec"].(map[string]any)
		cp, named := spec["controlPlane"].(map[string]any)
		switch {
		case named && cp["uid"] == m.Object.UID:
			return entry, false, nil
		case named && !m.EntryStale:
			return entry, false, fmt.Errorf("the roster's entry of that name belongs to another cluster; take it out with: "+
				"kubectl xcpauth edge forget %s --reason WHY", m.Name)
		}
		entry.Op, entry.After = plan.OpUpdate, roster.Renewal(m)
	}
	return entry, true, nil
}

// serverSideApply makes an object what it should be, by server-side apply; as a dry run, it asks whether it could.
func serverSideApply(ctx context.Context, c *kubeconfig.Cluster, ref plan.Ref, body map[string]any, dry bool) error {
	ctx, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
	defer cancel()
	doc, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", ref, err)
	}
	_, err = apply.Send(ctx, ours(c.REST.Patch(types.ApplyPatchType), dry).AbsPath(apply.ObjectPath(ref)).Param("force",
		"true").Body(doc), ref, "")
	if err != nil {
		return fmt.Errorf("writing %s in %s: %s", ref, c.Context, observe.Explain(err))
	}
	return nil
}

// replace makes an object what it should be, and reads nothing of what is there: the answer to a patch is the stored
// object, so that anyone who may patch a secret may read it. It is updated, or else created.
func replace(ctx context.Context, c *kubeconfig.Cluster, ref plan.Ref, body map[string]any,
	dry bool) error {
	ctx, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
	defer cancel()
	doc, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", ref, err)
	}
	at := apply.ObjectPath(ref)
	send := func(r *rest.Request, path string) error {
		_, err := apply.Send(ctx, ours(r, dry).AbsPath(path).SetHeader("Content-Type", "application/json").Body(doc), ref, "")
		return err
	}
	if err = send(c.REST.Put(), at); apierrors.IsNotFound(err) {
		err = send(c.REST.Post(), strings.TrimSuffix(at, "/"+ref.Name))
	}
	if apierrors.IsAlreadyExists(err) { // made by another run in between
		err = send(c.REST.Put(), at)
	}
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("writing %s in %s: %s; its namespace %s comes with the webhook: "+
			"kubectl xcpauth install webhook --apply --context %s", ref, c.Context, observe.Explain(err), ref.Namespace,
			c.Context)
	case err != nil:
		return fmt.Errorf("writing %s in %s: %s", ref, c.Context, observe.Explain(err))
	}
	return nil
}

// issue has an API server issue a token of the reader.
func issue(ctx context.Context, c *kubeconfig.Cluster, namespace string) (edgereader.Token, error) {
	ctx, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
	defer cancel()
	who := namespace + "/" + edgereader.ReaderName
	b, err := kubeconfig.Body(c.REST.Post().AbsPath(edgereader.TokenPath(namespace)).SetHeader("Content-Type",
		"application/json").Body(edgereader.TokenRequest()).Do(ctx))
	if err != nil {
		return edgereader.Token{}, fmt.Errorf("having a token issued of ServiceAccount %s in %s: %s", who, c.Context,
			observe.Explain(err))
	}
	token, err := edgereader.ReadToken(b)
	if err != nil {
		return edgereader.Token{}, fmt.Errorf("having a token issued of ServiceAccount %s in %s: %w", who, c.Context, err)
	}
	return token, nil
}

// proveAccess reads an edge by its kubeconfig, and says what was read. Where the address that was given is not
// reached from here, the reader's rights are verified by the context's own way, and that is said.
func proveAccess(ctx context.Context, edge *kubeconfig.Cluster, kube edgereader.Kubeconfig,
	cp api.ControlPlaneReference, how Registration) (string, error) {
	client, err := edgereader.NewClient(kube, how.Agent, nil)
	if err != nil {
		return "", err
	}
	defer client.Close()
	said, err := readBy(ctx, client, cp, how)
	var fault *edgereader.Fault
	if how.Server == "" || !errors.As(err, &fault) ||
		fault.Kind != edgereader.Unreachable && fault.Kind != edgereader.Timeout {
		return said, err
	}
	own := rest.AnonymousClientConfig(edge.Config)
	own.BearerToken = string(kube.Token.Reveal())
	http, err := rest.HTTPClientFor(own)
	if err != nil {
		return "", fmt.Errorf("making a client for context %s: %w", edge.Context, err)
	}
	through := edgereader.Through(kube, edge.Config.Host, http, how.Agent)
	if said, err = readBy(ctx, through, cp, how); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s; %s is not reached from here (%s), so see that the hub does", said, kube.Server, fault.Why), nil
}

// readBy reads an edge until rights and token have taken effect.
func readBy(ctx context.Context, client *edgereader.Client, cp api.ControlPlaneReference,
	how Registration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, takeEffect)
	defer cancel()
	for {
		results, fault := client.Burst(ctx, how.Reads(cp), nil)
		switch {
		case fault == nil:
			presents, why := how.Presents(results, cp)
			if presents == nil {
				return "what it presents is not clear now: " + why, nil
			}
			return why, nil
		case fault.Kind != edgereader.Forbidden && fault.Kind != edgereader.Unauthorized:
			return "", fault
		}
		select {
		case <-ctx.Done():
			return "", fault
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// unregister is register the other way round. What an unreachable cluster still holds is said.
//
//  1. Take back what the roster states of it, unless that is what is seen now: nobody looked at it while the webhook
//     read the edge itself.
//  2. Have the webhook decide from statements.
//  3. Remove the kubeconfig, and the reader.
func (l Enroller) unregister(ctx context.Context, hub hubCluster, m plan.Member) engine.Outcome {
	stated := "decided from statements again"
	voids := statesOther(m)
	if err := engine.Allowed(ctx, l, unregistering(hub, m, voids)); err != nil {
		return engine.Outcome{State: engine.Refused, Why: err.Error()}
	}
	if voids {
		if _, err := l.Write(ctx, l.retraction(hub, m), nil); err != nil {
			return engine.Outcome{State: engine.Failed,
				Why: "nothing was changed: taking back first what the roster states of it: " + err.Error()}
		}
		stated += ", and what was stated was taken back, since it is not what is seen now; state it with: kubectl xcpauth edge publish"
	}
	if err := setEvidence(ctx, hub, m.Name, api.EvidenceStatement, false); err != nil && !apierrors.IsNotFound(err) {
		return engine.Outcome{State: engine.Failed, Why: err.Error()}
	}
	wrote, err := l.Write(ctx, plan.Write{Context: hub.Context, Object: hub.kubeconfig(m.Name),
		Op: plan.OpDelete}, nil)
	if err != nil {
		return engine.Outcome{State: engine.Failed, Why: err.Error()}
	}
	namespace := m.Object.Namespace
	if m.Err != "" {
		return engine.Outcome{State: engine.Unreachable,
			Why: fmt.Sprintf("the hub does not read it any more (%s); ServiceAccount %s with its Role and RoleBinding is left in its cluster: %s", stated, edgereader.ReaderName, m.Err)}
	}
	objects := edgereader.Objects(namespace, nil)
	for i := range objects { // the right to renew goes before the identity
		removed, err := l.Write(ctx, plan.Write{Context: m.Context, Object: objects[len(objects)-1-i].Ref, Op: plan.OpDelete},
			nil)
		if err != nil {
			return engine.Outcome{State: engine.Failed, Why: "the hub does not read it any more, and in its cluster: " +
				err.Error()}
		}
		wrote = wrote || removed
	}
	if !wrote {
		return engine.Outcome{State: engine.OK, Why: "it was not registered to be read live"}
	}
	return engine.Outcome{State: engine.Changed, Why: "not read live any more: " + stated}
}

// statesOther says whether the roster states something of a member that is read live, and is not what is seen now.
func statesOther(m plan.Member) bool {
	return m.ReadLive && m.Statement != nil && (m.Err != "" || m.Statement.Fence != "" && !m.Fence.Verified ||
		!slices.Equal(m.Statement.Presents, m.Evidence.Presents))
}

// retraction is the write that takes back what the roster states of a member.
func (l Enroller) retraction(hub hubCluster, m plan.Member) plan.Write {
	return plan.Write{Context: hub.Context, Object: hub.entry(m.Name), Op: plan.OpUpdateStatus,
		After: roster.TakenBack(roster.RetractedStatus(), l.Now())}
}

// setEvidence says in the roster what the webhook is to decide from.
func setEvidence(ctx context.Context, hub hubCluster, name string, evidence api.Evidence, dry bool) error {
	ctx, cancel := context.WithTimeout(ctx, apply.WriteTimeout)
	defer cancel()
	doc, err := json.Marshal(map[string]any{"spec": map[string]any{"evidence": evidence}})
	if err != nil {
		return fmt.Errorf("encoding the evidence of %s: %w", name, err)
	}
	err = ours(hub.REST.Patch(types.MergePatchType), dry).AbsPath(apply.ObjectPath(hub.entry(name))).Body(doc).
		Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("writing %s in %s: %w", hub.entry(name), hub.Context, apply.Explained(err))
	}
	return nil
}

// ours is a request with what every write of ours says, and whether it is a dry run.
func ours(r *rest.Request, dry bool) *rest.Request {
	r.Param("fieldManager", apply.FieldManager).Param("fieldValidation", "Strict")
	if dry {
		r.Param("dryRun", "All")
	}
	return r
}
