package xcpsim_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func TestAHealthyFleetIsOnMutualTLS(t *testing.T) {
	f := start(t, nil)
	s := f.session("edge-1")
	if s.Credential != xcpsim.MTLS || !s.TokenExpires.IsZero() || s.Pod == "" || s.Central == "" {
		t.Errorf("session %+v", s)
	}
	clusters, err := f.dynamic("hub").Resource(xcpClusters).Namespace("tsb").List(t.Context(), metav1.ListOptions{})
	if err != nil || len(clusters.Items) != 1 || clusters.Items[0].GetName() != "edge-1" {
		t.Errorf("the hub's inventory is %v, %v", clusters, err)
	}
	f.await("edge Available", func() error {
		d, err := f.kube("edge-1").AppsV1().Deployments("istio-system").Get(t.Context(), "edge", metav1.GetOptions{})
		if err == nil && d.Status.AvailableReplicas != 1 {
			err = errors.New("no available replica")
		}
		return err
	})
	f.noRefusals()
}

func TestOneEdgeFlipsToJWTWithoutARefusal(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle = true })
	before := f.session("edge-1")
	f.bothModes()
	f.edgeMode("JWT")
	f.await("the edge on JWT, the old session gone", func() error { return f.presents("edge-1=jwt mpc=jwt") })
	after := f.session("edge-1")
	if after.Pod == before.Pod || after.TokenExpires.IsZero() {
		t.Errorf("session %+v, before %+v: want another pod and a token", after, before)
	}
	f.await("the old pod gone", func() error {
		pods, err := f.kube("edge-1").CoreV1().Pods("istio-system").List(t.Context(), metav1.ListOptions{})
		if err == nil && (len(pods.Items) != 1 || pods.Items[0].Name != after.Pod) {
			err = fmt.Errorf("%d pods", len(pods.Items))
		}
		return err
	})
	xcp, err := f.dynamic("edge-1").Resource(edgeXcps).Namespace("istio-system").Get(t.Context(), "edge-xcp",
		metav1.GetOptions{})
	if err != nil || !strings.Contains(fmt.Sprint(xcp.Object["spec"]), "centralAuthMode:JWT") {
		t.Errorf("EdgeXcp %v, %v", xcp, err)
	}
	f.hubModes(`{"jwt":true,"mutualTls":false}`)
	f.await("everybody on another Central", func() error {
		for _, s := range f.Sessions() {
			if s.Central == after.Central {
				return fmt.Errorf("%s is still at %s", s.Member, s.Central)
			}
		}
		return f.presents("edge-1=jwt mpc=jwt")
	})
	f.noRefusals()
}

func TestMutualTLSWithdrawnUnderAnEdgeIsRefusedAsSuch(t *testing.T) {
	f := start(t, nil)
	f.hubModes(`{"jwt":true,"mutualTls":null}`)
	f.await("a refusal", func() error { return f.refusedWith("edge-1", xcpsim.ModeNotAccepted) })
	f.await("the edge cut off", func() error { return f.presents("mpc=jwt") })
	for _, d := range f.Refusals() {
		if d.Member == "edge-1" && (d.Credential != xcpsim.MTLS || d.Reason != xcpsim.ModeNotAccepted) {
			t.Errorf("refused: %s", d)
		}
	}
	f.hubModes(`{"jwt":true,"mutualTls":true}`)
	f.await("the edge back", func() error { return f.presents("edge-1=mtls mpc=jwt") })
}

