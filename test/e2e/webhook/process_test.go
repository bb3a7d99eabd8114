//go:build linux

package webhook

import (
	"path/filepath"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// node is the webhook's node in one test.
type node struct{ *webhooknode.Node }

// installed builds the webhook and installs the self-signed overlay; the binary is in dir.
func installed(h *hub) (dir, binary string) {
	h.Helper()
	root, err := sandbox.Root()
	h.must(err)
	dir = h.TempDir()
	binary = filepath.Join(dir, component)
	h.binary = binary
	h.must(sandbox.Build(h.Context(), "./webhook/xcpauth-webhook", binary))
	h.must(webhooknode.Install(h.Context(), h.bed, h.cluster, filepath.Join(root, "manifests", "overlays", "self-signed"),
		h.cluster.ServiceIP(20)))
	return dir, binary
}

// deploy builds the webhook, installs the self-signed overlay and runs the process until the test ends.
func deploy(h *hub) node {
	h.Helper()
	dir, binary := installed(h)
	n, err := webhooknode.New(h.Context(), h.cluster, binary, filepath.Join(dir, "node"))
	h.must(err)
	h.Cleanup(n.Close)
	h.must(n.Start(h.Context()))
	return node{n}
}

// firstAuditor is the number of the first auditor's address in the hub's service range.
const firstAuditor = 24

// auditor prepares an auditor, the n-th of its hub, as its Deployment says; nothing runs yet. It needs deploy.
func auditor(h *hub, n int) node {
	h.Helper()
	a, err := webhooknode.NewAuditor(h.Context(), h.cluster, h.binary, filepath.Join(h.TempDir(), "auditor"),
		h.cluster.ServiceIP(firstAuditor+n))
	h.must(err)
	h.Cleanup(a.Close)
	return node{a}
}

// calls is how many admission calls the process has had.
func (n node) calls(h *hub) int {
	h.Helper()
	count, err := n.Calls(h.Context())
	h.must(err)
	return count
}
