package supply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

const canary = "c4n4ryc4n4ryc4n4ryc4n4ry" // is in everything secret here

var jwk = `{"kty":"RSA","kid":"1","n":"AQAB","e":"AQAB","d":"` + canary + `"}`

// TestMain is the tests; or, where a test has set its answers, a tctl that gives them and logs its arguments.
func TestMain(m *testing.M) {
	answers := os.Getenv("TCTL_ANSWERS")
	if answers == "" {
		os.Exit(m.Run())
	}
	args := os.Args[1:]
	line, err := json.Marshal(args)
	if err != nil {
		panic(err)
	}
	log, err := os.OpenFile(os.Getenv("TCTL_LOG"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(log, "%s\n", line)
	log.Close()
	var all map[string]answer
	if err := json.Unmarshal([]byte(answers), &all); err != nil {
		panic(err)
	}
	command := strings.Join(args, " ")
	for prefix, a := range all {
		if strings.HasPrefix(command, prefix) {
			if a.Hangs {
				never := make(chan os.Signal, 1)
				signal.Notify(never, os.Interrupt)
				<-never
			}
			fmt.Print(a.Out)
			fmt.Fprint(os.Stderr, a.Err)
			os.Exit(a.Code)
		}
	}
	fmt.Fprintf(os.Stderr, "Error: unknown command %q\n", command)
	os.Exit(1)
}

// answer is what tctl does when it is run with a command.
type answer struct {
	Out, Err string
	Code     int
	Hangs    bool
}

const (
	profiles = "  CURRENT  NAME     CLUSTER  ACCOUNT\n  *        default  prod     admin\n           other    stage    admin\n           bare     nowhere  \n"
	view     = "clusters:\n- name: prod\n  bridge-address: TSB.example.test:8443\n- name: stage\n  bridge-address: stage.example.test:8443\nusers:\n- name: admin\n  password: " + canary + "\n"
	printed  = "---\napiVersion: v1\nkind: Secret\nmetadata: {name: elastic-credentials, namespace: istio-system}\nstringData: {password: " + canary + "}\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: mp-certs, namespace: istio-system}\nstringData: {ca.crt: " + canary + "}\n"
)

func healthy() map[string]answer {
	return map[string]answer{
		"config profiles list": {Out: profiles}, "config view": {Out: view},
		"version":                                {Out: "TCTL version: v1.6.2\nTSB version: v1.6.2\n"},
		"install manifest control-plane-secrets": {Out: printed}, "install cluster-service-account": {Out: jwk + "\n"},
	}
}

// tctl is this test's program with the answers, and reads its log.
func tctl(t *testing.T, profile string, answers map[string]answer) (*Tctl, func() []string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(answers)
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "log")
	t.Setenv("TCTL_ANSWERS", string(b))
	t.Setenv("TCTL_LOG", log)
	tc, err := NewTctl(self, profile)
	if err != nil {
		t.Fatal(err)
	}
	return tc, func() []string {
		b, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		var runs []string
		for line := range strings.Lines(string(b)) {
			var args []string
			if err := json.Unmarshal([]byte(line), &args); err != nil {
				t.Fatal(err)
			}
			runs = append(runs, strings.Join(args, " "))
		}
		return runs
	}
}

func wanting(secrets ...string) plan.Supply {
	return plan.Supply{Member: "edge-1", ClusterName: "edge-1", Context: "edge-1",
		Namespace: "istio-system", Wants: secrets,
		FullName: "organizations/example/clusters/edge-1", Hosts: []string{"edge.example.test", "tsb.example.test"}}
}

func secretNames(secrets []map[string]any) (all []string) {
	for _, o := range secrets {
		meta, _ := o["metadata"].(map[string]any)
		all = append(all, fmt.Sprint(meta["name"]))
	}
	return all
}

func leaks(t *testing.T, text string) {
	t.Helper()
	if strings.Contains(text, canary) {
		t.Errorf("a secret is in %q", text)
	}
}

const (
	account = "cluster-service-account"
	token   = "xcp-edge-central-auth-token"
)

func TestTctlIsRunForOneClusterAndOneProfileAndMakesNothingElse(t *testing.T) {
	old := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: xcp-edge-central-auth-token, namespace: istio-system}\nstringData: {jwt: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.eA}\n"
	const (
		manifest = "install manifest control-plane-secrets --cluster edge-1 --controlplane istio-system --create-cluster=false --profile default"
		key      = "install cluster-service-account --cluster edge-1 --create-cluster=false --profile default"
	)
	reads := []string{"config profiles list", "config view", "version --profile default"}
	for _, tc := range []struct {
		name   string
		supply plan.Supply
		change map[string]answer
		runs   []string // beside those that only read
		took   []string
		says   string // of what is said, or of the error
		fails  bool
	}{
		{name: "a service account", supply: wanting(account, token), runs: []string{manifest, key}, took: []string{account},
			says: "left alone of tctl's manifest: Secret elastic-credentials, Secret mp-certs"},
		{name: "no new key where a valid account lies; but then a token must come", supply: wanting(token),
			runs: []string{manifest}, fails: true, says: `look at the log of tsb-operator-control-plane`},
		{name: "1.4 prints the token itself", supply: wanting(account, token), runs: []string{manifest},
			took: []string{token},
			change: map[string]answer{"version": {Out: "TCTL version: v1.4.6\n"},
				"install manifest control-plane-secrets": {Out: printed + old}, "install cluster-service-account": {Code: 1}}},
		{name: "a version that says itself and then cannot log in", supply: wanting(account, token),
			runs: []string{manifest, key}, took: []string{account},
			change: map[string]answer{"version": {Out: "TCTL version: v1.9.0\n", Code: 1}}},
		{name: "a version that cannot be read is not an old one", supply: wanting(account, token),
			runs: []string{manifest, key}, took: []string{account}, change: map[string]answer{"version": {Code: 1}}},
		{name: "an account is enough where no manifest is printed", supply: wanting(account, token),
			runs: []string{manifest, key}, took: []string{account},
			says: "tctl prints no manifest, and a service account is enough",
			change: map[string]answer{"install manifest control-plane-secrets": {Code: 1,
				Err: "Error: elastic-password is required"}}},
		{name: "a key that is none", supply: wanting(account, token), runs: []string{manifest, key}, fails: true,
			says: "jwk is not a JSON web key", change: map[string]answer{"install cluster-service-account": {Out: canary}}},
		{name: "what tctl says is shown without secrets", supply: wanting(account, token), runs: []string{manifest, key},
			fails: true, says: "exit status 1: Error: denied for admin, token=[redacted]",
			change: map[string]answer{"install cluster-service-account": {Code: 1, Err: "Error: denied for admin, token=" +
				canary + "\n"}}},
		{name: "a manifest of another namespace", supply: wanting(account, token), runs: []string{manifest}, fails: true,
			says: "is for namespace tsb",
			change: map[string]answer{"install manifest control-plane-secrets": {Out: strings.ReplaceAll(old,
				"istio-system", "tsb")}}},
		{name: "no organization", supply: func() plan.Supply { s := wanting(account, token); s.FullName = ""; return s }(),
			runs: []string{manifest, key}, fails: true, says: "names no organization"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answers := healthy()
			for command, a := range tc.change {
				answers[command] = a
			}
			tctl, runs := tctl(t, "", answers)
			secrets, said, err := tctl.Secrets(t.Context(), tc.supply)
			text := strings.Join(said, "\n") + fmt.Sprint(err)
			if (err != nil) != tc.fails || !strings.Contains(text, tc.says) {
				t.Errorf("error %v, said %q; want %q", err, said, tc.says)
			}
			if d := cmp.Diff(tc.took, secretNames(secrets)); d != "" {
				t.Errorf("secrets (-want +got):\n%s", d)
			}
			if d := cmp.Diff(append(slices.Clone(reads), tc.runs...), runs()); d != "" {
				t.Errorf("runs of tctl (-want +got):\n%s", d)
			}
			leaks(t, text+strings.Join(runs(), " "))
		})
	}
}

