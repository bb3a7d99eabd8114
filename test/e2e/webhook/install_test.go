//go:build linux

package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/chart"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

const anImage = "registry.example.test/xcpauth-webhook:v1"

// installer builds the plugin, and runs it as an administrator of the hub.
func (h *hub) installer() (run func(code int, args ...string) (out, errs string)) {
	h.Helper()
	program := filepath.Join(h.TempDir(), "kubectl-xcpauth")
	h.must(sandbox.Build(h.Context(), "./plugin/kubectl-xcpauth", program))
	return func(code int, args ...string) (string, string) {
		h.Helper()
		args = append(args, "--kubeconfig", h.bed.Kubeconfig, "--context", "hub")
		cmd := exec.CommandContext(h.Context(), program, args...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			h.Fatal(err)
		}
		if got := cmd.ProcessState.ExitCode(); got != code {
			h.Fatalf("%v ends with %d, want %d\n%s%s", args, got, code, out.String(), errs.String())
		}
		return out.String(), errs.String()
	}
}

// withdraw tries the edit that would cut an edge off, as a dry run.
func (h *hub) withdraw(ns string) error { return h.dryRun(ns, false, true) }

// serving builds the webhook and makes a node of what is installed.
func (h *hub) serving() node {
	h.Helper()
	binary := filepath.Join(h.TempDir(), component)
	h.must(sandbox.Build(h.Context(), "./webhook/xcpauth-webhook", binary))
	h.must(webhooknode.Adopt(h.Context(), h.cluster))
	n, err := webhooknode.New(h.Context(), h.cluster, binary, filepath.Join(h.TempDir(), "node"))
	h.must(err)
	h.Cleanup(n.Close)
	return node{n}
}