func TestAMissingSecretKeepsThePodInContainerCreating(t *testing.T) {
	f := start(t, nil)
	f.bothModes()
	secrets := f.kube("edge-1").CoreV1().Secrets("istio-system")
	f.await("the operator's tokens", func() error {
		for _, name := range []string{"xcp-edge-central-auth-token", "oap-token", "otel-token"} {
			if _, err := secrets.Get(t.Context(), name, metav1.GetOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
	f.SetEdge("edge-1", xcpsim.EdgeSwitches{NoTokens: true})
	if err := secrets.Delete(t.Context(), "xcp-edge-central-auth-token", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	old := f.session("edge-1")
	f.edgeMode("JWT")
	for _, want := range []string{
		`MountVolume.SetUp failed for volume "xcp-central-auth-jwt" : secret "xcp-edge-central-auth-token" not found`,
		`MountVolume.SetUp failed for volume "xcp-central-auth-ca" : secret "xcp-central-ca-bundle" not found`,
	} {
		f.await(want, func() error {
			events, err := f.kube("edge-1").CoreV1().Events("istio-system").List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return err
			}
			for _, e := range events.Items {
				if e.Reason == "FailedMount" && e.Message == want {
					return nil
				}
			}
			return errors.New("no such event")
		})
	}
	f.await("ContainerCreating", func() error {
		pods, err := f.kube("edge-1").CoreV1().Pods("istio-system").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range pods.Items {
			if p.Name == old.Pod || len(p.Status.ContainerStatuses) == 0 {
				continue
			}
			if w := p.Status.ContainerStatuses[0].State.Waiting; p.Status.Phase == corev1.PodPending && w != nil &&
				w.Reason == "ContainerCreating" {
				return nil
			}
		}
		return errors.New("no such pod")
	})
	if s := f.session("edge-1"); s.Pod != old.Pod || s.Credential != xcpsim.MTLS {
		t.Errorf("the old pod's session is %+v, want %+v", s, old)
	}
	f.bundle()
	f.SetEdge("edge-1", xcpsim.EdgeSwitches{})
	f.await("the pod starts once its secrets are there", func() error { return f.presents("edge-1=jwt mpc=jwt") })
	f.noRefusals()
}

func TestTokensAreRenewedAndRereadBeforeTheyExpire(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) {
		o.Installation.CABundle = true
		o.Switches.CutAtExpiry = true
		o.Cadence.TokenTTL = 6 * time.Second
	})
	f.bothModes()
	f.edgeMode("JWT")
	f.await("JWT", func() error { return f.presents("edge-1=jwt mpc=jwt") })
	first := f.session("edge-1")
	f.await("a session with a newer token in the same pod", func() error {
		for _, s := range f.Sessions() {
			if s.Member == "edge-1" && s.Pod == first.Pod && s.TokenExpires.After(first.TokenExpires) {
				return nil
			}
		}
		return errors.New("none")
	})
	f.noRefusals()
}

func TestATokenReadOnceExpiresAndIsRefusedAsSuch(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) {
		o.Installation.CABundle = true
		o.Switches.CutAtExpiry, o.Switches.NoHotReload = true, true
		o.Cadence.TokenTTL = 6 * time.Second
	})
	f.bothModes()
	f.edgeMode("JWT")
	f.await("a refusal", func() error { return f.refusedWith("edge-1", xcpsim.TokenExpired) })
}

func TestAnEdgeRefusesACertificateThatDoesNotCoverItsHost(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle, o.Installation.CertWithoutHost = true, true })
	f.bothModes()
	old := f.session("edge-1")
	f.edgeMode("JWT")
	f.await("a refusal", func() error { return f.refusedWith("edge-1", xcpsim.ServerNotTrusted) })
	last := f.Refusals()[len(f.Refusals())-1]
	if want := "certificate is valid for central.xcp.tetrate.io, not tsb.example.test"; !strings.Contains(last.Text,
		want) {
		t.Errorf("refused with %q, want %q in it", last.Text, want)
	}
	if s := f.session("edge-1"); s.Pod != old.Pod {
		t.Errorf("session %+v, want that of the old pod", s)
	}
	f.patch("edge-1", controlPlanes, "istio-system", "controlplane",
		`{"spec":{"components":{"xcp":{"kubeSpec":{"overlays":[
		{"apiVersion":"install.xcp.tetrate.io/v1alpha1","kind":"EdgeXcp","name":"edge-xcp","patches":[{"path":"spec.centralAuthJwt.centralSni","value":"central.xcp.tetrate.io"}]}]}}}}}`)
	f.await("connected by the overlay's name", func() error { return f.presents("edge-1=jwt mpc=jwt") })
}

func TestNewPodsThatNeverConnectLeaveTheOldOneItsSession(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle = true })
	f.bothModes()
	f.SetEdge("edge-1", xcpsim.EdgeSwitches{NewPodsNeverConnect: true})
	old := f.session("edge-1")
	f.edgeMode("JWT")
	f.await("a dial of the new pod", func() error {
		for _, d := range f.Dials() {
			if d.Member == "edge-1" && d.Pod != old.Pod && d.Reason == xcpsim.Unreachable && d.Mode == xcpsim.JWT {
				return nil
			}
		}
		return errors.New("none")
	})
	if s := f.session("edge-1"); s.Pod != old.Pod || s.Credential != xcpsim.MTLS {
		t.Errorf("session %+v, want the old one", s)
	}
	f.edgeMode("MUTUAL_TLS")
	f.await("put back: the old pod alone", func() error {
		pods, err := f.kube("edge-1").CoreV1().Pods("istio-system").List(t.Context(), metav1.ListOptions{})
		if err == nil && (len(pods.Items) != 1 || pods.Items[0].Name != old.Pod) {
			err = fmt.Errorf("%d pods", len(pods.Items))
		}
		return err
	})
	f.noRefusals()
}

func TestAnAsleepEdgeHasNoPods(t *testing.T) {
	f := start(t, nil)
	f.SetEdge("edge-1", xcpsim.EdgeSwitches{Asleep: true})
	f.await("no session", func() error { return f.presents("mpc=mtls") })
	f.SetEdge("edge-1", xcpsim.EdgeSwitches{})
	f.await("awake", func() error { return f.presents("edge-1=mtls mpc=mtls") })
}
