//go:build linux

package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// One hub, one deployment; the parts run in this order, each in a namespace and with a roster of its own.
func TestTheShippedWebhook(t *testing.T) {
	h := startHub(t)
	n := deploy(h)
	for _, part := range []struct {
		name string
		run  func(*hub, node)
	}{
		{"its pods are admitted under the restricted pod security standard", podsAdmitted},
		{"its certificate is made and published by itself", certificateBootstrapped},
		{"every edit of the table by every way of writing gets the verdict of the table", everyEdit},
		{"every overlay of the table is judged by what it reaches", everyOverlay},
		{"creating is guarded once anything is known to be a member", creating},
		{"deleting is judged as a withdrawal and so is a new owner", deleting},
		{"what goes with its namespace is not held up", namespaceDeleted},
		{"a statement is believed until it ends", statements},
		{"who registers members may not state what they present", registering},
		{"a ControlPlane in the hub's own cluster counts", ownControlPlane},
		{"a cluster that only the hub knows counts", unknownCluster},
		{"a denial reads well through kubectl", throughKubectl},
		{"every answer says that it was asked, and nothing else does", saysThatItWasAsked},
		{"an override is for one edit, over its own blockers, by who may", overrides},
		{"webhook status verifies that it is asked, that it fails closed, and that it is not asked", provenAsked},
		{"nothing unguarded calls it", nothingElseCalls},
		{"stopped, it holds up the guarded edit and nothing else", stopped},
		{"stopped, it does not block the way back", rescued},
		{"while it drains it goes on answering", draining},
		{"a call in flight when it ends is answered", drainedInFlight},
		{"a lost certificate is replaced without a restart", certificateReplaced},
		{"a certificate that somebody else mounts serves as well", certificateMounted},
		{"an unreadable roster is not ready, and a denial", unreadableRoster},
		{"what slipped in while it was away is found by its auditor, and told once", audited},
		{"Central's metrics are a witness", centralsMetrics},
		{"many roster entries fit into 64 MiB", manyEntries},
		{"kinds of the vendor that the cluster lacks have no members, other versions have", vendorKinds},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(h.in(t), n) }) {
			t.Logf("the webhook's log:\n%s", n.Log())
		}
	}
	if log := n.Log(); strings.Contains(log, canary) || !strings.Contains(log, `"msg":"decision"`) {
		t.Errorf("the log must hold decisions and no object")
	}
}

// canary is written into objects and must not appear in the log.
const canary = "canary-of-an-object"

// guarded puts an object with both modes on into a namespace of its own, while nobody is known, and then the fleet.
func (h *hub) guarded(ns string, edges cases.Edges) {
	h.Helper()
	h.emptyRoster()
	o := managementPlane(h.namespace(ns), "managementplane", bothModes)
	o.SetAnnotations(map[string]string{"note": canary})
	h.create(managementPlanes, o)
	h.fleet(edges)
	h.warned.take()
}

func podsAdmitted(h *hub, _ node) {
	for name, want := range map[string]int{component: 2, webhooknode.AuditorName: 1} {
		h.eventually(fmt.Sprintf("%d pods of %s exist", want, name), func(ctx context.Context) error {
			of := metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=" + name}
			pods, err := h.kube.CoreV1().Pods(system).List(ctx, of)
			if err == nil && len(pods.Items) != want {
				err = fmt.Errorf("%d pods", len(pods.Items))
			}
			return err
		})
	}
}

func certificateBootstrapped(h *hub, n node) {
	secret, err := h.kube.CoreV1().Secrets(system).Get(h.Context(), "xcpauth-webhook-cert", metav1.GetOptions{})
	h.must(err)
	conf, err := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(h.Context(), component,
		metav1.GetOptions{})
	h.must(err)
	for _, w := range conf.Webhooks {
		if len(secret.Data["ca.crt"]) == 0 || !bytes.Equal(w.ClientConfig.CABundle, secret.Data["ca.crt"]) {
			h.Errorf("%s does not carry the CA of the Secret", w.Name)
		}
	}
}

