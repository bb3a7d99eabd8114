package main

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// Each output format of kubectl works on every report, and a template that cannot be used is refused before any
// cluster is looked at.
func TestOutputFormatsAreKubectls(t *testing.T) {
	kubeconfig := fleetOfTwo(t)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "template")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		args string
		out  string // what is printed, to the letter
		err  string // a part of the error; "" for none
	}{
		{"status -o name", "hub/hub\nedge/edge-1\nedge/edge-2\n", ""},
		{"status edge/edge-2 edge-1 -o name", "edge/edge-2\nedge/edge-1\n", ""},
		{"status edge-7 -o name", "", `no member is called "edge-7"; there are: hub, edge-1, edge-2`},
		{"status -o jsonpath={.summary.notConnected}", "[]", ""},
		{"status -o custom-columns=NAME:.member,STATE:.health,EXPIRES:.expires",
			"NAME     STATE     EXPIRES\nhub      unknown   <none>\nedge-1   blocked   <none>\nedge-2   blocked   <none>\n", ""},
		{"status -o jsonpath={.members[*].member}", "hub edge-1 edge-2", ""},
		{"status -o jsonpath={.nothing}", "", ""},
		{`status -o jsonpath={range.members[1:]}{.member}={.role}{"\n"}{end}`, "edge-1=edge\nedge-2=edge\n", ""},
		{"status -o jsonpath-as-json={.members[0].member}", "[\n    \"hub\"\n]\n", ""},
		{"status -o jsonpath-file=" + file("{.kind}"), "Status", ""},
		{"status -o jsonpath --template {.kind}", "Status", ""},
		{"status -o go-template={{.kind}}{{len§.members}}", "Status3", ""},
		{"status -o go-template-file=" + file("{{range .members}}{{.member}};{{end}}"), "hub;edge-1;edge-2;", ""},
		{"status -o custom-columns=NAME:.member,WHERE:.context,NONE:.none",
			"NAME     WHERE    NONE\nhub      hub      <none>\nedge-1   edge-1   <none>\nedge-2   edge-2   <none>\n", ""},
		{"status --no-headers -o custom-columns=NAME:.member", "hub\nedge-1\nedge-2\n", ""},
		{"status -o custom-columns-file=" + file("NAME  ROLE\n.member  .role\n"),
			"NAME     ROLE\nhub      hub\nedge-1   edge\nedge-2   edge\n", ""},
		{"plan -o jsonpath={.kind}", "Plan", ""},
		{"version -o jsonpath={.kind}", "Version", ""},
		{"version -o custom-columns=KIND:.kind", "KIND\nVersion\n", ""},
		{"version -o name", "", "-o name is for lists"},
		{"status -o jsonpath={.members", "", "the template of -o jsonpath cannot be used"},
		{"status -o go-template={{.a", "", "the template of -o go-template cannot be used"},
		{"status -o custom-columns=NAME", "", `"NAME" is not HEADING:.field`},
		{"status -o jsonpath", "", "-o jsonpath needs a template"},
		{"status -o json=x", "", "-o json takes no template"},
		{"status -o nonsense", "", `output format "nonsense" is not known`},
		{"status -o jsonpath-file=none", "", "reading the template of -o jsonpath-file"},
		{"status -o jsonpath={.a} --template {.b}", "", "has a template already"},
	} {
		var args []string
		for _, word := range strings.Fields(tc.args) {
			args = append(args, strings.ReplaceAll(word, "§", " "))
		}
		r := xcpauth(t, kubeconfig, args...)
		if r.out != tc.out || (tc.err == "") != (r.err == "") || !strings.Contains(r.err, tc.err) {
			t.Errorf("%s: exit code %d\n%s%s", tc.args, r.code, r.out, r.err)
		}
	}
	if r := xcpauth(t, kubeconfig, "status", "--no-headers"); strings.Contains(r.out, "MEMBER") ||
		!strings.HasPrefix(tableOf(r.out), "hub") {
		t.Errorf("without headings:\n%s", r.out)
	}
}

// Whom requests are made as is said as to kubectl. The flags that would mean the same of every cluster are not there.
func TestGlobalFlagsAreKubectls(t *testing.T) {
	var mu sync.Mutex
	var as []string
	edge := apifake.Start(apifake.Edge("edge-1")...)
	edge.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		as = append(as, strings.Join(append([]string{r.Header.Get("Impersonate-User"), r.Header.Get("Impersonate-Uid")},
			r.Header.Values("Impersonate-Group")...), " "))
		return false
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("edge-1")...), "edge-1": edge}, nil)
	xcpauth(t, kubeconfig, "status", "--as", "jane", "--as-group", "ops", "--as-group", "team", "--as-uid", "7")
	mu.Lock()
	for _, who := range as {
		if who != "jane 7 ops team" {
			t.Errorf("a request was made as %q", who)
		}
	}
	if len(as) == 0 {
		t.Error("no request was seen")
	}
	mu.Unlock()
	for _, flag := range []string{"--cluster", "--user", "--server", "--token"} {
		if r := xcpauth(t, kubeconfig, "status", flag, "x"); r.code != 1 || !strings.Contains(r.err, "unknown flag") {
			t.Errorf("%s is taken: %s", flag, r.err)
		}
	}
	if r := xcpauth(t, kubeconfig, "status", "-n", "x"); r.code != 1 ||
		!strings.Contains(r.err, "namespace xcpauth-system, not in x") {
		t.Errorf("another namespace than the hub's is taken: %s", r.err)
	}
	if r := xcpauth(t, kubeconfig, "status", "-n", "xcpauth-system"); r.code == 1 {
		t.Errorf("the hub's namespace is not taken: %s", r.err)
	}
	if r := xcpauth(t, kubeconfig, "plan", "--no-hub", "--to", "edges", "-n", "x"); r.code != 1 ||
		!strings.Contains(r.err, "does not go with --no-hub") {
		t.Errorf("a namespace of no hub is taken: %s", r.err)
	}
}

// How much of the requests is logged is said as to kubectl; a credential, or a body, is never logged.
func TestRequestsAreLoggedAsByKubectl(t *testing.T) {
	const bearer = "the-bearer-token-of-the-kubeconfig"
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("edge-1")...),
		"edge-1": apifake.Start(apifake.Edge("edge-1")...)},
		func(string) apifake.Object { return apifake.Object{"token": bearer} })
	program := filepath.Join(installed(t), "kubectl-xcpauth") // the log is the process's own
	for level, want := range map[string]struct{ has, not string }{
		"0": {"", "verb=\"GET\""}, "6": {"verb=\"GET\"", "User-Agent"}, "7": {"Authorization: Bearer <masked>", "\"kind\""},
		"9": {"--v=9 would log bodies", "\"kind\""},
	} {
		cmd := exec.Command(program, "status", "--kubeconfig", kubeconfig, "-v="+level)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("-v=%s: %v\n%s", level, err, errs.String())
		}
		if log := errs.String(); !strings.Contains(log, want.has) || strings.Contains(log, want.not) ||
			strings.Contains(log, bearer) || !strings.HasPrefix(tableOf(out.String()), "MEMBER") {
			t.Errorf("-v=%s logs\n%.3000s\nand prints\n%s", level, log, out.String())
		}
	}
}

// fleetOfTwo is the kubeconfig of a hub and two edges with certificates.
func fleetOfTwo(t *testing.T) string {
	t.Helper()
	return serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("edge-1", "edge-2")...),
		"edge-1": apifake.Start(apifake.Edge("edge-1")...), "edge-2": apifake.Start(apifake.Edge("edge-2")...)}, nil)
}
