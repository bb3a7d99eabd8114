package e2e

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// tooEarly is the edit of the vendor's last step.
var tooEarly = []string{"patch", "managementplane", "managementplane", "-n", "tsb", "--type=merge", "-p",
	`{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":true,"mutualTls":false}}}}}`}

func TestMigrateMovesEveryEdgeThenTurnsMTLSOffUnderTheWebhook(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})

	before := f.Rows(f.Xcpauth(0, "status", "-o", "json").Stdout)
	f.Is(before, "hub", "declared", "mTLS")
	f.Is(before, "edge-1", "effective", "mTLS")
	f.Is(before, "hub", "next", "register")
	f.Is(before, "edge-1", "next", "waits")
	f.Is(before, "edge-2", "next", "waits")

	denied := f.Kubectl(t.Context(), tooEarly...)
	for _, said := range []string{"denied the request", "- edge-1: mtls", "- edge-2: mtls", "kubectl xcpauth status"} {
		if denied.Code == 0 || !strings.Contains(denied.Stderr, said) {
			t.Errorf("the edit that cuts both edges off ended with %d and does not say %q:\n%s", denied.Code,
				said, denied.Stderr)
		}
	}

	f.Xcpauth(2, "plan", "--detailed-exitcode")
	dry := f.Xcpauth(0, "migrate", "--dry-run=server")
	for _, said := range []string{"ControlPlane istio-system/controlplane: accepted (dry run)",
		"ManagementPlane tsb/managementplane: accepted (dry run)", "not sent: today edge-1 may still present mtls"} {
		if !strings.Contains(strings.Join(strings.Fields(dry.Stdout), " "), said) {
			t.Errorf("the dry run does not say %q:\n%s", said, dry.Stdout)
		}
	}
	if got := f.edgeMode("edge-1"); got != "MUTUAL_TLS" {
		t.Fatalf("the dry run stored centralAuthMode %s", got)
	}

	run := f.migrate(0, "-o", "json", "--progress=json")
	f.progressIsJSON(run.Stderr, "hub", "edge-1", "edge-2")
	done := f.Rows(run.Stdout)
	for member, want := range map[string]string{"hub": "changed", "edge-1": "changed", "edge-2": "changed", "mpc": "ok"} {
		f.Is(done, member, "state", want)
	}
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
	for _, member := range []string{"edge-1", "edge-2", xcpsim.MPCMember} {
		if got := f.presents(member); len(got) != 1 || got[0] != xcpsim.JWT {
			t.Errorf("%s presents %v, want JWT alone", member, got)
		}
	}

	version := func() string {
		return f.get("hub", "tsb", "managementplane/managementplane", "{.metadata.resourceVersion}") +
			f.get("edge-1", "istio-system", "controlplane/controlplane", "{.metadata.resourceVersion}") +
			f.get("hub", "xcpauth-system", "edgecluster/edge-1", "{.metadata.resourceVersion}")
	}
	was := version()
	again := f.migrate(0)
	if !strings.Contains(again.Stdout, "Next: nothing to do") {
		t.Errorf("a second run does not say that there is nothing to do:\n%s", again.Stdout)
	}
	for member, row := range f.Rows(f.migrate(0, "-o", "json").Stdout) {
		if row["state"] != "ok" {
			t.Errorf("a second run ends with %s %v", member, row)
		}
	}
	if now := version(); now != was {
		t.Errorf("a second run wrote: resource versions %s, were %s\n%s", now, was, again.Stderr)
	}
}