// runs plays the kubelets of the Deployments' pods: each is ready.
func (h *hub) runs() {
	h.Helper()
	h.eventually("the pods are ready", func(ctx context.Context) error {
		pods, err := h.kube.CoreV1().Pods(system).List(ctx, metav1.ListOptions{})
		if err != nil || len(pods.Items) < 3 {
			return errors.Join(err, errors.New("not all pods are made yet"))
		}
		for _, p := range pods.Items {
			p.Status.Phase = corev1.PodRunning
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue,
				LastTransitionTime: metav1.Now()}}
			if _, err := h.kube.CoreV1().Pods(system).UpdateStatus(ctx, &p, metav1.UpdateOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// Installed by the plugin, the webhook refuses nobody before a pod of it is ready, and guards from then on. What is
// installed again changes nothing; uninstalled, it leaves nothing behind that would refuse, and the roster stays.
func TestInstallRefusesNobodyAndGuardsOnceAPodIsReady(t *testing.T) {
	h := startHub(t)
	const ns = "install"
	xcpauth := h.installer()

	tried, _ := xcpauth(0, "install", "webhook", "--image", anImage, "--dry-run=server")
	if _, err := h.kube.CoreV1().Namespaces().Get(t.Context(), system, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the dry run stored something: %v", err)
	}
	out, _ := xcpauth(0, "install", "webhook", "--image", anImage, "--apply")
	for _, what := range []string{"namespace/xcpauth-system created", "deployment.apps/xcpauth-webhook created",
		"validatingwebhookconfiguration.admissionregistration.k8s.io/xcpauth-webhook created"} {
		if !strings.Contains(out, what+"\n") || !strings.Contains(tried, what+" (server dry run)\n") {
			t.Errorf("%q is not in what it prints:\n%sand as a dry run:\n%s", what, out, tried)
		}
	}
	h.guarded(ns, cases.OnMTLS)
	h.must(h.withdraw(ns)) // no pod is ready
	_, errs := xcpauth(1, "install", "webhook", "--image", anImage, "--apply", "--wait", "--timeout=3s")
	for _, what := range []string{"Waiting for Deployment xcpauth-system/xcpauth-", "--timeout 3s is over", "0 of "} {
		if !strings.Contains(errs, what) {
			t.Errorf("while no pod is ready it does not say %q:\n%s", what, errs)
		}
	}

	n := h.serving()
	h.must(n.Start(t.Context()))
	h.denied(h.withdraw(ns), "edge-1: mtls")
	h.runs()
	again, _ := xcpauth(0, "install", "webhook", "--image", anImage, "--apply", "--wait")
	if strings.Contains(again, "created") {
		t.Errorf("what is installed again is created:\n%s", again)
	}
	h.denied(h.withdraw(ns), "edge-1: mtls")
	xcpauth(0, "webhook", "status", "--contexts", "hub")

	h.opened(n)
	out, _ = xcpauth(0, "uninstall", "webhook", "--apply")
	first, _, _ := strings.Cut(out, "\n")
	if first != "validatingwebhookconfiguration.admissionregistration.k8s.io/xcpauth-webhook deleted" ||
		!strings.Contains(out, "namespace/xcpauth-system kept\n") ||
		!strings.Contains(out, "customresourcedefinition.apiextensions.k8s.io/edgeclusters.xcpauth.io kept\n") {
		t.Errorf("uninstalling says\n%s", out)
	}
	n.Stop()
	h.must(h.withdraw(ns))
	left, err := h.kubectl("get", "deployments,services,secrets,networkpolicies,poddisruptionbudgets", "-n", system,
		"-l", "app.kubernetes.io/part-of=xcpauth", "-o", "name")
	if err != nil || strings.TrimSpace(left) != "" {
		t.Errorf("left: %s, %v", left, err)
	}
	if entries := h.all(api.EdgeClusters); len(entries) == 0 {
		t.Error("the roster is gone")
	}
	xcpauth(0, "uninstall", "webhook", "--apply") // there is nothing left to delete
}

// opened has somebody open the guard, which the webhook closes again within seconds.
func (h *hub) opened(n node) {
	h.Helper()
	confs := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := confs.Patch(h.Context(), component, "application/merge-patch+json", []byte(`{"webhooks":[]}`),
		metav1.PatchOptions{})
	h.must(err)
	h.eventually("the entries are put back", func(ctx context.Context) error {
		conf, err := confs.Get(ctx, component, metav1.GetOptions{})
		if err == nil && len(conf.Webhooks) != 2 {
			err = errors.New("there are not two")
		}
		return err
	})
	h.eventually("the metric says so", func(ctx context.Context) error { // after the write that puts them back
		at, err := n.Metric(ctx, "xcpauth_webhook_guarding")
		if err == nil && at != 1 {
			err = fmt.Errorf("xcpauth_webhook_guarding is %v", at)
		}
		return err
	})
}

// Who may not delete the configuration deletes nothing else: without pods it would refuse every guarded edit.
func TestUninstallNeverLeavesAConfigurationWithoutPods(t *testing.T) {
	h := startHub(t)
	xcpauth := h.installer()
	xcpauth(0, "install", "webhook", "--image", anImage, "--apply")
	const resources = "deployments.apps,services,secrets,serviceaccounts,networkpolicies.networking.k8s.io," +
		"poddisruptionbudgets.policy,roles.rbac.authorization.k8s.io,rolebindings.rbac.authorization.k8s.io," +
		"customresourcedefinitions.apiextensions.k8s.io"
	if out, err := h.kubectl("create", "clusterrole", "all-but-the-configuration", "--verb=*",
		"--resource="+resources); err != nil {
		t.Fatal(out)
	}
	if out, err := h.kubectl("create", "clusterrolebinding", "limited", "--clusterrole=all-but-the-configuration",
		"--user=limited"); err != nil {
		t.Fatal(out)
	}
	_, errs := xcpauth(1, "uninstall", "webhook", "--apply", "--as", "limited")
	if !strings.Contains(errs, "deleting ValidatingWebhookConfiguration xcpauth-webhook in hub") ||
		!strings.Contains(errs, "nothing after it was deleted") {
		t.Errorf("it says %s", errs)
	}
	if _, err := h.kube.AppsV1().Deployments(system).Get(t.Context(), component, metav1.GetOptions{}); err != nil {
		t.Errorf("the Deployment: %v", err)
	}
}

// An installation from before the webhook wrote its entries itself is upgraded in place, by the plugin and by the
// chart: at no moment is the edit that would cut an edge off admitted. The manifest is that of commit c1b78be.
func TestAnOlderInstallationIsGuardedThroughoutItsUpgrade(t *testing.T) {
	t.Run("by the plugin", func(t *testing.T) {
		h := startHub(t)
		h.upgraded(func() { h.installer()(0, "install", "webhook", "--image", anImage, "--apply") })
	})
	t.Run("by the chart", func(t *testing.T) {
		h := startHub(t)
		h.upgraded(func() {
			h.helm("install", "--take-ownership", "--force-conflicts")
		})
	})
}

// upgraded installs the manifest of before, upgrades it, and tries the edit all the while.
func (h *hub) upgraded(upgrade func()) {
	h.Helper()
	const ns = "upgrade"
	t := h.T
	old, err := os.ReadFile(filepath.Join("testdata", "installed-before.yaml"))
	h.must(err)
	port, err := webhooknode.Port(h.cluster.ServiceIP(20))
	h.must(err)
	old = bytes.ReplaceAll(old, []byte("      port: 443\n"), []byte("      port: "+port+"\n"))
	old = bytes.Replace(old, []byte("\n    port: 443\n"), []byte("\n    port: "+port+"\n"), 1)
	out, err := h.kubectlInput(string(old), "apply", "-f", "-")
	if err != nil {
		t.Fatal(out)
	}
	if out, err := h.kubectl("wait", "--for=condition=Established", "crd/edgeclusters.xcpauth.io"); err != nil {
		t.Fatal(out)
	}
	n := h.serving()
	h.must(n.Start(t.Context()))
	h.guarded(ns, cases.OnMTLS)
	if h.withdraw(ns) == nil {
		t.Fatal("what was installed guards nothing")
	}

	tried := h.triedAllTheWhile(ns)
	upgrade()
	n.Stop() // its pods are replaced
	h.must(h.serving().Start(t.Context()))
	tried()
	d, err := h.kube.AppsV1().Deployments(system).Get(t.Context(), component, metav1.GetOptions{})
	h.must(err)
	if image := imageOf(d); image != anImage {
		t.Errorf("the Deployment runs %s", image)
	}
	if entries := h.all(api.EdgeClusters); len(entries) == 0 {
		t.Error("the roster is gone")
	}
}

// triedAllTheWhile tries the edit again and again, until the returned function is called: that waits until it is denied
// some more times, and fails where it was ever admitted.
func (h *hub) triedAllTheWhile(ns string) (end func()) {
	var denied, refused, admitted atomic.Int64
	ctx, stop := context.WithCancel(h.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			switch err := h.withdraw(ns); {
			case err == nil:
				admitted.Add(1)
			case byRule(err) == nil:
				denied.Add(1)
			default:
				refused.Add(1)
			}
		}
	}()
	return func() {
		h.Helper()
		was := denied.Load()
		h.eventually("it is denied by the rule", func(context.Context) error {
			if denied.Load() < was+5 {
				return errors.New("not yet")
			}
			return nil
		})
		stop()
		<-ended
		h.Logf("%d edits were denied, %d refused while nobody answered, %d admitted", denied.Load(), refused.Load(),
			admitted.Load())
		if admitted.Load() > 0 {
			h.Error("the edit was admitted")
		}
	}
}

// helm runs a verb of the real helm on the release, as an administrator of the hub.
func (h *hub) helm(verb string, args ...string) {
	h.Helper()
	helm, dir, err := chart.Helm(h.Context())
	h.must(err)
	args = append([]string{verb, "xcpauth", "--namespace", system, "--kubeconfig", h.bed.Kubeconfig, "--kube-context",
		"hub"}, args...)
	if verb != "uninstall" {
		repository, tag, _ := strings.Cut(anImage, ":")
		args = append(args, dir, "--set", "image.repository="+repository+",image.tag="+tag)
	}
	cmd := exec.CommandContext(h.Context(), helm, args...)
	home := h.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("helm %v: %v\n%s", args, err, out)
	}
}

// Installed by the chart, it is as by the plugin: nobody is refused before a pod is ready, an upgrade leaves no gap,
// and what is uninstalled refuses nobody and leaves the roster.
func TestTheChartInstallsUpgradesAndUninstalls(t *testing.T) {
	h := startHub(t)
	const ns = "chart"
	h.helm("install", "--create-namespace")
	h.guarded(ns, cases.OnMTLS)
	h.must(h.withdraw(ns)) // no pod is ready
	n := h.serving()
	h.must(n.Start(t.Context()))
	h.denied(h.withdraw(ns), "edge-1: mtls")

	tried := h.triedAllTheWhile(ns)
	h.helm("upgrade", "--set", "webhook.replicas=3")
	h.helm("upgrade", "--set", "auditor.enabled=false")
	tried()
	d, err := h.kube.AppsV1().Deployments(system).Get(t.Context(), component, metav1.GetOptions{})
	h.must(err)
	if image := imageOf(d); image != anImage {
		t.Errorf("the Deployment runs %s", image)
	}

	h.helm("uninstall")
	n.Stop()
	h.eventually("nobody is asked any more", func(context.Context) error { return h.withdraw(ns) })
	if entries := h.all(api.EdgeClusters); len(entries) == 0 {
		t.Error("the roster is gone")
	}
	if _, err := h.kube.CoreV1().Namespaces().Get(t.Context(), edgesNamespace, metav1.GetOptions{}); err != nil {
		t.Errorf("the namespace of the edges' kubeconfigs: %v", err)
	}
}

func imageOf(d *appsv1.Deployment) string { return d.Spec.Template.Spec.Containers[0].Image }
