package bench

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// BenchmarkLook measures what a run takes to look at members again, over the connections that it keeps, and to glance
// at all that can move there. The CPU is of this process alone, for the servers are elsewhere in life; the time is on
// the same processors as theirs.
func BenchmarkLook(b *testing.B) {
	for _, members := range []int{1, 50, 300} {
		f := start(b, "tsb", members)
		path, err := f.kubeconfig(b.TempDir(), members, nil)
		if err != nil {
			b.Fatal(err)
		}
		fleet, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path, Hubs: []string{"hub"}})
		if err != nil {
			b.Fatal(err)
		}
		fleet.KeepConnections()
		d := tsb.Provider()
		live := &apply.Live{Fleet: fleet, Provider: d, Where: plan.Selection{Hub: "hub"}, Observer: &observe.Observer{
			Fleet: fleet, Reads: d.Reads, Trim: d.Trim, Metrics: true, RequestTimeout: time.Minute,
			MemberTimeout: time.Minute, Limit: 64, Now: time.Now}}
		for _, m := range live.Observe(b.Context()).Members {
			if m.Err != "" {
				b.Fatalf("%s: %s", m.Name, m.Err)
			}
		}
		glance := map[string]func(plan.Read) bool{}
		for i := range members {
			glance[name(i)] = moves
		}
		for what, look := range map[string]func() plan.State{
			"all":    func() plan.State { return live.Observe(b.Context()) },
			"glance": func() plan.State { return live.Glance(b.Context(), glance) }} {
			b.Run(fmt.Sprintf("%s/members=%d", what, members), func(b *testing.B) { f.benchmarkLook(b, members, look) })
		}
	}
}

func (f *fleet) benchmarkLook(b *testing.B, members int, look func() plan.State) {
	if _, err := f.counts(); err != nil {
		b.Fatal(err)
	}
	began := used(b)
	looks := 0
	for b.Loop() {
		look()
		looks++
	}
	cpu := used(b) - began
	counts, err := f.counts()
	if err != nil {
		b.Fatal(err)
	}
	var requests, forwards int
	for _, c := range counts[1:] {
		requests, forwards = requests+c.Reads, forwards+c.Forwards
	}
	b.ReportMetric(float64(cpu)/float64(time.Millisecond)/float64(looks*members), "cpu-ms/member")
	b.ReportMetric(float64(requests)/float64(looks*members), "reads/member")
	b.ReportMetric(float64(forwards)/float64(members), "port-forwards/member-in-all")
}

// moves says what a wave may wait for in an edge, all at once: a rollout, the mode, the token, and the session.
func moves(r plan.Read) bool {
	return state.Rollouts(r) || state.Modes(r) || state.Token(r) || state.Counters(r)
}

// used is the CPU that this process has used.
func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