// Each row is added to a hub that accepts JWTs alone, of which every member presents one: what reaches authentication
// would leave both modes unknown. And to one with both modes on, where the API server itself decides that nobody need
// be asked.
func everyOverlay(h *hub, _ node) {
	ns := h.namespace("overlays")
	h.emptyRoster()
	type plane struct {
		kind  string
		xcp   m
		asked int // about a harmless overlay
	}
	planes := []plane{{"jwt", m{"centralAuthModes": m{"jwt": true, "mutualTls": false}}, 1}, {"both", bothModes, 0}}
	for _, p := range planes {
		for i := range cases.Overlays() {
			h.create(managementPlanes, managementPlane(ns, fmt.Sprintf("%s-%d", p.kind, i), p.xcp))
		}
	}
	h.fleet(cases.OnJWT)
	for _, p := range planes {
		for i, c := range cases.Overlays() {
			name := fmt.Sprintf("%s-%d", p.kind, i)
			live, err := h.objects.Resource(managementPlanes).Namespace(ns).Get(h.Context(), name, metav1.GetOptions{})
			h.must(err)
			xcp := maps.Clone(p.xcp)
			xcp["kubeSpec"] = c.KubeSpec
			changed := managementPlane(ns, name, xcp)
			changed.SetResourceVersion(live.GetResourceVersion())
			h.warned.take()
			_, err = h.objects.Resource(managementPlanes).Namespace(ns).Update(h.Context(), changed, metav1.UpdateOptions{})
			_, asked := h.warned.asked()
			switch {
			case !c.Reaches && (err != nil || asked != p.asked):
				h.Errorf("%s, %s: asked %d times, %v", p.kind, c.Name, asked, err)
			case c.Reaches && (err == nil || byRule(err) != nil || asked != 1):
				h.Errorf("%s, %s: asked %d times, and not denied by the rule: %v", p.kind, c.Name, asked, err)
			}
		}
	}
}

func creating(h *hub, _ node) {
	ns := h.namespace("creating")
	create := func(name string, xcp m) error {
		_, err := h.objects.Resource(managementPlanes).Namespace(ns).Create(h.Context(), managementPlane(ns, name, xcp),
			metav1.CreateOptions{})
		return err
	}
	jwtOnly := m{"centralAuthModes": m{"jwt": true}}
	h.emptyRoster()
	h.warned.take()
	h.must(create("fresh", jwtOnly))
	if said := h.warned.take(); len(said) != 1 || !strings.Contains(said[0], "no member of this hub is known yet") {
		h.Errorf("warnings on a fresh hub: %q", said)
	}
	h.fleet(cases.OnMTLS)
	const safely = "Create it with both modes"
	h.denied(create("jwt-only", jwtOnly), "stop accepting mtls", safely)
	h.denied(create("unset", nil), "mtls", safely)
	if err := create("jwt-only", jwtOnly); strings.Contains(fmt.Sprint(err), "edge-1") {
		h.Errorf("a creation, which nothing shows to come from the API server, is told the members: %v", err)
	}
	h.must(create("both", bothModes))
	h.fleet(cases.OnJWT)
	h.must(create("jwt-only", jwtOnly))
	h.denied(create("unset", nil), "jwt", safely)
	h.fleet(cases.Unknown)
	h.denied(create("mtls-only", m{"centralAuthModes": m{"mutualTls": true}}), "jwt", safely)
}

func statements(h *hub, _ node) {
	h.guarded("statements", cases.OnJWT)
	edit := func() error { return h.mergePatch(managementPlanes, "statements", "managementplane", withoutMTLS) }
	h.register("edge-1", "uid-1", -time.Second, "jwt")
	h.denied(edit(), "edge-1: mtls", "too old", "ci@e2e")
	h.must(h.mergePatchStatus("edge-1", m{"status": m{"validUntil": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"controlPlaneUID": "uid-0"}}))
	h.denied(edit(), "edge-1: mtls", "re-created")
	h.register("edge-1", "uid-1", time.Hour, "jwt")
	h.must(edit())
	h.event("statements", "WithdrawalAdmitted", "an edit by admin was admitted", "edge-1 from ci@e2e, pods, seen")
}

