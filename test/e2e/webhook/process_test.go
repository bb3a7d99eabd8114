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
	h.must(sandbox.Build(h.Context(), "./webhook/xcpauth-webhook", binary))
	h.must(webhooknode.Install(h.Context(), h.bed, h.cluster, filepath.Join(root, "manifests", "overlays", "self-signed"), h.cluster.ServiceIP(20)))
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

// calls is how many admission calls the process has had.
func (n node) calls(h *hub) int {
	h.Helper()
	count, err := n.Calls(h.Context())
	h.must(err)
	return count
}
