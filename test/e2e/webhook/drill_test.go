//go:build linux

package webhook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

const (
	drilled = "drilled" // the namespace of the guarded object
	beside  = "beside"  // of everything else
)

// drill is two replicas behind the Service, under a load of edits.
type drill struct {
	*load
	nodes   []*webhooknode.Node
	service *webhooknode.Balancer
}

// No local fault of the catalogue (see catalogue_test.go) turns a denial into an admission, and none of them holds up
// an edit of something else, while edits keep coming at whatever rate the machine gives. An edit that cuts nobody off
// is denied only while a fault explains it.
func TestEditsKeepComingWhileTheWebhookIsDrilled(t *testing.T) {
	h := startHub(t)
	d := &drill{}
	d.nodes, d.service = replicas(h, drained)
	h.guarded(drilled, cases.OnMTLS)
	h.create(xcpClusters, copied(m{"apiVersion": "xcp.tetrate.io/v2", "kind": "Cluster",
		"metadata": m{"namespace": drilled, "name": "edge-1"}}))
	h.guarded(beside, cases.OnMTLS)
	h.eventually("the API server asks the webhook", func(context.Context) error {
		return byRule(h.dryRun(drilled,
			false, true))
	})
	d.load = startLoad(h)
	for _, fault := range []struct {
		name string
		run  func(*drill)
	}{
		{"none", func(d *drill) { d.more(50, harmless, admitted) }},
		{"L2 a replica is killed", killed},
		{"L3 rolled under load", rolled},
		{"L4 killed at its cold start", killedAtColdStart},
		{"L5 entries are deleted", entriesDeleted},
		{"L7 replicas of any age", sameAge},
		{"L11 etcd hangs", etcdHangs},
		{"L13 one CPU and 64 MiB", small},
		{"replicas are paused", paused},
		{"P11 slow, half-open, oversized and many", attacked},
		{"L1 the API server restarts", apiServerRestarted},
		{"none again", func(d *drill) { d.more(50, harmless, admitted); d.more(50, cuts, ruled) }},
	} {
		began := time.Now()
		d.during(fault.name, func() { fault.run(d) })
		t.Logf("%s: %s", fault.name, time.Since(began).Round(100*time.Millisecond))
	}
	d.judge()
	if t.Failed() {
		for i, n := range d.nodes {
			t.Logf("the end of what replica %d logged beside decisions:\n%s", i, besideDecisions(n.Log(), 40))
		}
	}
}

// drained is shorter than what is shipped, so that rolling takes seconds, and longer than Balance goes on sending
// connections.
const drained = "--shutdown-delay=3s"

// replicas deploys two replicas behind the Service, started with flags.
func replicas(h *hub, flags ...string) (nodes []*webhooknode.Node, service *webhooknode.Balancer) {
	h.Helper()
	dir, binary := installed(h)
	var starting sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		n, err := webhooknode.NewAt(h.Context(), h.cluster, binary, filepath.Join(dir, fmt.Sprint("node-", i)),
			h.cluster.ServiceIP(21+i))
		h.must(err)
		h.Cleanup(n.Close)
		nodes = append(nodes, n)
		starting.Go(func() { errs[i] = n.Start(h.Context(), flags...) })
	}
	starting.Wait()
	h.must(errors.Join(errs...))
	service, err := webhooknode.Balance(h.Context(), h.cluster.ServiceIP(20), nodes...)
	h.must(err)
	h.Cleanup(service.Close)
	return nodes, service
}

// start starts a replica and waits for its kubelet to call it ready, as whoever rolls a Deployment does before the
// next one is ended.
func (d *drill) start(n *webhooknode.Node) {
	d.h.Helper()
	d.h.must(n.Start(d.h.Context(), drained))
	d.h.must(d.service.Await(d.h.Context(), n))
}

// end drains a replica.
func (d *drill) end(n *webhooknode.Node) {
	d.h.Helper()
	d.mu.Lock()
	d.ended++
	d.mu.Unlock()
	if code := n.End(syscall.SIGTERM).ExitCode(); code != 0 {
		d.h.Errorf("it ended with %d", code)
	}
}

// killed loses one replica after the other in the middle of calls; the one that is left answers. What went to the
// lost one is denied.
func killed(d *drill) {
	for _, n := range d.nodes {
		d.excused(func() {
			n.Stop()
			d.more(20, harmless, admitted)
			d.more(20, cuts, ruled)
			d.start(n)
		})
		d.more(20, harmless, admitted)
	}
}

// rolled replaces each replica in turn, with its drain: nobody notices (but see judge).
func rolled(d *drill) {
	for range 2 {
		for _, n := range d.nodes {
			d.end(n)
			d.start(n)
		}
	}
}

// killedAtColdStart kills one replica again and again before it is ready, as one would be that has no room for its
// start: it is never called.
func killedAtColdStart(d *drill) {
	n := d.nodes[0]
	d.end(n)
	for i := range 5 {
		ctx, cancel := context.WithTimeout(d.h.Context(), time.Duration(10+40*i)*time.Millisecond)
		err := n.Start(ctx, drained)
		cancel()
		if err == nil { // it was faster than that
			d.end(n)
		}
		d.more(5, harmless, admitted)
	}
	d.start(n)
}