func ownControlPlane(h *hub, _ node) {
	h.guarded("own", cases.OnJWT)
	edit := func() error { return h.mergePatch(managementPlanes, "own", "managementplane", withoutMTLS) }
	ns := h.namespace("istio-system")
	cp := h.create(controlPlanes, copied(m{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ControlPlane",
		"metadata": m{"namespace": ns, "name": "controlplane"},
		"spec": m{"managementPlane": m{"clusterName": "local"},
			"components": m{"xcp": m{"centralAuthMode": "MUTUAL_TLS"}}}}))
	h.Cleanup(func() {
		h.must(h.objects.Resource(controlPlanes).Namespace(ns).Delete(context.WithoutCancel(h.Context()), "controlplane",
			metav1.DeleteOptions{}))
	})
	h.denied(edit(), "ControlPlane istio-system/controlplane", "the roster lacks", "MUTUAL_TLS")
	h.register("local", string(cp.GetUID()), time.Hour, "jwt")
	h.denied(edit(), "local: mtls", "declares MUTUAL_TLS")
	h.must(h.mergePatch(controlPlanes, ns, "controlplane",
		m{"spec": m{"components": m{"xcp": m{"centralAuthMode": nil}}}}))
	h.denied(edit(), "local: mtls", "no documented mode")
	h.must(h.mergePatch(controlPlanes, ns, "controlplane",
		m{"spec": m{"components": m{"xcp": m{"centralAuthMode": "JWT"}}}}))

	h.create(edgeXcps, copied(m{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp",
		"metadata": m{"namespace": ns, "name": "edge-xcp"}, "spec": m{"centralAuthMode": "MUTUAL_TLS"}}))
	h.denied(edit(), "local: mtls", "EdgeXcp istio-system/edge-xcp says MUTUAL_TLS")
	h.must(h.objects.Resource(edgeXcps).Namespace(ns).Delete(h.Context(), "edge-xcp", metav1.DeleteOptions{}))

	h.must(h.objects.Resource(controlPlanes).Namespace(ns).Delete(h.Context(), "controlplane", metav1.DeleteOptions{}))
	again := h.create(controlPlanes, copied(m{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ControlPlane",
		"metadata": m{"namespace": ns, "name": "controlplane"},
		"spec":     m{"managementPlane": m{"clusterName": "local"}, "components": m{"xcp": m{"centralAuthMode": "JWT"}}}}))
	h.denied(edit(), "1 member may", "local: mtls", "ControlPlane istio-system/controlplane was re-created")
	h.register("local", string(again.GetUID()), time.Hour, "jwt")
	h.must(edit())
}

func unknownCluster(h *hub, _ node) {
	h.guarded("inventory", cases.OnJWT)
	edit := func() error { return h.mergePatch(managementPlanes, "inventory", "managementplane", withoutMTLS) }
	cluster := func(ns, name string) {
		h.create(xcpClusters, copied(m{"apiVersion": "xcp.tetrate.io/v2", "kind": "Cluster",
			"metadata": m{"namespace": ns, "name": name}}))
	}
	cluster(h.namespace("elsewhere"), "of-another-hub")
	cluster("inventory", "edge-1")
	cluster("inventory", "edge-9")
	h.denied(edit(), "edge-9: mtls", "the roster lacks it")
	h.register("edge-9", "uid-9", time.Hour, "jwt")
	h.must(edit())
}

func throughKubectl(h *hub, _ node) {
	h.guarded("kubectl", cases.OnMTLS)
	for i := range 12 {
		h.register(fmt.Sprintf("edge-%02d", i), fmt.Sprintf("uid-%02d", i), time.Hour, "mtls")
	}
	out, err := h.kubectl("patch", "managementplane", "managementplane", "-n", "kubectl", "--type=merge", "-p",
		`{"spec":{"components":{"xcp":{"centralAuthModes":{"mutual_tls":true,"mutualTls":null}}}}}`)
	if err == nil {
		h.Fatalf("admitted: %s", out)
	}
	for _, line := range []string{"13 members may still present", "- edge-00: mtls (stated by ci@e2e", "- and 3 more",
		"Not as documented: spec.components.xcp.centralAuthModes.mutual_tls is true", "Run `kubectl xcpauth status`"} {
		if !strings.Contains(out, line) {
			h.Errorf("the denial lacks %q:\n%s", line, out)
		}
	}
}

func stopped(h *hub, n node) {
	h.guarded("stopped", cases.OnJWT)
	n.Stop()
	for _, e := range unguarded(h, "stopped") {
		if err := e.do(); err != nil {
			h.Errorf("%s: %v", e.name, err)
		}
	}
	err := h.mergePatch(managementPlanes, "stopped", "managementplane", withoutMTLS)
	if err == nil || !strings.Contains(err.Error(), `failed calling webhook "managementplanes.webhook.xcpauth.io"`) {
		h.Errorf("the guarded edit without the webhook: %v", err)
	}
	if err := h.remove("stopped"); err == nil || !strings.Contains(err.Error(),
		`failed calling webhook "managementplane-deletion.webhook.xcpauth.io"`) {
		h.Errorf("a deletion without the webhook: %v", err)
	}
	// The namespace controller is not held up.
	h.must(h.as("system:serviceaccount:kube-system:namespace-controller").remove("stopped"))
	h.must(n.Start(h.Context()))
}

