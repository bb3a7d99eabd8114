package xcpsim_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func TestAnEdgeCanMoveToJWTUnderEverySwitch(t *testing.T) {
	for _, c := range append(xcpsim.Alone(), xcpsim.NamedSwitches{Name: "all hostile", Switches: xcpsim.AllHostile()}) {
		t.Run(c.Name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle, o.Switches = true, c.Switches })
			f.bothModes()
			f.edgeMode("JWT")
			mpc := "mpc=jwt"
			if c.Switches.MPCPrefersMTLS {
				mpc = "mpc=mtls"
			}
			f.await("the edge on JWT", func() error { return f.presents("edge-1=jwt " + mpc) })
			f.hubModes(`{"jwt":true,"mutualTls":false}`)
			f.await("JWT alone", func() error { return f.presents("edge-1=jwt mpc=jwt") })
			f.noRefusals()
		})
	}
}

func TestRecreateEndsTheOldPodFirst(t *testing.T) {
	for name, recreate := range map[string]bool{"surge": false, "recreate": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Switches.Recreate = recreate })
			f.bothModes()
			f.edgeMode("JWT") // the CA bundle is missing: the new pod does not start
			if recreate {
				f.await("the old session ends", func() error { return f.presents("mpc=jwt") })
				return
			}
			f.await("a second pod", func() error {
				pods, err := f.kube("edge-1").CoreV1().Pods("istio-system").List(t.Context(), metav1.ListOptions{})
				if err == nil && len(pods.Items) != 2 {
					err = fmt.Errorf("%d pods", len(pods.Items))
				}
				return err
			})
			if err := f.presents("edge-1=mtls mpc=jwt"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTheTokenIsMintedBeforeOrOnlyAfterTheFlip(t *testing.T) {
	for name, after := range map[string]bool{"before": false, "only after": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle, o.Switches.MintOnlyAfterFlip = true, after })
			secrets := f.kube("edge-1").CoreV1().Secrets("istio-system")
			has := func(name string) func() error {
				return func() error {
					_, err := secrets.Get(t.Context(), name, metav1.GetOptions{})
					return err
				}
			}
			if !after {
				f.await("a token", has("xcp-edge-central-auth-token"))
				return
			}
			f.await("the siblings", func() error { return errors.Join(has("oap-token")(), has("otel-token")()) })
			if has("xcp-edge-central-auth-token")() == nil {
				t.Error("the edge's token exists before the flip")
			}
			f.edgeMode("JWT")
			f.await("a token", has("xcp-edge-central-auth-token"))
		})
	}
}

func TestCentralServesAReissuedCertificateAtOnceOrFromItsNextStart(t *testing.T) {
	for name, keeps := range map[string]bool{"at once": false, "from its next start": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) {
				o.Installation.CABundle, o.Installation.CertWithoutHost, o.Switches.CentralKeepsCert = true, true, keeps
			})
			f.bothModes()
			f.edgeMode("JWT")
			f.await("refused", func() error { return f.refusedWith("edge-1", xcpsim.ServerNotTrusted) })
			f.reissue("central.xcp.tetrate.io", "tsb.example.test")
			if keeps {
				since := time.Now()
				f.await("refused again", func() error { return f.refusedSince("edge-1", xcpsim.ServerNotTrusted, since) })
				pods := f.kube("hub").CoreV1().Pods("tsb")
				if err := pods.Delete(t.Context(), f.session("mpc").Central, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			f.await("connected", func() error { return f.presents("edge-1=jwt mpc=jwt") })
		})
	}
}

// reissue replaces Central's certificate by one of the same CA with other names.
func (f *fleet) reissue(names ...string) {
	f.t.Helper()
	secrets := f.kube("hub").CoreV1().Secrets("tsb")
	root, err := secrets.Get(f.t.Context(), "xcp-identity-issuer", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	ca, err := xcpsim.LoadAuthority(root.Data[corev1.TLSCertKey], root.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		f.t.Fatal(err)
	}
	data, err := ca.Issue(xcpsim.Leaf{URI: "spiffe://xcp.tetrate.io/central", Names: names})
	if err != nil {
		f.t.Fatal(err)
	}
	cert, err := secrets.Get(f.t.Context(), "xcp-central-cert", metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	cert.Data = data
	if _, err := secrets.Update(f.t.Context(), cert, metav1.UpdateOptions{}); err != nil {
		f.t.Fatal(err)
	}
}

func TestARejectedTokenIsRefusedAndTheOldSessionStays(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle = true })
	f.bothModes()
	f.SetEdge("edge-1", xcpsim.EdgeSwitches{TokenRejected: true})
	f.edgeMode("JWT")
	f.await("refused", func() error { return f.refusedWith("edge-1", xcpsim.TokenInvalid) })
	if err := f.presents("edge-1=mtls mpc=jwt"); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownHostLeadsNowhere(t *testing.T) {
	f := start(t, nil)
	f.patch("edge-1", controlPlanes, "istio-system", "controlplane",
		`{"spec":{"managementPlane":{"host":"other.example.test"}}}`)
	f.await("no such host", func() error {
		for _, d := range f.Dials() {
			if d.Member == "edge-1" && d.Reason == xcpsim.Unreachable && d.Mode == xcpsim.MTLS &&
				d.Pod != f.session("edge-1").Pod {
				return nil
			}
		}
		return errors.New("no such dial")
	})
	f.noRefusals()
}

func TestAServiceAccountOfAnotherClusterGetsNoToken(t *testing.T) {
	said := &syncBuffer{}
	f := start(t, func(o *xcpsim.Options) { o.Log = io.MultiWriter(o.Log, said) })
	secrets := f.kube("edge-1").CoreV1().Secrets("istio-system")
	f.await("a token", func() error {
		_, err := secrets.Get(t.Context(), "xcp-edge-central-auth-token", metav1.GetOptions{})
		return err
	})
	account, err := secrets.Get(t.Context(), "cluster-service-account", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	account.Data["clusterFqn"] = []byte("organizations/example/clusters/edge-2")
	if _, err := secrets.Update(t.Context(), account, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await("the operator's complaint", func() error {
		if !strings.Contains(said.String(), "cluster has been configured with incorrect service account secret") {
			return errors.New("no such line")
		}
		return nil
	})
	if err := secrets.Delete(t.Context(), "xcp-edge-central-auth-token", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.edgeMode("JWT")
	f.await("a pod that waits for its token", func() error {
		events, err := f.kube("edge-1").CoreV1().Events("istio-system").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, e := range events.Items {
			if strings.Contains(e.Message, `secret "xcp-edge-central-auth-token" not found`) {
				return nil
			}
		}
		return errors.New("no such event")
	})
}

// syncBuffer is a buffer that may be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
