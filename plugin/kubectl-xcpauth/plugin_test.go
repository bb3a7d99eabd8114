package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	testgolden "github.com/xcpauth/kubectl-xcpauth/test/golden"
)

// result is what one run of the plugin printed and its exit code.
type result struct {
	out, err string
	code     int
}

func xcpauth(t *testing.T, kubeconfig string, args ...string) result {
	t.Helper()
	var out, errOut printed
	if kubeconfig != "" {
		args = append([]string{"--kubeconfig", kubeconfig}, args...)
	}
	code := run(args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &errOut}, nil)
	return result{out.String(), errOut.String(), code}
}

// tableOf is the table of a status, which stands below its first lines.
func tableOf(status string) string {
	_, below, _ := strings.Cut(status, "\n\n")
	table, _, _ := strings.Cut(below, "\n\n")
	return table
}

// printed is a buffer for several goroutines: an interrupt is answered by one of its own.
type printed struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (p *printed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.Write(b)
}

func (p *printed) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.b.String()
}

// serve starts the servers of a test and returns their kubeconfig.
func serve(t *testing.T, servers map[string]*apifake.Server, user func(string) apifake.Object) string {
	t.Helper()
	for _, s := range servers {
		t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	}
	path, err := apifake.Kubeconfig(t.TempDir(), servers, user)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryRefusalIsOneClearSentence(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("apiVersion: v1\nkind: Config\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	edges := serve(t, map[string]*apifake.Server{"eu": apifake.Start(apifake.Edge("eu")...),
		"us": apifake.Start(apifake.Edge("us")...)}, nil)
	twoHubs := serve(t, map[string]*apifake.Server{"hub-1": apifake.Start(apifake.Hub()...),
		"hub-2": apifake.Start(append(apifake.Hub(), apifake.KubeSystem("hub-2"))...)}, nil)
	hub := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	for _, tc := range []struct {
		name, kubeconfig, args string
		code                   int
		says                   string
	}{
		{"no kubeconfig", filepath.Join(t.TempDir(), "absent"), "status", 1, "error: loading the kubeconfig: "},
		{"no contexts", empty, "status", 1,
			"error: the kubeconfig has no contexts; pass --kubeconfig or set KUBECONFIG to one that has"},
		{"an unknown hub", hub, "status --context nowhere", 1,
			`error: context "nowhere" of --context is not in the kubeconfig; kubectl config get-contexts -o name lists them`},
		{"an unknown member", hub, "status --contexts nowhere", 1,
			`error: no context of the kubeconfig matches "nowhere" of --contexts; kubectl config get-contexts -o name lists them`},
		{"an unknown format", hub, "status -o xml", 1,
			`error: output format "xml" is not known; pass -o with one of: table, wide, json, yaml`},
		{"an unknown flag", hub, "status --frobnicate", 1, "error: unknown flag: --frobnicate"},
		{"an unknown verb", hub, "frobnicate", 1, `error: unknown command "frobnicate" for "kubectl xcpauth"`},
		{"no ManagementPlane", edges, "status", 1,
			"error: no ManagementPlane found in contexts eu, us; name the management plane's context with --context"},
		{"no ManagementPlane in the named context", edges, "migrate -y --context eu", 1,
			"error: no ManagementPlane found in context eu; name the management plane's context with --context"},
		{"two ManagementPlanes", twoHubs, "plan", 1,
			"error: 2 ManagementPlanes found: tsb/managementplane in hub-1, tsb/managementplane in hub-2; name one hub with --context"},
		{"no terminal to ask on", hub, "migrate", 5,
			"error: there is no terminal to ask on; pass -y to do what the plan says, or --dry-run=server to try it"},
		{"a time that cannot be meant", hub, "migrate -y --prove-within -1s", 1,
			"error: --prove-within is -1s; it must be more than 0"},
		{"a lock that cannot be waited for", hub, "migrate -y --lock-timeout -1s", 1,
			"error: --lock-timeout is -1s; it must be 0 or more"},
		{"a lock that forgetting cannot wait for", hub, "edge forget eu --reason gone --lock-timeout -1s", 1,
			"error: --lock-timeout is -1s; it must be 0 or more"},
		{"no time for Central", hub, "migrate -y --central-quiet-for 0s", 1,
			"error: --central-quiet-for is 0s; it must be more than 0"},
		{"no time for Central on the way back", hub, "rollback -y --central-quiet-for 0s", 1,
			"error: --central-quiet-for is 0s; it must be more than 0"},
		{"no time for Central in a plan back", hub, "plan --rollback --central-quiet-for -1s", 1,
			"error: --central-quiet-for is -1s; it must be more than 0"},
		{"no time at all", hub, "status --request-timeout 0", 1, "error: --request-timeout is 0s; it must be more than 0"},
		{"an unknown dry run", hub, "migrate --dry-run=maybe", 1, `error: --dry-run is "maybe"; pass none, client or server`},
		{"forgetting without a reason", hub, "edge forget eu", 1,
			"error: forgetting eu needs --reason: from then on nothing keeps the hub from refusing it"},
		{"forgetting a stranger", hub, "edge forget mars --reason gone", 1,
			`error: no edge is called "mars"; the edges are: eu`},
		{"publishing others' statements and one's own", hub, "edge publish eu -f eu.yaml", 1,
			"error: -f publishes in the hub what others verified; it goes with no names"},
		{"publishing nowhere", hub, "edge publish --no-hub", 1,
			"error: --no-hub publishes nothing itself; name with --out the file to write, or pass -o yaml"},
		{"providing what can be published", hub, "edge publish --out eu.yaml", 1,
			"error: --out is for a team without the hub; pass --no-hub with it"},
		{"taking over a file that is not there", hub, "edge publish -f /nowhere/eu.yaml", 1,
			"error: reading what was provided: open /nowhere/eu.yaml"},
		{"watching the past", hub, "status --history --watch", 1, "error: --history is what was, and --watch what is"},
		{"registering nobody", hub, "edge register", 1, "error: requires at least 1 arg(s), only received 0"},
		{"registering a stranger", hub, "edge register mars", 1, `error: no edge is called "mars"; the edges are: eu`},
		{"registering two at one address", hub, "edge register eu us --server https://10.1.2.3:6443", 1,
			"error: --server and --tls-server-name are those of one edge; name only one with them"},
		{"unregistering a stranger", hub, "edge unregister mars", 1, `error: no edge is called "mars"; the edges are: eu`},
		{"publishing a stranger", hub, "edge publish mars", 1, `error: no edge is called "mars"; the edges are: eu`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := xcpauth(t, tc.kubeconfig, strings.Fields(tc.args)...)
			last := strings.TrimSpace(r.err)
			last = last[strings.LastIndex(last, "\n")+1:]
			if r.code != tc.code || !strings.HasPrefix(last, tc.says) {
				t.Errorf("exit code %d, want %d; stderr ends with\n  %s\nwant\n  %s\nstdout\n%s", r.code, tc.code,
					last, tc.says, r.out)
			}
		})
	}
}