// A hub that accepts JWTs alone refuses an edge, and nobody answers for the webhook: both modes on is admitted, and
// nothing else is.
func rescued(h *hub, n node) {
	ns := h.namespace("rescued")
	h.emptyRoster()
	jwtOnly := m{"centralAuthModes": m{"jwt": true, "mutualTls": false}}
	for _, name := range []string{"way-back", "with-overlay", "refused"} {
		h.create(managementPlanes, managementPlane(ns, name, jwtOnly))
	}
	h.create(managementPlanes, managementPlane(ns, "both", bothModes))
	h.fleet(cases.OnMTLS)
	n.Stop()
	xcp := func(fields m) m { return m{"spec": m{"components": m{"xcp": fields}}} }
	both := bothModes["centralAuthModes"]
	overlay := func(path string) m {
		return m{"overlays": []any{m{"kind": "CentralXcp", "name": "central-xcp", "patches": []any{m{"path": path,
			"value": "x"}}}}}
	}
	h.must(h.mergePatch(managementPlanes, ns, "way-back", xcp(bothModes)))
	h.must(h.mergePatch(managementPlanes, ns, "with-overlay", xcp(m{"centralAuthModes": both,
		"kubeSpec": overlay("spec.logLevels")})))
	owned := xcp(bothModes)
	owned["metadata"] = m{"ownerReferences": []any{m{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone",
		"uid": "c0ffee00-0000-4000-8000-000000000000"}}}
	for _, e := range []struct {
		name, object string
		patch        m
	}{
		{"mTLS off", "both", withoutMTLS},
		{"the stanza removed", "both", xcp(m{"centralAuthModes": nil})},
		{"xcp removed", "both", m{"spec": m{"components": m{"xcp": nil}}}},
		{"an alias beside the stanza", "both", xcp(m{"central_auth_modes": m{}})},
		{"a stanza in another case", "both", xcp(m{"CentralAuthModes": m{}})},
		{"an overlay behind the stanza", "both", xcp(m{"kubeSpec": overlay("spec.centralAuthModes")})},
		{"the way back with mutualTls alone", "refused", xcp(m{"centralAuthModes": m{"jwt": nil, "mutualTls": true}})},
		{"the way back with an alias", "refused", xcp(m{"centralAuthModes": both, "central_auth_modes": m{}})},
		{"the way back with an overlay", "refused", xcp(m{"centralAuthModes": both, "kubeSpec": overlay("spec")})},
		{"the way back with a third key", "refused", xcp(m{"centralAuthModes": m{"jwt": true, "mutualTls": true,
			"mutual_tls": false}})},
		{"the way back with a text", "refused", xcp(m{"centralAuthModes": m{"jwt": true, "mutualTls": "true"}})},
		{"the way back with an owner", "refused", owned},
	} {
		err := h.mergePatch(managementPlanes, ns, e.object, e.patch)
		byUs := err != nil && strings.Contains(err.Error(), `failed calling webhook "managementplane`) &&
			strings.Contains(err.Error(), `.webhook.xcpauth.io"`)
		if !byUs { // a new owner is asked about by both entries
			h.Errorf("%s without the webhook: %v", e.name, err)
		}
	}
	h.must(n.Start(h.Context()))
}

func draining(h *hub, n node) {
	h.guarded("draining", cases.OnMTLS)
	n.Signal(syscall.SIGTERM)
	h.eventually("it reports not ready", func(ctx context.Context) error {
		if err := n.Ready(ctx); err == nil {
			return errors.New("still ready")
		}
		return nil
	})
	h.denied(h.mergePatch(managementPlanes, "draining", "managementplane", withoutMTLS), "edge-1: mtls")
	if code := n.Wait().ExitCode(); code != 0 {
		h.Errorf("it ended with %d", code)
	}
	h.must(n.Start(h.Context()))
}

