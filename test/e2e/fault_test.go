package e2e

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/fault"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// reroute is a copy of the fleet's kubeconfig in which contexts lead to other servers, as a flag.
func (f fleet) reroute(to map[string]runs.Server) string {
	f.Helper()
	return "--kubeconfig=" + f.Reroute(f.Bed.Kubeconfig, to)
}

// proxy puts a TCP proxy before a cluster.
func (f fleet) proxy(cluster string, t fault.TCP) runs.Server {
	f.Helper()
	u, err := url.Parse(f.Bed.Cluster(cluster).Server)
	if err != nil {
		f.Fatal(err)
	}
	p, err := fault.Listen(u.Host, t)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(p.Close)
	return runs.Server{URL: "https://" + p.Address}
}

// front puts an HTTPS front before a cluster.
func (f fleet) front(cluster string, a fault.Answer) (runs.Server, *fault.Front) {
	f.Helper()
	front, err := fault.Serve(f.Bed.Cluster(cluster).Config, a)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(front.Close)
	return runs.Server{URL: front.URL, CA: front.CA}, front
}

// reported is what a status in some format says: the state of each row by member ("(context)" for one that holds
// none), and the whole on one line.
type reported struct {
	states map[string]string
	text   string
}

func (f fleet) reported(format, output string) reported {
	f.Helper()
	r := reported{states: map[string]string{}, text: strings.Join(strings.Fields(output), " ")}
	add := func(member, context, state string) {
		if member == "-" {
			member = "(" + context + ")"
		}
		if _, twice := r.states[member]; twice {
			f.Errorf("-o %s has two rows for %s:\n%s", format, member, output)
		}
		r.states[member] = state
	}
	if format == "table" || format == "wide" {
		rows, _, _ := strings.Cut(output[strings.Index(output, "MEMBER"):], "\n\n")
		lines := strings.Split(strings.TrimSpace(rows), "\n")
		cell := func(line, heading, next string) string { // aligned: no name here is other than ASCII
			return strings.TrimSpace(line[strings.Index(lines[0], heading):strings.Index(lines[0], next)])
		}
		for _, line := range lines[1:] {
			if format == "wide" {
				add(cell(line, "MEMBER", "CONTEXT"), cell(line, "CONTEXT", "STATE"), "")
			} else {
				add(cell(line, "MEMBER", "STATE"), "", "")
			}
		}
		return r
	}
	var report struct {
		Members []struct{ Member, Context, State string }
	}
	decode := json.Unmarshal
	if format == "yaml" {
		decode = func(b []byte, v any) error { return yaml.Unmarshal(b, v) }
	}
	if err := decode([]byte(output), &report); err != nil {
		f.Fatalf("-o %s: %v\n%s", format, err, output)
	}
	for _, m := range report.Members {
		add(m.Member, m.Context, m.State)
	}
	return r
}

var formats = []string{"table", "wide", "json", "yaml"}

// everyFormat runs the plugin side by side in every format, and returns what was printed by format. It fails when the
// exit codes differ.
func (f fleet) everyFormat(code int, args ...string) map[string]sandbox.Run {
	f.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	all := map[string]sandbox.Run{}
	for _, format := range formats {
		wg.Go(func() {
			r := f.Kubectl(f.Context(), append(append([]string{"xcpauth"}, args...), "-o", format)...)
			mu.Lock()
			defer mu.Unlock()
			all[format] = r
		})
	}
	wg.Wait()
	for format, r := range all {
		if r.Code != code {
			f.Errorf("%v -o %s: exit code %d, want %d\n%s\n%s", args, format, r.Code, code, r.Stdout, r.Stderr)
		}
	}
	return all
}

// Whatever is wrong between here and one cluster: each member is in each output once, the reason is named, the others
// are complete, and the exit code does not depend on the format.
func TestFaultsBeforeOneClusterAreItsOwnRow(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	lookThatLeaksAreFound(t, f)
	impatient := []string{"--request-timeout=4s", "--member-timeout=9s"}
	late, cut := "the API server did not answer in time",
		"the connection to the API server was cut before the answer was complete"
	t.Run("a cluster that", func(t *testing.T) { // returns when all that is in it has ended
		for _, tc := range []struct {
			name   string
			tcp    *fault.TCP
			answer *fault.Answer
			why    string // "" when the fault passes
		}{
			{"stalls", &fault.TCP{Stall: true}, nil, late},
			{"stalls in the handshake", &fault.TCP{StallAfter: 100}, nil, late},
			{"stalls in the midst of an answer", nil, &fault.Answer{Midst: true, Stall: true}, late},
			{"drips", &fault.TCP{Rate: 100}, nil, late},
			{"is slow", &fault.TCP{Rate: 1 << 20}, nil, ""},
			{"resets", &fault.TCP{Reset: true}, nil, "the API server, or something before it, reset the connection"},
			{"cuts the handshake", &fault.TCP{CutAfter: 100}, nil, cut},
			{"cuts an answer", nil, &fault.Answer{Midst: true}, cut},
			{"401", nil, &fault.Answer{Code: 401, Reason: "Unauthorized", Message: "Unauthorized"},
				"the API server refused the context's credential (401); log in again"},
			{"403", nil, &fault.Answer{Code: 403, Reason: "Forbidden", Message: "no access from this network"},
				"forbidden (403): no access from this network"},
			{"429", nil, &fault.Answer{Code: 429, Reason: "TooManyRequests", Message: "come back later", RetryAfter: 3600},
				"the API server takes no more requests for now (429): come back later"},
			{"429 for a while", nil, &fault.Answer{Code: 429, Reason: "TooManyRequests", Message: "come back later",
				RetryAfter: 1, Times: 3}, ""},
			{"500", nil, &fault.Answer{Code: 500, Reason: "InternalError", Message: "etcdserver: no leader"},
				"the API server failed (500): etcdserver: no leader"},
		} {
			for _, at := range []string{"edge-1", "hub"} {
				t.Run(tc.name+"/"+at, func(t *testing.T) {
					t.Parallel()
					f := f.in(t)
					args := func(verb string) []string {
						var s runs.Server
						if tc.tcp != nil {
							s = f.proxy(at, *tc.tcp)
						} else {
							s, _ = f.front(at, *tc.answer)
						}
						return append([]string{verb, f.reroute(map[string]runs.Server{at: s})}, impatient...)
					}
					f.oneRowEach(at, tc.why, args)
				})
			}
		}
	})
}

