package testbed_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// TestAPoolLendsClustersAsTheyWereAtFirst lends the same two clusters again and again, under other names. Each borrower
// finds nothing of the one before, whatever that did to them, and they work.
func TestAPoolLendsClustersAsTheyWereAtFirst(t *testing.T) {
	pool, err := testbed.NewPool(t.Context(), 2, testbed.Options{Dir: t.ArtifactDir(), Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Stop)
	lend := func(names ...string) *testbed.Bed {
		t.Helper()
		b, err := pool.Start(t.Context(), testbed.Options{Clusters: names, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}

	b := lend("hub", "edge-1")
	hub, edge := b.Cluster("hub"), b.Cluster("edge-1")
	began := map[*testbed.Cluster][]string{hub: everything(t, b, hub), edge: everything(t, b, edge)}
	deploymentGetsPods(t, hub, "web")
	leaveTraces(t, b, hub)
	edge.Freeze()
	if err := hub.StartCertManager(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitsForClusters(t, pool)
	b.Stop()
	b.Stop()

	for _, round := range []struct {
		what string
		does func(b *testbed.Bed, c *testbed.Cluster)
	}{
		{"whose objects are left behind", func(b *testbed.Bed, c *testbed.Cluster) { leaveTraces(t, b, c) }},
		{"whose API server is started again with a flag", func(_ *testbed.Bed, c *testbed.Cluster) {
			if err := c.RestartAPIServer(t.Context(), "--disable-admission-plugins=ValidatingAdmissionPolicy"); err != nil {
				t.Fatal(err)
			}
		}},
		{"whose API server is killed", func(_ *testbed.Bed, c *testbed.Cluster) { c.KillAPIServer() }},
		{"that is left alone", func(*testbed.Bed, *testbed.Cluster) {}},
	} {
		b := lend("global", "west")
		if got := kubectl(t, b, "", "config", "get-contexts", "-o", "name"); got != "global\nwest" {
			t.Errorf("the kubeconfig has %q", got)
		}
		for _, c := range b.Clusters() {
			if d := cmp.Diff(began[c], everything(t, b, c)); d != "" {
				t.Errorf("before the borrower %s, %s is not as it was at first (-was +is):\n%s", round.what, c.Name, d)
			}
			deploymentGetsPods(t, c, "web") // under a name that was there before
			round.does(b, c)
		}
		b.Stop()
	}
}

// everything is the names of all that a cluster has of the kinds that a test may leave behind, and what a role says
// that is there from the beginning.
func everything(t *testing.T, b *testbed.Bed, c *testbed.Cluster) []string {
	t.Helper()
	all := strings.Join([]string{"namespaces", "secrets", "configmaps", "serviceaccounts", "services", "pods",
		"deployments.apps", "replicasets.apps", "events", "clusterroles", "customresourcedefinitions",
		"validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations",
		"managementplanes.install.tetrate.io"}, ",")
	out := kubectl(t, b, c.Name, "get", all, "-A", "-o",
		`jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}/{.metadata.uid} {.rules}{"\n"}{end}`)
	return strings.Split(out, "\n")
}

// leaveTraces does what a test may do to a cluster: kinds, namespaces with a finalizer, policies that deny, webhooks
// that nobody answers, and changes of what was there.
func leaveTraces(t *testing.T, b *testbed.Bed, c *testbed.Cluster) {
	t.Helper()
	k := client(t, c.Config)
	ctx := t.Context()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "left", Finalizers: []string{"example.test/never"}}}
	must(k.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}))
	x := metav1.ObjectMeta{Name: "x"}
	must(k.CoreV1().Secrets("left").Create(ctx, &corev1.Secret{ObjectMeta: x}, metav1.CreateOptions{}))
	must(k.RbacV1().ClusterRoles().Patch(ctx, "view", types.MergePatchType,
		[]byte(`{"aggregationRule":null,"rules":[]}`), metav1.PatchOptions{}))
	must(k.RbacV1().ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: x}, metav1.CreateOptions{}))
	must(nil, k.CoreV1().ConfigMaps("kube-system").Delete(ctx, "extension-apiserver-authentication",
		metav1.DeleteOptions{}))

	deployments := admissionv1.NamedRuleWithOperations{}
	deployments.Operations = []admissionv1.OperationType{admissionv1.Create}
	deployments.APIGroups, deployments.APIVersions = []string{"apps"}, []string{"v1"}
	deployments.Resources = []string{"deployments"}
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "no-deployments"}}
	policy.Spec.MatchConstraints = &admissionv1.MatchResources{
		ResourceRules: []admissionv1.NamedRuleWithOperations{deployments},
	}
	policy.Spec.Validations = []admissionv1.Validation{{Expression: "false"}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: "no-deployments"}}
	binding.Spec.PolicyName = policy.Name
	binding.Spec.ValidationActions = []admissionv1.ValidationAction{admissionv1.Deny}
	api := k.AdmissionregistrationV1()
	must(api.ValidatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}))
	must(api.ValidatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{}))
	url, fail, none := "https://127.0.0.1:1/", admissionv1.Fail, admissionv1.SideEffectClassNone
	hook := admissionv1.ValidatingWebhook{Name: "nobody.example.test", FailurePolicy: &fail, SideEffects: &none,
		AdmissionReviewVersions: []string{"v1"}, Rules: []admissionv1.RuleWithOperations{deployments.RuleWithOperations}}
	hook.ClientConfig.URL = &url
	hooks := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "nobody"}, Webhooks: []admissionv1.ValidatingWebhook{hook},
	}
	must(api.ValidatingWebhookConfigurations().Create(ctx, hooks, metav1.CreateOptions{}))

	kubectl(t, b, c.Name, "create", "namespace", "tsb")
	file := filepath.Join(t.TempDir(), "plane.yaml")
	plane := "apiVersion: install.tetrate.io/v1alpha1\nkind: ManagementPlane\n" +
		"metadata: {name: x, namespace: tsb, finalizers: [example.test/never]}\n"
	if err := os.WriteFile(file, []byte(plane), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, b, c.Name, "create", "-f", file)
	eventually(t, func() error { // the policy, or the webhook, keeps Deployments out
		_, err := k.AppsV1().Deployments("default").Create(ctx, deployment("kept-out"),
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsInvalid(err) || apierrors.IsInternalError(err) {
			return nil
		}
		return fmt.Errorf("a Deployment is answered by: %v", err)
	})
}

// waitsForClusters borrows what is lent out: that waits, for as long as the borrower wants.
func waitsForClusters(t *testing.T, pool *testbed.Pool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := pool.Start(ctx, testbed.Options{Clusters: []string{"third"}, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "waiting for 1 clusters") {
		t.Errorf("a third cluster of two: %v", err)
	}
	_, err = pool.Start(t.Context(), testbed.Options{Clusters: []string{"a", "b", "c"}, Dir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "cannot lend 3") {
		t.Errorf("three clusters of two: %v", err)
	}
}
