//go:build linux

package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// lives are those of certificates that change within seconds.
var lives = []string{"--ca-lifetime=45s", "--leaf-lifetime=15s", "--publish-wait=2s"}

// TestEditsKeepComingWhileCertificatesRotate runs two replicas behind the Service. Until four CAs and eight leaves
// were seen, guarded edits are tried by the API server, and each replica's port is called, on a new connection, with
// every bundle of the last second.
func TestEditsKeepComingWhileCertificatesRotate(t *testing.T) {
	h := startHub(t)
	nodes, _ := replicas(h, lives...)
	h.guarded("rotating", cases.OnMTLS)
	h.eventually("the API server asks the webhook", func(context.Context) error {
		return byRule(h.dryRun("rotating",
			false, true))
	})

	seen := newRotation()
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

// TestTheCAIsChangedWithoutOneFailedEdit plays the commands of docs/webhook.md that change the CA, as an administrator
// with the real kubectl, under two replicas behind the Service. All the while guarded edits are tried, and each
// replica's port is called with every bundle of the last second.
func TestTheCAIsChangedWithoutOneFailedEdit(t *testing.T) {
	h := startHub(t)
	commands := documented(h, "## Its certificate")
	if len(commands) != 2 {
		t.Fatalf("want one command that changes the CA and one that takes the old one out: %q", commands)
	}
	nodes, _ := replicas(h, "--publish-wait=2s")
	h.guarded("changing", cases.OnMTLS)
	h.eventually("the API server asks the webhook", func(context.Context) error {
		return byRule(h.dryRun("changing", false, true))
	})
	seen, edits := newRotation(), 0
	until := func(what string, done func() bool) {
		t.Helper()
		for began := time.Now(); ; edits++ {
			seen.look(h, nodes)
			if err := byRule(h.dryRun("changing", false, true)); err != nil {
				t.Errorf("%s: an edit that cuts edge-1 off: %v", what, err)
			}
			if err := h.dryRun("changing", true, false); err != nil {
				t.Errorf("%s: an edit that cuts nobody off: %v", what, err)
			}
			switch {
			case t.Failed():
				t.FailNow()
			case done():
				return
			case time.Since(began) > limit:
				t.Fatalf("%s: not within %s; %s", what, limit, seen)
			}
		}
	}
	changed := func(from []string) func() bool {
		return func() bool {
			return !slices.ContainsFunc(seen.served, func(leaf string) bool { return slices.Contains(from, leaf) })
		}
	}
	more := func(n int) func() bool { return func() bool { n--; return n < 0 } }
	for round := range 3 {
		until("before", more(10))
		served := slices.Clone(seen.served)
		h.play(commands[0])
		until("the CA is changed", changed(served))
		if n := seen.published(); n != 2 {
			t.Errorf("round %d: %d CAs are published, want the old one beside the new one", round, n)
		}
		h.play(commands[1])
		until("the old CA is taken out", func() bool { return seen.published() == 1 })
	}
	until("afterwards", more(10))
	if len(seen.cas) != 4 || len(seen.leaves) != 4 {
		t.Errorf("not what was to be seen: %s", seen)
	}
	t.Logf("%d edits denied, %d admitted, none failed; %s", edits, edits, seen)
}

// documented are the commands of a section of docs/webhook.md, one for each block.
func documented(h *hub, section string) (blocks []string) {
	h.Helper()
	root, err := sandbox.Root()
	h.must(err)
	text, err := os.ReadFile(filepath.Join(root, "docs", "webhook.md"))
	h.must(err)
	_, rest, _ := strings.Cut(string(text), "\n"+section+"\n")
	rest, _, _ = strings.Cut(rest, "\n#")
	for {
		var block string
		var more bool
		if _, rest, more = strings.Cut(rest, "```sh\n"); !more {
			return blocks
		}
		block, rest, _ = strings.Cut(rest, "```")
		blocks = append(blocks, block)
	}
}

// play runs commands of a page as the administrator.
func (h *hub) play(commands string) {
	h.Helper()
	if out, code := h.shell("", h.bed.Bin, "set -e\n"+commands); code != 0 {
		h.Fatalf("exit code %d\n%s\n%s", code, commands, out)
	}
}

// dryRun sets both modes of the object in a namespace, without storing it.
func (h *hub) dryRun(ns string, mutualTLS, jwt bool) error {
	_, err := h.objects.Resource(managementPlanes).Namespace(ns).Patch(h.Context(), "managementplane",
		"application/merge-patch+json",
		fmt.Appendf(nil, `{"spec":{"components":{"xcp":{"centralAuthModes":{"mutualTls":%t,"jwt":%t}}}}}`, mutualTLS, jwt),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// rotation is what was seen of it.
type rotation struct {
	cas, leaves map[string]bool
	served      []string // by each replica, at the last look
	bundles     []sighting
	handshakes  int
}

func newRotation() rotation { return rotation{cas: map[string]bool{}, leaves: map[string]bool{}} }

// published is how many CAs the bundle held at the last look.
func (r rotation) published() int {
	return strings.Count(string(r.bundles[len(r.bundles)-1].pem), "BEGIN CERTIFICATE")
}

type sighting struct {
	pem []byte
	at  time.Time // when it was the published one, last
}

func (r rotation) String() string {
	return fmt.Sprintf("%d CAs, %d leaves, %d handshakes", len(r.cas), len(r.leaves), r.handshakes)
}

// look reads the published bundle, and connects to each replica with each bundle of the last second, as an API server
// that lags would.
func (r *rotation) look(h *hub, nodes []*webhooknode.Node) {
	conf, err := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(h.Context(), component,
		metav1.GetOptions{})
	h.must(err)
	now := conf.Webhooks[0].ClientConfig.CABundle
	if n := len(r.bundles); n == 0 || string(r.bundles[n-1].pem) != string(now) {
		r.bundles = append(r.bundles, sighting{pem: now})
		for block, rest := pem.Decode(now); block != nil; block, rest = pem.Decode(rest) {
			r.cas[string(block.Bytes)] = true
		}
	}
	r.bundles[len(r.bundles)-1].at = time.Now()
	r.served = make([]string, len(nodes))
	for _, s := range r.bundles {
		if time.Since(s.at) > time.Second {
			continue
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.pem)
		for i, n := range nodes {
			conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", n.Admission(),
				&tls.Config{RootCAs: roots, ServerName: component + "." + system + ".svc"})
			if err != nil {
				h.Errorf("%s: replica %d is not believed by a bundle published %s ago: %v", r, i, time.Since(s.at), err)
				continue
			}
			r.handshakes++
			r.served[i] = string(conn.ConnectionState().PeerCertificates[0].Raw)
			r.leaves[r.served[i]] = true
			conn.Close()
		}
	}
}