// A fleet with every way in which a cluster can fail to answer: each is one row with its reason, the others are
// complete, the exit code is 4, in every format.
func TestOneRowPerMemberWhateverHappensToIt(t *testing.T) {
	stalls := make(chan struct{})
	t.Cleanup(func() { close(stalls) })
	answer := func(code int, reason, message string) *apifake.Server {
		s := apifake.Start()
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			apifake.Status(w, code, reason, message)
			return true
		}
		return s
	}
	hangs := apifake.Start(apifake.Edge("hangs")...)
	hangs.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-stalls:
		case <-r.Context().Done():
		}
		return true
	}
	gone := apifake.Gone()
	servers := map[string]*apifake.Server{
		"hub": apifake.Start(apifake.Hub("eu", "us", "hangs")...), "eu": apifake.Start(apifake.Edge("eu")...),
		"us":    apifake.Start(apifake.Edge("us")...),
		"again": nil, "hangs": hangs, "gone": gone, "stranger": apifake.Start(apifake.KubeSystem("stranger")),
		"unauthorized": answer(401, "Unauthorized", "Unauthorized"), "forbidden": answer(403, "Forbidden",
			`namespaces "kube-system" is forbidden: User "u" cannot get`),
		"plugin": apifake.Start(apifake.Edge("plugin")...), "broken-plugin": apifake.Start(apifake.Edge("broken-plugin")...),
	}
	servers["again"] = servers["us"]
	hold := filepath.Join(t.TempDir(), "hold") // the plugin hangs while this is there, far longer than any run
	if err := os.WriteFile(hold, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	kubeconfig := serve(t, servers, func(context string) apifake.Object {
		exec := func(command string, args ...any) apifake.Object {
			return apifake.Object{"exec": apifake.Object{"apiVersion": "client.authentication.k8s.io/v1",
				"interactiveMode": "Never", "command": command, "args": args}}
		}
		switch context {
		case "plugin":
			return exec("sh", "-c", "while test -e "+hold+"; do sleep 0.05; done; exit 1")
		case "broken-plugin":
			return exec("false")
		}
		return nil
	})
	want := map[string]struct{ state, why string }{
		// again comes first by name
		"hub": {"pending", ""}, "eu": {"blocked", ""}, "us": {"skipped", "the same cluster as context again"},
		"hangs": {"unreachable", "did not answer in time"}, "gone": {"unreachable", "refused the connection"},
		"stranger":     {"skipped", "no ControlPlane there"},
		"unauthorized": {"unreachable", "401"},
		"forbidden":    {"forbidden", "forbidden (403): namespaces \"kube-system\" is forbidden"},
		"plugin":       {"unreachable", "credential plugin"}, "broken-plugin": {"unreachable", "credential plugin"},
	}
	flags := []string{"--member-timeout", "3s", "--request-timeout", "1s"}
	began := time.Now()
	for format, decode := range map[string]func([]byte, any) error{"json": json.Unmarshal,
		"yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) }} {
		r := xcpauth(t, kubeconfig, append([]string{"status", "-o", format}, flags...)...)
		if r.code != 4 {
			t.Errorf("%s: exit code %d, want 4: %s", format, r.code, r.err)
		}
		var report struct {
			Members []struct {
				Member, Context, State string
				Why                    []string
			}
		}
		if err := decode([]byte(r.out), &report); err != nil {
			t.Fatalf("%s: %v\n%s", format, err, r.out)
		}
		seen := map[string]int{}
		for _, m := range report.Members {
			seen[m.Context]++
			w, ok := want[m.Context]
			if m.Context == "again" {
				w, ok = want["eu"], true
			}
			if !ok || m.State != w.state || !strings.Contains(strings.Join(m.Why, " "), w.why) {
				t.Errorf("%s: row %+v, want %+v", format, m, w)
			}
		}
		for context := range servers {
			if seen[context] != 1 {
				t.Errorf("%s: context %s has %d rows, want 1", format, context, seen[context])
			}
		}
	}
	table := xcpauth(t, kubeconfig, append([]string{"status", "-o", "wide"}, flags...)...)
	rows := tableOf(table.out)
	if n := strings.Count(rows, "\n"); table.code != 4 || n != len(servers) {
		t.Errorf("the table has %d rows and exit code %d, want %d and 4\n%s", n, table.code, len(servers), table.out)
	}
	t.Logf("three runs took %s, each with a hung server and a hung plugin", time.Since(began).Round(100*time.Millisecond))
}

