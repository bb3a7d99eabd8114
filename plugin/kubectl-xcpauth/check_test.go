package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// reported is what the tests read of a finding.
type reported struct{ Rule, Severity, Member, Context, Object, Saw, Remedy, Command, Manifest string }

type checkReport struct {
	Members []struct {
		Member, Context, State  string
		Errors, Warnings, Infos int
	}
	Findings, Ignored []reported
}

// metricless answers port-forwards as an API server does that may not forward.
func metricless(s *apifake.Server) *apifake.Server {
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/portforward") {
			return false
		}
		apifake.Status(w, http.StatusServiceUnavailable, "ServiceUnavailable", "the node does not answer")
		return true
	}
	return s
}

// troubled is a fleet with an edge that is not ready, one that is asleep and kept by Argo CD, one that is
// decommissioned, one that no context holds, and a context that is down.
func troubled(t *testing.T) string {
	t.Helper()
	down := apifake.Start()
	down.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		apifake.Status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return true
	}
	us := apifake.Edge("us")
	for _, o := range us {
		switch o["kind"] {
		case "Deployment":
			o["spec"] = apifake.Object{"replicas": 0}
		case "ControlPlane":
			o["metadata"].(apifake.Object)["annotations"] = apifake.Object{"argocd.argoproj.io/tracking-id": "edges:us"}
		}
	}
	us = slices.DeleteFunc(us, func(o apifake.Object) bool { return o["kind"] == "Pod" })
	return serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu", "far", "old", "us")...),
		"eu": metricless(apifake.Start(apifake.Edge("eu")...)), "us": apifake.Start(us...),
		"old": apifake.Start(apifake.KubeSystem("old")), "down": down}, nil)
}

func TestCheckReadsWell(t *testing.T) {
	t.Setenv("KUBECONFIG", troubled(t)) // not a flag: messages repeat those
	for name, args := range map[string][]string{"check": {"check"}, "check-help": {"check", "--help"}} {
		t.Run(name, func(t *testing.T) {
			r := xcpauth(t, "", args...)
			golden(t, name, fmt.Sprintf("exit code %d\n%s", r.code, r.out))
			for line := range strings.Lines(r.out) { // commands and manifests are to be pasted, and stay whole
				if wide := utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80; name == "check" && wide &&
					!strings.HasPrefix(line, "       ") {
					t.Errorf("wider than 80 columns: %s", line)
				}
			}
		})
	}
}

// A command that fixes something is run as who looked, with the kubeconfig that was looked with.
func TestWhatFixesIsRunAsTheUserWhoLooked(t *testing.T) {
	kubeconfig := troubled(t)
	var report checkReport
	r := xcpauth(t, kubeconfig, "check", "-o", "json", "--as", "ann", "--as-group", "platform team", "--as-uid", "7")
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatal(err)
	}
	flags := "--kubeconfig " + kubeconfig + " --as ann --as-group 'platform team' --as-uid 7 "
	seen := 0
	for _, x := range report.Findings {
		for _, program := range []string{"kubectl xcpauth ", "kubectl "} {
			if rest, ok := strings.CutPrefix(x.Command, program); ok {
				if seen++; !strings.HasPrefix(rest, flags) {
					t.Errorf("%s is fixed with %q", x.Rule, x.Command)
				}
				break
			}
		}
	}
	if seen < 3 {
		t.Errorf("%d commands of kubectl among\n%s", seen, r.out)
	}
}

func TestCheckAccountsForEveryMemberInEveryFormat(t *testing.T) {
	kubeconfig := troubled(t)
	var reports []checkReport
	for format, decode := range map[string]func([]byte, any) error{"json": json.Unmarshal,
		"yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) }} {
		r := xcpauth(t, kubeconfig, "check", "-o", format)
		var report checkReport
		if err := decode([]byte(r.out), &report); err != nil || r.code != 4 {
			t.Fatalf("%s: exit code %d, want 4: %v\n%s%s", format, r.code, err, r.out, r.err)
		}
		var rows []string
		for _, m := range report.Members {
			rows = append(rows, m.Member+"@"+m.Context+" "+m.State)
		}
		want := []string{"hub@hub error", "eu@eu error", "far@ not selected", "old@ not selected", "us@us error",
			"-@down unreachable", "-@old skipped"}
		if !slices.Equal(rows, want) {
			t.Errorf("%s: rows %q, want %q", format, rows, want)
		}
		reports = append(reports, report)
	}
	if a, b := fmt.Sprint(reports[0].Findings), fmt.Sprint(reports[1].Findings); a != b {
		t.Errorf("json and yaml differ:\n%s\n%s", a, b)
	}
	for _, format := range []string{"table", "wide"} {
		r := xcpauth(t, kubeconfig, "check", "-o", format)
		for _, x := range reports[0].Findings {
			said := strings.Contains(r.out, x.Rule+" "+x.Severity) && (format == "table" || strings.Contains(r.out, x.Command))
			if !said || r.code != 4 {
				t.Errorf("%s: exit code %d, %s or its command is not there\n%s", format, r.code, x.Rule, r.out)
			}
		}
	}
}

