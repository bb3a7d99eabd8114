package xcpsim_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// TestWhatACentralPodServesIsSeenThroughAPortForward re-issues Central's certificate and looks at the pod itself: it
// has the new leaf at once or, where it keeps what it read at its start, from a rollout restart on, which the
// operator then leaves in place.
func TestWhatACentralPodServesIsSeenThroughAPortForward(t *testing.T) {
	for name, keeps := range map[string]bool{"the new leaf at once": false, "the new leaf after a restart": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Installation.CertWithoutHost, o.Switches.CentralKeepsCert = true, keeps })
			old := f.session("edge-1").Central
			f.await("the leaf of the secret", func() error { return f.serves(old, "central.xcp.tetrate.io") })
			f.reissue("central.xcp.tetrate.io", "tsb.example.test")
			if keeps {
				if err := f.serves(old, "central.xcp.tetrate.io"); err != nil {
					t.Errorf("after the re-issue: %v", err)
				}
			} else {
				f.await("the new leaf", func() error { return f.serves(old, "central.xcp.tetrate.io", "tsb.example.test") })
			}
			restarted := f.restartCentral(old)
			f.await("the new leaf from the new pod", func() error {
				return f.serves(restarted, "central.xcp.tetrate.io",
					"tsb.example.test")
			})
			f.bothModes() // the operator renders Central again
			d, err := f.kube("hub").AppsV1().Deployments("tsb").Get(t.Context(), "central", metav1.GetOptions{})
			if err != nil || d.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] == "" {
				t.Errorf("the restart's annotation is gone: %v, %v", d.Spec.Template.Annotations, err)
			}
			f.noRefusals()
		})
	}
}

// restartCentral restarts Central as people do and returns the pod that everybody is connected to afterwards.
func (f *fleet) restartCentral(old string) (pod string) {
	f.t.Helper()
	cmd := exec.CommandContext(f.t.Context(), filepath.Join(bed.Bin, "kubectl"), "--context=hub", "-n", "tsb", "rollout",
		"restart", "deployment/central")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+bed.Kubeconfig)
	if out, err := cmd.CombinedOutput(); err != nil {
		f.t.Fatalf("restarting Central: %v\n%s", err, out)
	}
	f.await("everybody at another Central", func() error {
		for _, s := range f.Sessions() {
			if s.Central == old {
				return fmt.Errorf("%s is still at %s", s.Member, old)
			}
			pod = s.Central
		}
		return f.presents("edge-1=mtls mpc=mtls")
	})
	return pod
}

// serves says whether a Central pod serves a leaf of exactly these DNS names, in a handshake that offers HTTP/2 and
// in one that does not.
func (f *fleet) serves(pod string, names ...string) error {
	for _, protocols := range [][]string{{"h2"}, nil} {
		leaf, err := f.servedLeaf(pod, protocols...)
		if err != nil {
			return err
		}
		if !slices.Equal(leaf.DNSNames, names) {
			return fmt.Errorf("%s serves a leaf for %v, want %v", pod, leaf.DNSNames, names)
		}
	}
	return nil
}

func (f *fleet) servedLeaf(pod string, protocols ...string) (leaf *x509.Certificate, err error) {
	err = f.forward(overSPDY, "hub", "tsb", pod, 9080, func(addr string) error {
		conn, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
		if err != nil {
			return err
		}
		defer conn.Close()
		leaf = conn.ConnectionState().PeerCertificates[0]
		return nil
	})
	return leaf, err
}