func TestTheProfileMustLeadToThisHub(t *testing.T) {
	for _, tc := range []struct {
		name, profile string
		change        map[string]answer
		says          string
		fails         bool
	}{
		{name: "the current one", says: "tctl's profile default leads to TSB.example.test:8443, the host that edges dial too (by tctl config view)"},
		{name: "another hub's", profile: "other", fails: true,
			says: "tctl's profile other leads to stage.example.test:8443, and the edges dial edge.example.test, tsb.example.test: that is another hub"},
		{name: "one that is not there", profile: "mars", fails: true, says: "--tctl-profile mars: tctl has no such profile"},
		{name: "no current one", change: map[string]answer{"config profiles list": {Out: strings.ReplaceAll(profiles, "*",
			" ")}}, fails: true, says: "(tctl has no current profile); name the profile of this hub with --tctl-profile"},
		{name: "a table of another shape", change: map[string]answer{"config profiles list": {Out: "default\n"}}, fails: true,
			says: "where tctl's current profile leads cannot be told"},
		{name: "a table of another shape, and a named profile", profile: "default",
			change: map[string]answer{"config profiles list": {Out: "default\n"}},
			says:   "because --tctl-profile names it: where it leads cannot be told"},
		{name: "a cluster without an address", profile: "bare", says: `names no bridge-address of its cluster "nowhere"`},
		{name: "a configuration that is not YAML", change: map[string]answer{"config view": {Out: "a: [" + canary}},
			fails: true, says: "does not print clusters"},
		{name: "a tctl that fails", change: map[string]answer{"config view": {Code: 3, Err: "Error: password: " + canary}},
			fails: true, says: "running tctl config view: exit status 3: Error: password: [redacted]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answers := healthy()
			for command, a := range tc.change {
				answers[command] = a
			}
			tctl, runs := tctl(t, tc.profile, answers)
			_, said, err := tctl.Secrets(t.Context(), wanting(account, token))
			text := strings.Join(said, "\n") + fmt.Sprint(err)
			if (err != nil) != tc.fails || !strings.Contains(text, tc.says) {
				t.Errorf("error %v, said %q; want %q", err, said, tc.says)
			}
			if made := slices.ContainsFunc(runs(), func(r string) bool {
				return strings.HasPrefix(r,
					"install")
			}); made == tc.fails {
				t.Errorf("asked for secrets: %v", made)
			}
			leaks(t, text)
		})
	}
}

