//go:build linux

package webhook

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// many is how many roster entries there are.
var many = flag.Int("many", 1000, "how many roster entries the webhook's memory is measured with")

// memoryMax is what a process may have at its peak, in KiB.
const memoryMax = 64 << 10

// manyEntries runs fresh processes against a large roster: the webhook decides both ways, the auditor writes
// a condition for each entry. It looks at the peak of either.
func manyEntries(h *hub, n node) {
	const ns = "many"
	h.guarded(ns, cases.OnMTLS)
	h.deleteHubs(ns)
	for i := range *many - 1 {
		h.register(fmt.Sprintf("fleet-%04d", i), fmt.Sprintf("uid-%d", i), time.Hour, "jwt")
	}
	n.End(syscall.SIGTERM)
	h.must(n.Start(h.Context(), "--shutdown-delay=0s"))
	a := auditor(h, 0)
	h.must(a.Start(h.Context(), "--audit-interval=1s"))
	edit := func() error { return h.mergePatch(managementPlanes, ns, "managementplane", withoutMTLS) }
	h.denied(edit(), "1 member may still present", "edge-1: mtls")
	before := memory(h, n, "VmRSS")
	h.audits(a) // which gives each entry its condition
	h.accepted(fmt.Sprintf("fleet-%04d", *many-2), metav1.ConditionTrue)
	h.register("edge-1", "uid-1", time.Hour, "jwt")
	h.must(edit())
	for name, process := range map[string]node{"webhook": n, "auditor": a} {
		peak := memory(h, process, "VmHWM")
		h.Logf("the %s with %d roster entries: %d KiB at its peak", name, *many, peak)
		if peak > memoryMax {
			h.Errorf("the %s: %d KiB at its peak, at most %d are allowed", name, peak, memoryMax)
		}
	}
	h.Logf("the webhook had %d KiB after one decision", before)
	a.End(syscall.SIGTERM)
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