func certificateReplaced(h *hub, n node) {
	h.guarded("certificate", cases.OnMTLS)
	secrets := h.kube.CoreV1().Secrets(system)
	before, err := secrets.Get(h.Context(), "xcpauth-webhook-cert", metav1.GetOptions{})
	h.must(err)
	_, err = secrets.Patch(h.Context(), before.Name, "application/merge-patch+json", []byte(`{"data":null}`),
		metav1.PatchOptions{})
	h.must(err)
	h.eventually("another CA is published beside the old one, whose certificate is still served",
		func(ctx context.Context) error {
			conf, err := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, component,
				metav1.GetOptions{})
			if err != nil {
				return err
			}
			bundle := conf.Webhooks[0].ClientConfig.CABundle
			if !bytes.Contains(bundle, before.Data["ca.crt"]) {
				h.Error("the old CA is not published any more")
			}
			if bytes.Equal(bundle, before.Data["ca.crt"]) {
				err = errors.New("still the old one alone")
			}
			return err
		})
	h.eventually("it is ready with the new certificate", n.Ready)
	h.eventually("the API server reaches it", func(context.Context) error {
		return byRule(h.mergePatch(managementPlanes, "certificate", "managementplane", withoutMTLS))
	})
}

// certificateMounted runs the process as the cert-manager overlay does.
func certificateMounted(h *hub, n node) {
	h.guarded("mounted", cases.OnMTLS)
	n.Stop()
	h.must(n.Start(h.Context(), "--rotate-certificates=false"))
	h.denied(h.mergePatch(managementPlanes, "mounted", "managementplane", withoutMTLS), "edge-1: mtls")
	n.Stop()
	h.must(n.Start(h.Context()))
}

func unreadableRoster(h *hub, n node) {
	h.guarded("unreadable", cases.OnJWT)
	bindings := h.kube.RbacV1().RoleBindings(system)
	binding, err := bindings.Get(h.Context(), component, metav1.GetOptions{})
	h.must(err)
	h.must(bindings.Delete(h.Context(), binding.Name, metav1.DeleteOptions{}))
	h.eventually("it is not ready", func(ctx context.Context) error {
		if err := n.Ready(ctx); err == nil {
			return errors.New("still ready")
		}
		return nil
	})
	h.denied(h.mergePatch(managementPlanes, "unreadable", "managementplane", withoutMTLS), "reading the roster",
		"forbidden", "cannot be overridden")
	h.must(h.mergePatch(managementPlanes, "unreadable", "managementplane",
		m{"metadata": m{"labels": m{"still": "possible"}}}))
	binding.ResourceVersion, binding.UID = "", ""
	_, err = bindings.Create(h.Context(), binding, metav1.CreateOptions{})
	h.must(err)
	h.eventually("it is ready again", n.Ready)
	h.must(h.mergePatch(managementPlanes, "unreadable", "managementplane", withoutMTLS))
}

func vendorKinds(h *hub, _ node) {
	h.guarded("kinds", cases.OnJWT)
	dryRun := func() error {
		_, err := h.objects.Resource(managementPlanes).Namespace("kinds").Patch(h.Context(), "managementplane",
			"application/merge-patch+json",
			[]byte(`{"spec":{"components":{"xcp":{"centralAuthModes":{"mutualTls":false}}}}}`),
			metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	h.must(dryRun())
	name := xcpClusters.GroupResource().String()
	crd, err := h.objects.Resource(crds).Get(h.Context(), name, metav1.GetOptions{})
	h.must(err)
	h.must(h.objects.Resource(crds).Delete(h.Context(), name, metav1.DeleteOptions{}))
	h.eventually("the kind is gone", func(ctx context.Context) error {
		if _, err := h.objects.Resource(crds).Get(ctx, name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %v", err)
		}
		return nil
	})
	h.eventually("the edit is admitted without that kind", func(context.Context) error { return dryRun() })

	next := xcpClusters
	next.Version = "v3"
	spec := crd.Object["spec"].(m)
	spec["versions"].([]any)[0].(m)["name"] = next.Version
	h.create(crds, copied(m{"apiVersion": crd.GetAPIVersion(), "kind": crd.GetKind(),
		"metadata": m{"name": name}, "spec": spec}))
	h.eventually("the newer version is served and found", func(ctx context.Context) error {
		if _, err := h.objects.Resource(next).List(ctx, metav1.ListOptions{}); err != nil {
			return err
		}
		_, err := h.kube.Discovery().ServerResourcesForGroupVersion(next.GroupVersion().String())
		return err
	})
	h.create(next, copied(m{"apiVersion": next.GroupVersion().String(), "kind": "Cluster",
		"metadata": m{"namespace": "kinds", "name": "edge-9"}}))
	h.denied(dryRun(), "edge-9: mtls")
}
