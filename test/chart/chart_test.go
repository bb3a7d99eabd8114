package chart

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/install"
)

// defaults are how the chart is rendered as a release would be.
var defaults = []string{"--namespace", "xcpauth-system", "--set", "image.tag=devel"}

// rendered runs helm template, and returns what it prints, or its error.
func rendered(t *testing.T, args ...string) (string, error) {
	t.Helper()
	helm, chart, err := Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(t.Context(), helm, append([]string{"template", "xcpauth", chart}, args...)...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+t.TempDir(), "HELM_CONFIG_HOME="+t.TempDir())
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// objects are the documents of a manifest by kind, namespace and name.
func objects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for doc := range strings.SplitSeq("\n"+text, "\n---\n") {
		var o map[string]any
		if err := yaml.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if o == nil {
			continue
		}
		metadata := o["metadata"].(map[string]any)
		key := fmt.Sprint(o["kind"], " ", metadata["namespace"], " ", metadata["name"])
		if all[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		all[key] = o
	}
	return all
}

// comparable takes out of what helm rendered what the chart alone has: that helm keeps an object, and when an image is
// pulled.
func comparable(all map[string]map[string]any) map[string]map[string]any {
	for _, o := range all {
		metadata := o["metadata"].(map[string]any)
		if annotations, _ := metadata["annotations"].(map[string]any); annotations != nil {
			if delete(annotations, "helm.sh/resource-policy"); len(annotations) == 0 {
				delete(metadata, "annotations")
			}
		}
		if o["kind"] == "Deployment" {
			pod := o["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
			for _, c := range pod["containers"].([]any) {
				delete(c.(map[string]any), "imagePullPolicy")
			}
		}
	}
	return all
}

// The chart and the overlays of kustomize install the same with either source of the certificate. Helm makes the
// namespace of a release itself.
func TestTheChartInstallsWhatKustomizeInstalls(t *testing.T) {
	for _, certificates := range []string{"self-signed", "cert-manager"} {
		reviewed, err := os.ReadFile(filepath.Join("..", "..", "manifests", "rendered", certificates+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		want := objects(t, string(reviewed))
		delete(want, "Namespace <nil> xcpauth-system")
		text, err := rendered(t, append(defaults, "--set", "certificates="+certificates)...)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, comparable(objects(t, text))); d != "" {
			t.Errorf("%s (-kustomize +chart):\n%s", certificates, d)
		}
	}
}

// In a namespace of its own the chart installs what "kubectl xcpauth install webhook --namespace" does.
func TestTheChartInstallsInANamespaceWhatThePluginInstallsThere(t *testing.T) {
	all, err := install.Webhook{Image: "ghcr.io/xcpauth/xcpauth-webhook:devel", Replicas: 2,
		Certificates: install.SelfSigned}.Objects()
	if err != nil {
		t.Fatal(err)
	}
	if all, err = install.In(all, "mesh-auth"); err != nil {
		t.Fatal(err)
	}
	manifest, err := install.YAML(all)
	if err != nil {
		t.Fatal(err)
	}
	want := objects(t, string(manifest))
	delete(want, "Namespace <nil> mesh-auth")
	text, err := rendered(t, "--namespace", "mesh-auth", "--set", "image.tag=devel,monitoring.enabled=false")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, comparable(objects(t, text))); d != "" {
		t.Errorf("(-install +chart):\n%s", d)
	}
	text, err = rendered(t, "--namespace", "mesh-auth", "--set", "monitoring.enabled=true")
	if err != nil || strings.Contains(text, "xcpauth-system") {
		t.Errorf("%v; with what monitors, the usual namespace is named:\n%s", err, text)
	}
}

func TestTheChartPassesLint(t *testing.T) {
	helm, chart, err := Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), helm, "lint", "--strict", chart, "--namespace", "xcpauth-system")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestEachValueDoesWhatItSays(t *testing.T) {
	const digest = "sha256:0123456789012345678901234567890123456789012345678901234567890123"
	for _, tc := range []struct {
		set      string // values, comma-separated
		has, not string // parts of what is rendered
	}{
		{"image.repository=r.test/x,image.tag=v9", "image: r.test/x:v9", "ghcr.io/xcpauth/xcpauth-webhook:"},
		{"image.digest=" + digest, "image: ghcr.io/xcpauth/xcpauth-webhook@" + digest, ":devel"},
		{"image.pullPolicy=Always", "imagePullPolicy: Always", "IfNotPresent"},
		{"imagePullSecrets[0].name=pull", "imagePullSecrets:\n      - name: pull", ""},
		{"webhook.replicas=3", "replicas: 3", "replicas: 2"},
		{"webhook.replicas=1", "replicas: 1", "kind: PodDisruptionBudget"},
		{"webhook.extraArgs={--central-metrics=off}", `- "--central-metrics=off"`, ""},
		{"auditor.extraArgs={--audit-interval=5m}", `- "--audit-interval=5m"`, ""},
		{"webhook.goMemLimit=1GiB,webhook.resources.limits.memory=2Gi", "memory: 2Gi", ""},
		{"auditor.enabled=false", "name: xcpauth-webhook", "        - auditor\n"},
		{"networkPolicy.enabled=false", "kind: Deployment", "kind: NetworkPolicy"},
		{"monitoring.enabled=true", "kind: PrometheusRule", ""},
		{"monitoring.enabled=true", "kind: PodMonitor", ""},
		{"monitoring.enabled=true", `grafana_dashboard: "1"`, ""},
		{"monitoring.enabled=false", "kind: Deployment", "kind: PrometheusRule"},
		{"nodeSelector.disk=ssd", "nodeSelector:\n        disk: ssd", ""},
		{"tolerations[0].key=k,tolerations[0].operator=Exists", "tolerations:\n      - key: k\n        operator: Exists", ""},
		{"priorityClassName=high", "priorityClassName: high", ""},
	} {
		text, err := rendered(t, append(defaults, "--set", tc.set)...)
		if err != nil {
			t.Errorf("%s: %v", tc.set, err)
			continue
		}
		objects(t, text) // it is YAML, and no object is there twice
		if !strings.Contains(text, tc.has) || tc.not != "" && strings.Contains(text, tc.not) {
			t.Errorf("%s renders no %q, or a %q", tc.set, tc.has, tc.not)
		}
	}
}

func TestAValueThatCannotBeMeantIsRefused(t *testing.T) {
	for set, says := range map[string]string{
		"certificates=acme":             "certificates",
		"webhook.replicas=0":            "replicas",
		"webhook.replicas=two":          "replicas",
		"image.digest=latest":           "digest",
		"image.pullPolicy=Sometimes":    "pullPolicy",
		"webhook.extraArgs={audit}":     "extraArgs",
		"webhook.goMemLimit=much":       "goMemLimit",
		"replicas=3":                    "replicas",
		"networkPolicy.enabled=perhaps": "enabled",
	} {
		if _, err := rendered(t, append(defaults, "--set", set)...); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want an error about %s", set, err, says)
		}
	}
}