func TestRequestsPerMember(t *testing.T) {
	hub, eu, us := apifake.Start(apifake.Hub("eu", "us")...), apifake.Start(apifake.Edge("eu")...),
		apifake.Start(append(apifake.Edge("us"), apifake.Secret("istio-system", "cluster-service-account",
			map[string]string{"clusterFqn": "organizations/o/clusters/us", "jwk": "{}"}))...)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": hub, "eu": eu, "us": us}, nil)
	if r := xcpauth(t, kubeconfig, "status"); r.code != 0 {
		t.Fatalf("exit code %d\n%s\n%s", r.code, r.out, r.err)
	}
	for name, s := range map[string]*apifake.Server{"eu": eu, "us": us} {
		var reads, forwards int
		for _, r := range s.Requests() {
			if strings.HasSuffix(r, "/portforward") {
				forwards++
			} else {
				reads++
			}
		}
		// 4 to find the planes; Deployment, Pods, 4 secrets, the journal and the fence (2); where there is a
		// service account, the 2 other tokens that are made from it; one pod's metrics, over WebSocket or then SPDY
		want := map[string]int{"eu": 13, "us": 15}[name]
		if reads != want || forwards > 2 {
			t.Errorf("%s had %d reads and %d port-forwards, want %d and at most 2: %v", name, reads, forwards, want,
				s.Requests())
		}
		if n := s.Connections(); n > 1+forwards {
			t.Errorf("%s had %d connections, want one for all reads and one for each try to forward a port", name, n)
		}
	}
	if n := len(hub.Requests()); n != 18 {
		t.Errorf("the hub had %d requests, want 18: %v", n, hub.Requests())
	}
}

// overBy is the time of day at which a plan would be over, with its date where that is another day.
var overBy = regexp.MustCompile(`over\s+by\s+([0-9-]+\s+)?[0-9:]+\s+at\s+the\s+latest`)

func TestHelpAndPlanReadWell(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	for name, args := range map[string][]string{"help": {"--help"}, "migrate-help": {"migrate", "--help"},
		"status": {"status"}, "plan": {"plan"}, "plan-diff": {"plan", "--diff"}} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", kubeconfig) // not a flag: messages repeat those
			r := xcpauth(t, "", args...)
			out := overBy.ReplaceAllString(r.out, "over by TIME at the latest")
			golden(t, name, fmt.Sprintf("exit code %d\n%s", r.code, out))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	testgolden.Check(t, filepath.Join("testdata", name+".golden"), got)
}

func TestCompletionTouchesNoCluster(t *testing.T) {
	s := apifake.Start()
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": s, "eu": s}, nil)
	var out bytes.Buffer
	code := run([]string{"__complete", "--kubeconfig", kubeconfig, "status", "--context", ""},
		genericiooptions.IOStreams{In: strings.NewReader(""), Out: &out, ErrOut: &bytes.Buffer{}}, nil)
	if lines := strings.Split(out.String(), "\n"); code != 0 || !slices.Contains(lines, "hub") ||
		!slices.Contains(lines, "eu") {
		t.Errorf("exit code %d, completions %q", code, out.String())
	}
	out.Reset()
	if code := run([]string{"__complete", "migrate", "--to", ""}, genericiooptions.IOStreams{In: strings.NewReader(""),
		Out: &out, ErrOut: &bytes.Buffer{}}, nil); code != 0 || !strings.HasPrefix(out.String(), "dual\nedges\njwt-only\n") {
		t.Errorf("exit code %d, completions of --to %q", code, out.String())
	}
	if len(s.Requests()) != 0 {
		t.Errorf("completion asked a cluster: %v", s.Requests())
	}
}
