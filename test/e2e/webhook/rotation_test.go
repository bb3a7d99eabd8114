//go:build linux

package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// lives are those of certificates that change within seconds.
var lives = []string{"--ca-lifetime=45s", "--leaf-lifetime=15s", "--publish-wait=2s"}

// TestEditsKeepComingWhileCertificatesRotate runs two replicas behind the Service. Until four CAs and eight leaves were seen, guarded
// edits are tried by the API server, and each replica's port is called, on a new connection, with every bundle of the last second.
func TestEditsKeepComingWhileCertificatesRotate(t *testing.T) {
	h := startHub(t)
	nodes, _ := replicas(h, lives...)
	h.guarded("rotating", cases.OnMTLS)
	h.eventually("the API server asks the webhook", func(context.Context) error { return byRule(h.dryRun("rotating", false, true)) })

	seen := rotation{cas: map[string]bool{}, leaves: map[string]bool{}}
	calls := 0
	for began := time.Now(); (len(seen.cas) < 4 || len(seen.leaves) < 8) && time.Since(began) < 4*time.Minute; calls++ {
		seen.look(h, nodes)
		if err := byRule(h.dryRun("rotating", false, true)); err != nil {
			t.Errorf("after %d calls, %s: an edit that cuts edge-1 off: %v", calls, seen, err)
		}
		if err := h.dryRun("rotating", true, false); err != nil {
			t.Errorf("after %d calls, %s: an edit that cuts nobody off: %v", calls, seen, err)
		}
		if t.Failed() {
			break
		}
	}
	if len(seen.cas) < 4 || len(seen.leaves) < 8 {
		t.Errorf("not enough was seen: %s", seen)
	}
	t.Logf("%d edits denied, %d admitted, none failed; %s", calls, calls, seen)
	for i, n := range nodes {
		if t.Failed() {
			t.Logf("log of replica %d:\n%s", i, n.Log())
		}
		for _, line := range strings.Split(n.Log(), "\n") {
			if strings.Contains(line, "PRIVATE KEY") {
				t.Errorf("replica %d logged a key", i)
			}
		}
	}
}

// dryRun sets both modes of the object in a namespace, without storing it.
func (h *hub) dryRun(ns string, mutualTLS, jwt bool) error {
	_, err := h.objects.Resource(managementPlanes).Namespace(ns).Patch(h.Context(), "managementplane", "application/merge-patch+json",
		fmt.Appendf(nil, `{"spec":{"components":{"xcp":{"centralAuthModes":{"mutualTls":%t,"jwt":%t}}}}}`, mutualTLS, jwt), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// rotation is what was seen of it.
type rotation struct {
	cas, leaves map[string]bool
	bundles     []sighting
	handshakes  int
}

type sighting struct {
	pem []byte
	at  time.Time // when it was the published one, last
}

func (r rotation) String() string {
	return fmt.Sprintf("%d CAs, %d leaves, %d handshakes", len(r.cas), len(r.leaves), r.handshakes)
}

// look reads the published bundle, and connects to each replica with each bundle of the last second, as an API server that lags would.
func (r *rotation) look(h *hub, nodes []*webhooknode.Node) {
	conf, err := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(h.Context(), component, metav1.GetOptions{})
	h.must(err)
	now := conf.Webhooks[0].ClientConfig.CABundle
	if n := len(r.bundles); n == 0 || string(r.bundles[n-1].pem) != string(now) {
		r.bundles = append(r.bundles, sighting{pem: now})
		for block, rest := pem.Decode(now); block != nil; block, rest = pem.Decode(rest) {
			r.cas[string(block.Bytes)] = true
		}
	}
	r.bundles[len(r.bundles)-1].at = time.Now()
	for _, s := range r.bundles {
		if time.Since(s.at) > time.Second {
			continue
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.pem)
		for i, n := range nodes {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", n.Admission(), &tls.Config{RootCAs: roots, ServerName: component + "." + system + ".svc"})
			if err != nil {
				h.Errorf("%s: replica %d is not believed by a bundle published %s ago: %v", r, i, time.Since(s.at), err)
				continue
			}
			r.handshakes++
			r.leaves[string(conn.ConnectionState().PeerCertificates[0].Raw)] = true
			conn.Close()
		}
	}
}
