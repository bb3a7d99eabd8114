package xcpsim_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// TestAnEdgeConnectsWithWhatTctlPrints brings an edge without credentials what the fake tctl prints, in both of its
// ways.
func TestAnEdgeConnectsWithWhatTctlPrints(t *testing.T) {
	five := []string{"elastic-credentials", "es-certs", "xcp-central-ca-bundle", "mp-certs", "cluster-service-account"}
	for _, c := range []struct {
		name, version string
		want          []string
		longLived     bool
	}{
		{"a service account", "v1.6.2", five, false},
		{"a token", "v1.4.6", append(slices.Clone(five[:4]), "oap-token", "otel-token", "zipkin-token",
			"xcp-edge-central-auth-token"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Installation.NoCredentials = true })
			tctl := f.tctl(c.version)
			central, err := f.kube("hub").CoreV1().Secrets("tsb").Get(t.Context(), "xcp-central-cert", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			args := []string{"install", "manifest", "control-plane-secrets", "--cluster=edge-1", "--xcp-central-ca-bundle=" +
				string(central.Data["ca.crt"])}
			if !c.longLived {
				jwk := tctl("install", "cluster-service-account", "--cluster=edge-1")
				if again := tctl("install", "cluster-service-account", "--cluster=edge-1"); again == jwk {
					t.Error("the same key twice")
				}
				args = append(args, "--cluster-service-account="+jwk)
			}
			printed := tctl(args...)
			var got []string
			for document := range strings.SplitSeq(strings.TrimPrefix(printed, "---\n"), "---\n") {
				var s corev1.Secret
				if err := yaml.Unmarshal([]byte(document), &s); err != nil || s.Namespace != "istio-system" {
					t.Errorf("document %q: %v", document, err)
				}
				got = append(got, s.Name)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("secrets %v, want %v", got, c.want)
			}
			f.apply("edge-1", printed)
			f.bothModes()
			f.edgeMode("JWT")
			f.await("the edge on JWT", func() error { return f.presents("edge-1=jwt mpc=jwt") })
			if long := time.Until(f.session("edge-1").TokenExpires) > time.Hour; long != c.longLived {
				t.Errorf("the session's token lives long: %v, want %v", long, c.longLived)
			}
			f.noRefusals()
		})
	}
}

func TestTctlWithoutAClusterMakesOneCalledDefault(t *testing.T) {
	f := start(t, nil)
	tctl := f.tctl("")
	if got := tctl("version"); got != "TCTL version: v1.6.2\nTSB version: v1.6.2\n" {
		t.Errorf("version prints %q", got)
	}
	tctl("install", "manifest", "control-plane-secrets", "--create-cluster=false")
	clusters := f.dynamic("hub").Resource(xcpClusters).Namespace("tsb")
	if list, err := clusters.List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 1 {
		t.Errorf("told not to make one: %v, %v", list, err)
	}
	tctl("install", "manifest", "control-plane-secrets")
	if _, err := clusters.Get(t.Context(), "default", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
}

// tctl builds the fake, with a profile of its own that leads to the hub, and returns what runs it.
func (f *fleet) tctl(version string) func(args ...string) string {
	f.t.Helper()
	dir := f.t.TempDir()
	program := filepath.Join(dir, "tctl")
	build := exec.CommandContext(f.t.Context(), "go", "build", "-o", program,
		"github.com/xcpauth/kubectl-xcpauth/test/faketctl")
	if out, err := build.CombinedOutput(); err != nil {
		f.t.Fatalf("building the fake tctl: %v\n%s", err, out)
	}
	run := func(args ...string) string {
		f.t.Helper()
		cmd := exec.CommandContext(f.t.Context(), program, args...)
		cmd.Env = append(os.Environ(), "FAKETCTL_KUBECONFIG="+bed.Kubeconfig, "FAKETCTL_VERSION="+version,
			"TCTL_CONFIG="+filepath.Join(dir, "config.yaml"))
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			f.t.Fatalf("tctl %v: %v\n%s", args[:min(3, len(args))], err, errs.String())
		}
		return out.String()
	}
	run("config", "clusters", "set", "hub", "--bridge-address", "tsb.example.test:8443")
	run("config", "profiles", "set", "default", "--cluster", "hub", "--username", "admin")
	return run
}

// apply hands a manifest to the real kubectl.
func (f *fleet) apply(cluster, manifest string) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), filepath.Join(bed.Bin, "kubectl"), "--context="+cluster, "apply", "-f", "-")
	cmd.Env, cmd.Stdin = append(os.Environ(), "KUBECONFIG="+bed.Kubeconfig), strings.NewReader(manifest)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("applying the manifest to %s: %v\n%s", cluster, err, out)
	}
}