// progressIsJSON checks that what a run says is lines of its schema and nothing else, that each member is in them, and
// that every wave that begins says until when it takes at the latest.
func (f fleet) progressIsJSON(said string, members ...string) {
	f.Helper()
	schema, err := jsonschema.NewCompiler().Compile("../../docs/schema/ProgressEvent.json")
	if err != nil {
		f.Fatal(err)
	}
	of, waves := map[string]bool{}, 0
	for line := range strings.Lines(said) {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			f.Fatalf("a line of the progress is not as its schema says: %v\n%s", err, line)
		}
		event := value.(map[string]any)
		of[event["member"].(string)] = true
		if event["phase"] == "wave" {
			waves++
			if event["until"] == nil || event["atMostSeconds"] == nil {
				f.Errorf("a wave begins without saying until when:\n%s", line)
			}
		}
	}
	for _, member := range members {
		if !of[member] {
			f.Errorf("the progress does not say anything of %s:\n%s", member, said)
		}
	}
	if waves == 0 {
		f.Errorf("no wave begins:\n%s", said)
	}
}

func TestAnEdgeThatNeverConnectsIsPutBackAndTheRestNotAttempted(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	f.stuck("edge-1")

	r := f.migrate(4, "-o", "json", "--prove-within", "15s")
	rows := f.Rows(r.Stdout)
	f.Is(rows, "edge-1", "state", "failed")
	f.Is(rows, "edge-2", "state", "not attempted")
	f.Is(rows, "hub", "state", "changed")
	if why, _ := rows["edge-1"]["why"].(string); !strings.Contains(why, "not verified within 15s") ||
		!strings.Contains(why, "put back") {
		t.Errorf("edge-1's reason is %q", why)
	}
	if got := f.edgeMode("edge-1"); got != "MUTUAL_TLS" {
		t.Errorf("edge-1 is left at %s", got)
	}
	if got := f.edgeMode("edge-2"); got != "MUTUAL_TLS" {
		t.Errorf("edge-2 was moved to %s", got)
	}
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":true}` {
		t.Errorf("the hub accepts %s", got)
	}
	if got := f.presents("edge-1"); len(got) != 1 || got[0] != xcpsim.MTLS {
		t.Errorf("edge-1's old pod presents %v, want mTLS still connected", got)
	}

	f.free("edge-1")
	f.migrate(0)
}

func TestAStatementIsTakenBackWhenItsEdgeGoesBack(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})
	f.stuck("edge-2") // keeps the run from reaching its last step
	f.migrate(4, "--prove-within", "15s")
	stated := func() string {
		return f.get("hub", "xcpauth-system", "edgecluster/edge-1", "{.status.presents}")
	}
	if got := stated(); got != `["jwt"]` {
		t.Fatalf("the roster states %s of edge-1, want a proof", got)
	}

	back := `{"spec":{"components":{"xcp":{"centralAuthMode":"MUTUAL_TLS"}}}}`
	if r := f.Kubectl(t.Context(), "--context", "edge-1", "-n", "istio-system", "patch", "controlplane", "controlplane",
		"--type=merge", "-p", back); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	f.eventually("edge-1 presents its certificate again", func() bool {
		got := f.presents("edge-1")
		return len(got) == 1 && got[0] == xcpsim.MTLS
	})
	f.stuck("edge-1")

	f.migrate(4, "--prove-within", "12s") // moves edge-1 again, cannot verify it, puts it back
	if got := stated(); got != "" {
		t.Errorf("the roster still states %s of edge-1", got)
	}
	if denied := f.Kubectl(t.Context(), tooEarly...); denied.Code == 0 ||
		!strings.Contains(denied.Stderr, "- edge-1: mtls") {
		t.Errorf("the edit that would cut edge-1 off ended with %d: %s", denied.Code, denied.Stderr)
	}
}