// entriesDeleted takes the roster away and brings it back while decisions run. A cluster that the hub knows and the
// roster lacks is unknown.
func entriesDeleted(d *drill) {
	d.excused(func() {
		for range 15 {
			d.h.emptyRoster()
			d.more(3, cuts, ruled)
			for _, name := range []string{"edge-0", "edge-2", "edge-1"} {
				d.h.register(name, "uid-1", time.Hour, "mtls")
			}
			d.more(3, harmless, admitted)
		}
		for _, name := range []string{"edge-0", "edge-2"} {
			d.h.must(d.h.objects.Resource(api.EdgeClusters).Namespace(system).Delete(d.h.Context(), name,
				metav1.DeleteOptions{}))
		}
	})
}

// sameAge changes the roster and asks both replicas at once, each time: there is no inventory that one of them read
// earlier.
func sameAge(d *drill) {
	review := d.h.forged(drilled, m{"centralAuthModes": m{"mutualTls": true}})
	client := d.h.caller()
	defer client.CloseIdleConnections()
	ask := func(n *webhooknode.Node) (*admissionv1.AdmissionResponse, error) {
		res, err := client.Post("https://"+n.Admission()+"/validate-managementplane?timeout=5s", "application/json",
			bytes.NewReader(review))
		if err != nil {
			return nil, err
		}
		defer res.Body.Close()
		var answer admissionv1.AdmissionReview
		if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Response == nil {
			return nil, fmt.Errorf("%w: %+v", err, answer)
		}
		return answer.Response, nil
	}
	d.excused(func() {
		for i := range 40 {
			presents, want := "jwt", false
			if i%2 == 1 {
				presents, want = "mtls", true
			}
			d.h.register("edge-2", "uid-2", time.Hour, presents)
			var asking sync.WaitGroup
			for j, n := range d.nodes {
				asking.Go(func() {
					if r, err := ask(n); err != nil || r.Allowed != want {
						d.h.Errorf("edge-2 presents %s from now on, and whether jwt may go off replica %d answers %v, %v",
							presents, j, r, err)
					}
				})
			}
			asking.Wait()
		}
	})
}

// etcdHangs has the API server's storage answer nothing for longer than a call may take. Whoever waits for it waits;
// nobody is refused for it.
func etcdHangs(d *drill) {
	d.excused(func() {
		for range 5 { // slow
			d.h.bed.FreezeEtcd()
			select {
			case <-time.After(200 * time.Millisecond):
			case <-d.h.Context().Done():
			}
			d.h.bed.ThawEtcd()
			d.more(3, cuts, ruled)
		}
		d.h.bed.FreezeEtcd()
		select {
		case <-time.After(6 * time.Second): // more than timeoutSeconds
		case <-d.h.Context().Done():
		}
		d.h.bed.ThawEtcd()
		d.more(10, harmless, admitted)
		d.more(10, cuts, ruled)
		d.more(10, unrelated, admitted)
	})
	d.more(20, harmless, admitted)
}

// small runs both replicas with as little as they are to make do with.
func small(d *drill) {
	set := func(env ...string) {
		for _, n := range d.nodes {
			d.end(n)
			n.Env = env
			d.start(n)
		}
	}
	set("GOMAXPROCS=1", "GOMEMLIMIT=64MiB")
	d.more(60, harmless, admitted)
	d.more(60, cuts, ruled)
	for i, n := range d.nodes {
		peak := memory(d.h, node{n}, "VmHWM")
		d.h.Logf("replica %d: %d KiB at its peak", i, peak)
		if peak > memoryMax {
			d.h.Errorf("replica %d: %d KiB at its peak, at most %d are allowed", i, peak, memoryMax)
		}
	}
	set()
}

// paused lets one replica, then both, answer nothing for longer than a call may take: what went to them is denied,
// the rest goes on.
func paused(d *drill) {
	one, both := d.nodes[:1], d.nodes
	for _, nodes := range [][]*webhooknode.Node{one, both} {
		d.excused(func() {
			signal := func(s syscall.Signal) {
				for _, n := range nodes {
					n.Signal(s)
				}
			}
			signal(syscall.SIGSTOP)
			if len(nodes) == len(d.nodes) {
				d.more(3, cuts, undecided)
				d.more(3, harmless, undecided)
			} else {
				d.more(20, harmless, admitted)
				d.more(20, cuts, ruled)
			}
			d.more(20, unrelated, admitted)
			signal(syscall.SIGCONT)
			d.more(20, harmless, admitted)
		})
		d.more(20, harmless, admitted)
	}
}

// apiServerRestarted kills the API server in the middle of calls. The first edit that it takes again is judged like
// any other.
func apiServerRestarted(d *drill) {
	d.without(func() {
		d.h.cluster.KillAPIServer()
		d.more(5, unrelated, unserved)
		d.h.must(d.h.cluster.RestartAPIServer(d.h.Context()))
		d.more(20, harmless, admitted)
		d.more(20, cuts, ruled)
		d.more(20, unrelated, admitted)
	})
	d.more(20, harmless, admitted)
}

// besideDecisions is the last lines of a log that tell of no decision.
func besideDecisions(log string, lines int) string {
	all := slices.DeleteFunc(strings.Split(strings.TrimRight(log, "\n"), "\n"),
		func(line string) bool { return strings.Contains(line, `"msg":"decision"`) })
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
