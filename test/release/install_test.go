package release

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// TestTheInstallationAppliesToARealCluster applies each of a release's manifests twice with the real kubectl, and has
// the real cert-manager make the certificate of the one.
func TestTheInstallationAppliesToARealCluster(t *testing.T) {
	dist := t.TempDir()
	if err := Build(t.Context(), "-dist", dist, "-platforms", "linux/"+runtime.GOARCH, "-images", "-version",
		"v1.2.3"); err != nil {
		t.Fatal(err)
	}
	bed := testbed.ForTest(t, "self-signed", "cert-manager")
	certManager := bed.Cluster("cert-manager")
	if err := certManager.StartCertManager(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(certManager.StopCertManager)
	for _, c := range []struct{ cluster, file string }{{"self-signed", "install.yaml"},
		{"cert-manager", "install-cert-manager.yaml"}} {
		for range 2 {
			cmd := exec.CommandContext(t.Context(), filepath.Join(bed.Bin, "kubectl"), "--kubeconfig", bed.Kubeconfig,
				"--context", c.cluster, "apply", "-f", filepath.Join(dist, c.file))
			out, err := cmd.CombinedOutput()
			if err != nil || strings.Contains(string(out), "Warning") {
				t.Fatalf("kubectl apply -f %s: %v\n%s", c.file, err, out)
			}
		}
		kube, err := kubernetes.NewForConfig(bed.Cluster(c.cluster).Config)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"xcpauth-webhook", "xcpauth-auditor"} {
			d, err := kube.AppsV1().Deployments("xcpauth-system").Get(t.Context(), name, metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			image := d.Spec.Template.Spec.Containers[0].Image
			if d.Generation != 1 || !strings.HasPrefix(image, "ghcr.io/xcpauth/xcpauth-webhook:v1.2.3@sha256:") {
				t.Errorf("%s applied twice made generation %d of %s, with image %s", c.file, d.Generation, name, image)
			}
		}
	}
	kube, err := kubernetes.NewForConfig(certManager.Config)
	if err != nil {
		t.Fatal(err)
	}
	leaf := func() error {
		secret, err := kube.CoreV1().Secrets("xcpauth-system").Get(t.Context(), "xcpauth-webhook-cert", metav1.GetOptions{})
		if err != nil {
			return err
		}
		return chained(secret)
	}
	last := errors.New("never looked")
	if err := wait.PollUntilContextTimeout(t.Context(), 200*time.Millisecond, 2*time.Minute, true,
		func(context.Context) (bool, error) {
			last = leaf()
			return last == nil, nil
		}); err != nil {
		t.Errorf("cert-manager made no certificate that its ca.crt vouches for: %v", last)
	}
}

// chained is nil when the Secret holds a leaf for the webhook's name that lives 30 days, and the CA that issued it,
// which is another.
func chained(secret *corev1.Secret) error {
	block, _ := pem.Decode(secret.Data["tls.crt"])
	if block == nil {
		return errors.New("no tls.crt")
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(secret.Data["ca.crt"]) {
		return errors.New("no ca.crt")
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: "xcpauth-webhook.xcpauth-system.svc"})
	if err != nil {
		return err
	}
	if len(chains[0]) != 2 || chains[0][1].Subject.CommonName != "xcpauth-webhook-ca" {
		return fmt.Errorf("the chain is %d long, up to %s", len(chains[0]), chains[0][len(chains[0])-1].Subject)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life != 720*time.Hour {
		return fmt.Errorf("the leaf lives %s", life)
	}
	return nil
}