func TestCheckExitCodes(t *testing.T) {
	hub := apifake.Start(apifake.Hub("eu")...)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": hub, "eu": metricless(apifake.Start(apifake.Edge("eu")...))},
		nil)
	all := func(severities ...string) []string {
		var report checkReport
		if err := json.Unmarshal([]byte(xcpauth(t, kubeconfig, "check", "-o", "json").out), &report); err != nil {
			t.Fatal(err)
		}
		var flags []string
		for _, x := range report.Findings {
			if slices.Contains(severities, x.Severity) {
				flags = append(flags, "--ignore", x.Rule)
			}
		}
		return flags
	}
	for _, tc := range []struct {
		name  string
		flags []string
		code  int
	}{
		{"errors", nil, 5},
		{"no errors", all("error"), 0},
		{"no errors, and warnings count", append(all("error"), "--severity", "warning"), 5},
		{"no errors and warnings, and everything counts", append(all("error", "warning"), "--severity", "info"), 5},
		{"nothing left", append(all("error", "warning", "info"), "--severity", "info"), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, format := range []string{"table", "json"} {
				if r := xcpauth(t, kubeconfig, append([]string{"check", "-o", format}, tc.flags...)...); r.code != tc.code {
					t.Errorf("%s: exit code %d, want %d\n%s%s", format, r.code, tc.code, r.out, r.err)
				}
			}
		})
	}
}

func TestCheckRefusesInOneSentence(t *testing.T) {
	hub := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}, nil)
	edges := serve(t, map[string]*apifake.Server{"eu": apifake.Start(apifake.Edge("eu")...),
		"us": apifake.Start(apifake.Edge("us")...)}, nil)
	for _, tc := range []struct{ kubeconfig, args, says string }{
		{edges, "check", "error: no ManagementPlane found in contexts eu, us; name the management plane's context with --context\n"},
		{hub, "check --severity bad", "error: --severity is \"bad\"; pass error, warning or info\n"},
		{hub, "check --ignore XA999", "error: --ignore: \"XA999\" is neither the ID or name of a rule nor ID=MEMBER; https://github.com/xcpauth/kubectl-xcpauth/blob/main/docs/checks.md lists the rules\n"},
		{hub, "check --warn-within -1h", "error: --warn-within is -1h0m0s; it must not be less than 0\n"},
	} {
		if r := xcpauth(t, tc.kubeconfig, strings.Fields(tc.args)...); r.code != 1 || r.err != tc.says {
			t.Errorf("%s: exit code %d, stderr %q, want 1 and %q", tc.args, r.code, r.err, tc.says)
		}
	}
}

func TestCheckComparesClocks(t *testing.T) {
	late := apifake.Start(apifake.Edge("late")...)
	late.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Date", time.Now().Add(-10*time.Minute).UTC().Format(http.TimeFormat))
		return false
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("late")...), "late": late}, nil)
	var report checkReport
	if err := json.Unmarshal([]byte(xcpauth(t, kubeconfig, "check", "-o", "json").out), &report); err != nil {
		t.Fatal(err)
	}
	for _, x := range report.Findings {
		if x.Rule == "XA006" && x.Member == "late" && strings.Contains(x.Saw, "behind the others") {
			return
		}
	}
	t.Errorf("a clock that is ten minutes late is not found: %+v", report.Findings)
}

// What check reads beyond status is one Deployment and three secrets for each edge, and one Deployment, one secret and
// the webhook for the hub.
func TestRequestsOfACheck(t *testing.T) {
	hub, eu := apifake.Start(apifake.Hub("eu")...), apifake.Start(apifake.Edge("eu")...)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": hub, "eu": eu}, nil)
	if r := xcpauth(t, kubeconfig, "check"); r.code != 5 {
		t.Fatalf("exit code %d\n%s\n%s", r.code, r.out, r.err)
	}
	for name, want := range map[*apifake.Server]int{hub: 20, eu: 17} {
		reads := slices.DeleteFunc(name.Requests(), func(r string) bool {
			return !strings.HasPrefix(r, "GET ") ||
				strings.HasSuffix(r, "/portforward")
		})
		if len(reads) != want {
			t.Errorf("%d reads, want %d: %v", len(reads), want, reads)
		}
	}
}

// Every command of the plugin that a finding suggests has a verb and flags that exist.
func TestCommandsOfFindingsAreCommands(t *testing.T) {
	var report checkReport
	kubeconfig := troubled(t)
	if err := json.Unmarshal([]byte(xcpauth(t, kubeconfig, "check", "-o", "json").out), &report); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, x := range report.Findings {
		rest, ours := strings.CutPrefix(x.Command, "kubectl xcpauth ")
		if !ours {
			continue
		}
		n++
		root := newRootCommand(newFleetOptions(genericiooptions.IOStreams{}))
		words := strings.Fields(rest)
		for len(words) > 0 && strings.HasPrefix(words[0], "--") { // persistent flags before the verb
			words = append(words[2:], words[:2]...)
		}
		cmd, args, err := root.Find(words)
		if err != nil || cmd == root {
			t.Errorf("%s: no such verb: %v", x.Command, err)
			continue
		}
		cmd.Flags().SetInterspersed(true)
		if err := cmd.ParseFlags(args); err != nil && err != pflag.ErrHelp {
			t.Errorf("%s: %v", x.Command, err)
		}
		if !strings.Contains(x.Command, "--kubeconfig "+kubeconfig) {
			t.Errorf("%s does not name the kubeconfig of this run", x.Command)
		}
	}
	if n == 0 {
		t.Error("no finding suggests a command of the plugin")
	}
}
