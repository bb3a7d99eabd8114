//go:build linux

package webhook

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

const (
	many      = 1000     // roster entries
	memoryMax = 64 << 10 // KiB of the process at its peak
)

// manyEntries runs a fresh process against a roster of a thousand, has it decide both ways and audit, and looks at its peak.
func manyEntries(h *hub, n node) {
	const ns = "many"
	h.guarded(ns, cases.OnMTLS)
	h.deleteHubs(ns)
	for i := range many - 1 {
		h.register(fmt.Sprintf("fleet-%04d", i), fmt.Sprintf("uid-%d", i), time.Hour, "jwt")
	}
	n.End(syscall.SIGTERM)
	h.must(n.Start(h.Context(), "--audit-interval=1s", "--shutdown-delay=0s"))
	edit := func() error { return h.mergePatch(managementPlanes, ns, "managementplane", withoutMTLS) }
	h.denied(edit(), "1 member may still present", "edge-1: mtls")
	before := memory(h, n, "VmRSS")
	h.audits(n) // which gives each entry its condition
	h.register("edge-1", "uid-1", time.Hour, "jwt")
	h.must(edit())
	peak := memory(h, n, "VmHWM")
	h.Logf("the webhook with %d roster entries: %d KiB after one decision, %d KiB at its peak, with an audit that wrote %d conditions", many, before, peak, many)
	if peak > memoryMax {
		h.Errorf("%d KiB at its peak, at most %d are allowed", peak, memoryMax)
	}
	n.End(syscall.SIGTERM)
	h.emptyRoster()
	h.must(n.Start(h.Context()))
}

// memory is a line of the process's status, in KiB.
func memory(h *hub, n node, line string) int {
	h.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.PID()))
	h.must(err)
	for text := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(text, line+":"); ok {
			kib, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
			h.must(err)
			return kib
		}
	}
	h.Fatalf("no %s in\n%s", line, status)
	return 0
}