func TestAStoppedAPIServerIsARowAndNotAHang(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	f.Bed.Cluster("edge-2").Freeze()
	impatient := []string{"--member-timeout", "3s", "--request-timeout", "2s"}

	rows := f.Rows(f.Xcpauth(4, append([]string{"status", "-o", "json"}, impatient...)...).Stdout)
	f.Is(rows, "edge-2", "state", "unreachable")
	f.Is(rows, "edge-1", "effective", "mTLS")
	if len(rows) != 4 {
		t.Errorf("%d rows, want hub, edge-1, edge-2 and mpc: %v", len(rows), rows)
	}
	for name := range f.YAMLRows(f.Xcpauth(4, append([]string{"status", "-o", "yaml"}, impatient...)...).Stdout) {
		if rows[name] == nil {
			t.Errorf("%s is in the YAML and not in the JSON", name)
		}
	}
	table := f.Xcpauth(4, append([]string{"status"}, impatient...)...).Stdout
	for name := range rows {
		if strings.Count(table, "\n"+name+" ") != 1 {
			t.Errorf("%s has no row of its own in the table:\n%s", name, table)
		}
	}

	rows = f.Rows(f.migrate(4, append([]string{"-o", "json"}, impatient...)...).Stdout)
	f.Is(rows, "edge-1", "state", "changed")
	f.Is(rows, "edge-2", "state", "unreachable")
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":true}` {
		t.Errorf("with an edge unknown the hub accepts %s, want both", got)
	}

	f.Bed.Cluster("edge-2").Thaw()
	f.migrate(0)
}