func TestAHungTctlEndsWithTheRun(t *testing.T) {
	answers := healthy()
	answers["install cluster-service-account"] = answer{Hangs: true}
	tctl, runs := tctl(t, "", answers)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, _, err := tctl.Secrets(ctx, wanting(account, token))
		ended <- err
	}()
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !slices.ContainsFunc(runs(), func(r string) bool {
		return strings.HasPrefix(r,
			"install cluster-service-account")
	}) {
		select {
		case err := <-ended:
			t.Fatalf("it ended by itself: %v", err)
		case <-poll.C:
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}

	tctl.Within = time.Nanosecond
	if _, _, err := tctl.Secrets(t.Context(), wanting(account, token)); err == nil ||
		!strings.Contains(err.Error(), "it did not end within 1ns; try it by hand") {
		t.Errorf("one that takes too long: %v", err)
	}
}

func TestWhatAProgramSaysIsShownWithoutSecrets(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"plain words stay", "Error: cluster edge-1 not found at tsb.example.test:8443",
			"Error: cluster edge-1 not found at tsb.example.test:8443"},
		{"a JWT", "bad token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl here", "bad token [redacted] here"},
		{"a private key", "a\n-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\nb", "a; [redacted]; b"},
		{"a private key cut off", "-----BEGIN PRIVATE KEY-----\nabc", "[redacted]"},
		{"a JWK", `{"kty":"RSA","d": "abc"}`, `{"kty":"RSA","d": "[redacted]"}`},
		{"a password", "password=hunter2 is wrong", "password=[redacted] is wrong"},
		{"a password in YAML", "admin-password: hunter2", "admin-password: [redacted]"},
		{"a header", "Authorization: Bearer hunter2", "Authorization: Bearer [redacted]"},
		{"base64", "got " + strings.Repeat("QUJD", 10) + "==", "got [redacted]"},
		{"escape sequences", "\x1b[31mred", "[31mred"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := said(tc.text); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	if got := said(strings.Repeat("word ", 1000) + "the end"); len(got) > maxSaid+8 ||
		!strings.HasSuffix(got, "the end") {
		t.Errorf("%d bytes, ending %q", len(got), got[len(got)-10:])
	}
}
