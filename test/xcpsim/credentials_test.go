package xcpsim_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func TestLongLivedTokensAreMadeOnceAndNeverRenewed(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) {
		o.Installation.CABundle, o.Installation.LongLivedTokens = true, true
		o.Cadence.TokenRenew = time.Millisecond // whatever is renewed at all is renewed at once
	})
	secrets := f.kube("edge-1").CoreV1().Secrets("istio-system")
	if _, err := secrets.Get(t.Context(), "cluster-service-account", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("a service account: %v, want not found", err)
	}
	before, err := secrets.Get(t.Context(), "xcp-edge-central-auth-token", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.bothModes()
	f.edgeMode("JWT")
	f.await("the edge on JWT", func() error { return f.presents("edge-1=jwt mpc=jwt") })
	if left := time.Until(f.session("edge-1").TokenExpires); left < 8759*time.Hour {
		t.Errorf("the token lives for %s, want a year", left)
	}
	after, err := secrets.Get(t.Context(), "xcp-edge-central-auth-token", metav1.GetOptions{})
	if err != nil || after.UID != before.UID || !bytes.Equal(after.Data["jwt"], before.Data["jwt"]) {
		t.Errorf("the token changed (%v)", err)
	}
	f.noRefusals()
}

func TestAnEdgeWithoutCredentialsWaitsForThem(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle, o.Installation.NoCredentials = true, true })
	f.bothModes()
	f.edgeMode("JWT")
	f.await("a pod that waits for its token", func() error {
		events, err := f.kube("edge-1").CoreV1().Events("istio-system").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, e := range events.Items {
			if e.Message == `MountVolume.SetUp failed for volume "xcp-central-auth-jwt" : secret "xcp-edge-central-auth-token" not found` {
				return nil
			}
		}
		return errors.New("no such event")
	})
	for _, name := range []string{"cluster-service-account", "oap-token", "otel-token"} {
		_, err := f.kube("edge-1").CoreV1().Secrets("istio-system").Get(t.Context(), name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("secret %s: %v, want not found", name, err)
		}
	}
	if err := f.presents("edge-1=mtls mpc=jwt"); err != nil {
		t.Error(err)
	}
	f.noRefusals()
}