// A cluster that goes away in the middle of a run is a row; and when it is gone for good, its Cluster object deleted
// and it itself forgotten, the others reach the goal.
func TestAnEdgeThatGoesAwayMidRunIsARowUntilItIsForgotten(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})
	impatient := []string{"--member-timeout", "3s", "--request-timeout", "2s"}
	cmd := f.Command(t.Context(), append(append([]string{"xcpauth", "migrate", "-o", "json"}, impatient...), quick...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, runs.NewWatcher(t, "edge-1: wrote ControlPlane",
		func() { f.Bed.Cluster("edge-2").KillAPIServer() })
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 4 {
		t.Fatalf("ended with %v, want exit code 4\n%s", err, out.String())
	}
	rows := f.Rows(out.String())
	f.Is(rows, "edge-1", "state", "changed")
	f.Is(rows, "edge-2", "state", "unreachable")

	without := append([]string{"--contexts", "^edge-2"}, impatient...)
	rows = f.Rows(f.migrate(5, append([]string{"-o", "json"}, without...)...).Stdout)
	f.Is(rows, "edge-2", "state", "blocked")
	if why, _ := rows["edge-2"]["why"].(string); !strings.Contains(why, "kubectl xcpauth edge forget edge-2 --reason") {
		t.Errorf("the way out is not named: %q", why)
	}
	if r := f.Kubectl(t.Context(), "--context", "hub", "-n", "tsb", "delete", "clusters.xcp.tetrate.io",
		"edge-2"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	f.promiseKept() // up to here, without exception
	f.forgotten["edge-2"] = true
	f.Xcpauth(0, append([]string{"edge", "forget", "edge-2", "--reason", "cluster deleted, CHG-1234"}, without...)...)
	if event := f.Kubectl(t.Context(), "--context", "hub", "-n", "xcpauth-system", "get", "events", "-o",
		"jsonpath={.items[?(@.reason==\"Forgotten\")].message}"); !strings.Contains(event.Stdout,
		"cluster deleted, CHG-1234") {
		t.Errorf("no Event keeps the reason: %q %s", event.Stdout, event.Stderr)
	}

	seen := func() string {
		return f.get("hub", "xcpauth-system", "edgecluster/edge-1", "{.status.observedTime}")
	}
	was := seen()
	f.eventually("the clock of statements ticks", func() bool { // they are kept in whole seconds
		f.Xcpauth(0, append([]string{"edge", "publish", "edge-1", "--poll", "100ms"}, without...)...)
		return seen() != was
	})
	if listed := f.Xcpauth(0, append([]string{"edge", "list"}, without...)...).Stdout; strings.Contains(listed,
		"edge-2") || !strings.Contains(listed, "edge-1") {
		t.Errorf("the roster is\n%s", listed)
	}
	if r := f.Kubectl(t.Context(), "--context", "hub", "-n", "xcpauth-system", "delete", "edgecluster",
		"edge-1"); r.Code != 0 {
		t.Fatal(r.Stderr)
	}
	f.Xcpauth(0, append([]string{"edge", "publish", "edge-1", "--poll", "100ms"}, without...)...) // lists it again
	if got := f.get("hub", "xcpauth-system", "edgecluster/edge-1", "{.status.presents}"); got != `["jwt"]` {
		t.Errorf("the roster states %s of edge-1", got)
	}
	// Nobody tells Central's pods, and in truth that edge runs on without its API server.
	if r := f.migrate(4, without...); !strings.Contains(r.Stdout+r.Stderr,
		"edge-2: mtls (Central's metrics name this edge and the roster lacks it") {
		t.Errorf("the witness is not named:\n%s%s", r.Stdout, r.Stderr)
	}
	f.Webhook().Stop()
	if err := f.Webhook().Start(t.Context(), "--central-metrics=off"); err != nil {
		t.Fatal(err)
	}
	f.migrate(0, without...)
	if got := f.hubModes(); got != `{"jwt":true,"mutualTls":false}` {
		t.Errorf("the hub's modes are %s", got)
	}
}

func TestAnInterruptPutsTheWaveBackAndTheNextRunGoesOn(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	f.stuck("edge-1") // so that the wave is still in flight
	cmd := f.Command(t.Context(), append([]string{"xcpauth", "migrate"}, quick...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, runs.NewWatcher(t, "edge-1: waiting", func() { cmd.Process.Signal(os.Interrupt) })
	if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 130 {
		t.Fatalf("ended with %v, want exit code 130\n%s", err, out.String())
	}
	said := strings.Join(strings.Fields(out.String()), " ")
	if !strings.Contains(said, "interrupted; continue with: kubectl xcpauth migrate") {
		t.Errorf("the command that continues is not named:\n%s", out.String())
	}
	if !strings.Contains(said, "edge-1 edge-1 interrupted") || strings.Contains(said, "failed") {
		t.Errorf("what was interrupted has not failed, and is said so:\n%s", out.String())
	}
	if got := f.edgeMode("edge-1"); got != "MUTUAL_TLS" {
		t.Errorf("edge-1 is left at %s", got)
	}
	f.free("edge-1")
	f.migrate(0)
}

// What a killed run left is restored by the next one; who is asked sees the plan as it is after that.
func TestAKilledRunIsRestoredByTheNext(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{})
	f.stuck("edge-1")
	cmd := f.Command(t.Context(), append([]string{"xcpauth", "migrate"}, quick...)...)
	cmd.Stderr = runs.NewWatcher(t, "edge-1: waiting", func() { cmd.Process.Signal(syscall.SIGKILL) })
	if err := cmd.Run(); err == nil {
		t.Fatal("the killed run ended well")
	}
	if got := f.edgeMode("edge-1"); got != "JWT" {
		t.Fatalf("edge-1 is at %s: the run was killed too early for this test", got)
	}
	next, code := f.typed(t.TempDir(), "kubectl xcpauth migrate --poll 100ms --prove-within 12s", "")
	if code != 4 { // edge-1 still cannot connect
		t.Errorf("the next run ends with %d", code)
	}
	said, at := strings.Join(strings.Fields(next), " "), 0
	for _, text := range []string{"First: ", "Do you want to restore that now, and see the plan for the rest then?",
		`was interrupted in the wave "canary"; restoring it first`,
		"edge-1: restored as it was before the interrupted wave", ". canary ", "edge-1: present a JWT",
		"Do you want to carry out this plan?"} {
		i := strings.Index(said[at:], text)
		if i < 0 {
			t.Fatalf("the next run does not say %q after the rest:\n%s", text, next)
		}
		at += i
	}
	f.free("edge-1")
	f.migrate(0)
}