// oneRowEach looks at status and plan with a fault before one cluster.
func (f fleet) oneRowEach(at, why string, args func(verb string) []string) {
	f.Helper()
	states := map[string]string{"hub": "pending", "edge-1": "pending", "edge-2": "pending", "mpc": "pending"}
	code := 0
	switch {
	case why == "":
	case at == "hub":
		states, code = map[string]string{"hub": "not found", "(hub)": "unreachable", "edge-1": "blocked",
			"edge-2": "blocked"}, 1
	default:
		states[at], states["mpc"], code = "unreachable", "ok", 4 // MPC's turn comes after every edge's
	}
	if strings.HasPrefix(why, "forbidden") { // it was reached
		for member, state := range states {
			if state == "unreachable" {
				states[member] = "forbidden"
			}
		}
	}
	for format, r := range f.everyFormat(code, args("status")...) {
		got := f.reported(format, r.Stdout)
		for member := range got.states {
			if states[member] == "" {
				f.Errorf("-o %s has a row for %s:\n%s", format, member, r.Stdout)
			}
		}
		for member, want := range states {
			state, there := got.states[member]
			if table := format == "table" || format == "wide"; !there || !table && state != want {
				f.Errorf("-o %s: %s is %q (row: %v), want %q\n%s", format, member, state, there, want, r.Stdout)
			}
		}
		if !strings.Contains(got.text, why) {
			f.Errorf("-o %s does not say %q:\n%s", format, why, r.Stdout)
		}
		if at == "hub" && why != "" && !strings.Contains(r.Stderr,
			fmt.Sprintf("error: no ManagementPlane found: hub (%s) could not be looked at; name the management plane's context with --context\n", why)) {
			f.Errorf("-o %s: stderr does not name the context and the reason:\n%s", format, r.Stderr)
		}
	}
	for format, r := range f.everyFormat(code, args("plan")...) {
		if text := strings.Join(strings.Fields(r.Stdout+r.Stderr), " "); !strings.Contains(text, why) {
			f.Errorf("plan -o %s does not say %q:\n%s\n%s", format, why, r.Stdout, r.Stderr)
		}
	}
}

// What an API server asks to be tried again is tried again, within the time that there is.
func TestConflictsAndTooManyRequestsAreWaitedOut(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	controlPlane := func(a fault.Answer) fault.Answer {
		a.Method, a.Path = "PATCH", "/controlplanes/"
		return a
	}
	never, refuses := f.front("edge-1", controlPlane(fault.Answer{Code: 429, Reason: "TooManyRequests",
		Message: "come back tomorrow", RetryAfter: 86400}))
	rows := f.Rows(f.migrate(4, f.reroute(map[string]runs.Server{"edge-1": never}), "-o", "json").Stdout)
	f.Is(rows, "edge-1", "state", "failed")
	if why := fmt.Sprint(rows["edge-1"]["why"]); !strings.Contains(why, "(429): come back tomorrow") {
		f.Errorf("the reason is %q", why)
	}
	if n := refuses.Answered(); n != 1 {
		f.Errorf("an API server that asks for a day's patience was asked %d times, want once", n)
	}

	conflict, conflicts := f.front("edge-1", controlPlane(fault.Answer{Code: 409, Reason: "Conflict",
		Message: "the object has been modified; please apply your changes to the latest version and try again", Times: 1}))
	busy, throttles := f.front("edge-2", controlPlane(fault.Answer{Code: 429, Reason: "TooManyRequests",
		Message: "come back later", RetryAfter: 1, Times: 2}))
	reads, throttled := f.front("hub", fault.Answer{Method: "GET", Code: 429, Reason: "TooManyRequests",
		Message: "come back later", RetryAfter: 1, Times: 3})
	// whose proof is patches too
	rows = f.Rows(f.migrate(0, f.reroute(map[string]runs.Server{"edge-1": conflict, "edge-2": busy, "hub": reads}),
		"--no-fence", "-o", "json").Stdout)
	for _, edge := range []string{"edge-1", "edge-2"} {
		f.Is(rows, edge, "state", "changed")
	}
	if got := []int{conflicts.Answered(), throttles.Answered(), throttled.Answered()}; !slices.Equal(got, []int{1, 2, 3}) {
		f.Errorf("conflicts, throttled writes and throttled reads: %v, want 1 2 3", got)
	}
	if n, m := conflicts.Passed("PATCH"), throttles.Passed("PATCH"); n != 1 || m != 1 {
		f.Errorf("%d and %d patches of edges were passed on, want one each", n, m)
	}
}
