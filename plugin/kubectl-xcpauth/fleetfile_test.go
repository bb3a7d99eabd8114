package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/xcpauth/kubectl-xcpauth/pkg/fleetfile"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

const fleetHead = "apiVersion: xcpauth.io/v1alpha1\nkind: Fleet\n"

// fleetOf writes a fleet file into a directory of its own.
func fleetOf(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fleet.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// taken are the options of a command line once it is ready to run.
func taken(t *testing.T, args ...string) (*fleetOptions, *cobra.Command, error) {
	t.Helper()
	o := newFleetOptions(genericiooptions.NewTestIOStreamsDiscard())
	root := newRootCommand(o)
	cmd, rest, err := root.Find(args)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.ParseFlags(rest); err != nil {
		t.Fatal(err)
	}
	return o, cmd, o.begin(cmd)
}

// values are what flags say of themselves, by name.
func values(cmd *cobra.Command, names ...string) string {
	var all []string
	for _, name := range names {
		all = append(all, name+"="+flagFor(cmd, name).Value.String())
	}
	return strings.Join(all, " ")
}

func TestAFlagWinsOverTheFleetFile(t *testing.T) {
	file := fleetOf(t, fleetHead+"hub: h\ncontexts: [a, \"b,c\"]\nstandby: s\nproduct: tsb\n"+
		"waves: {canary: a, size: 3, soak: 1m, proveWithin: 2m, rotationWithin: 3m, maxFailures: 4}\n")
	names := []string{"context", "contexts", "standby", "product", "canary", "wave-size", "soak", "prove-within",
		"rotation-within", "max-failures"}
	for _, tc := range []struct{ args, want string }{
		{"migrate --fleet " + file, `context=h contexts=[a,"b,c"] standby=s product=tsb canary=a wave-size=3 soak=1m0s ` +
			"prove-within=2m0s rotation-within=3m0s max-failures=4"},
		{"migrate --context x --contexts y --soak 9s --max-failures 0 --fleet " + file,
			"context=x contexts=[y] standby=s product=tsb canary=a wave-size=3 soak=9s " +
				"prove-within=2m0s rotation-within=3m0s max-failures=0"},
	} {
		_, cmd, err := taken(t, strings.Fields(tc.args)...)
		if got := values(cmd, names...); err != nil || got != tc.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tc.args, err, got, tc.want)
		}
	}
	t.Setenv(fleetVariable, file)
	if _, cmd, err := taken(t, "status"); err != nil || values(cmd, "context", "standby") != "context=h standby=s" {
		t.Errorf("%s does not name the file: %v, %s", fleetVariable, err, values(cmd, "context", "standby"))
	}
	other := fleetOf(t, fleetHead+"hub: other\n")
	if _, cmd, err := taken(t, "status", "--fleet", other); err != nil ||
		values(cmd, "context", "standby") != "context=other standby=" {
		t.Errorf("--fleet does not win over %s: %v, %s", fleetVariable, err, values(cmd, "context", "standby"))
	}
}

// A value of the file that the command line contradicts by another flag does not count.
func TestWhereTheGlobalIsComesFromOnePlace(t *testing.T) {
	names := []string{"global-api", "global-ca", "kumactl-config", "kumactl-context"}
	api := fleetOf(t, fleetHead+"globalAPI: [https://a:5682, https://b:5682]\nglobalCA: ca.pem\nstateContext: ops\n")
	config := fleetOf(t, fleetHead+"kumactlConfig: /etc/kumactl\nkumactlContext: prod\nstateContext: ops\n")
	for _, tc := range []struct{ args, want string }{
		{"status --fleet " + api, "global-api=[https://a:5682,https://b:5682] global-ca=" +
			filepath.Join(filepath.Dir(api), "ca.pem") + " kumactl-config= kumactl-context="},
		{"status --kumactl-config k --fleet " + api, "global-api=[] global-ca= kumactl-config=k kumactl-context="},
		{"status --fleet " + config, "global-api=[] global-ca= kumactl-config=/etc/kumactl kumactl-context=prod"},
		{"status --global-api https://c --fleet " + config,
			"global-api=[https://c] global-ca= kumactl-config= kumactl-context="},
	} {
		o, cmd, err := taken(t, strings.Fields(tc.args)...)
		if got := values(cmd, names...); err != nil || got != tc.want || o.stateContext != "ops" {
			t.Errorf("%s: %v\n%s\nwant\n%s", tc.args, err, got, tc.want)
		}
	}
}

// What goes on from a run repeats the file and the flags that were given beside it, and nothing that the file says.
func TestACommandThatGoesOnRepeatsTheFleetFileAlone(t *testing.T) {
	file := fleetOf(t, fleetHead+"kubeconfig: k\nhub: h\ncontexts: [a]\nstandby: s\nproduct: tsb\n"+
		"waves: {size: 3, canary: a}\n")
	const continued = "kubectl xcpauth migrate"
	for _, tc := range []struct{ args, want string }{
		{"plan --fleet " + file, continued + " --fleet " + file},
		{"plan --context x --wave-size 5 --fleet " + file, continued + " --fleet " + file + " --context x --wave-size 5"},
		{"plan --standby s2 --fleet " + file, continued + " --fleet " + file + " --standby s2"},
	} {
		o, cmd, err := taken(t, strings.Fields(tc.args)...)
		o.repeats = given(cmd.Flags(), goalNames...)
		if got := o.again("migrate"); err != nil || got != tc.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", tc.args, err, got, tc.want)
		}
	}
	t.Setenv(fleetVariable, file) // it is there for the next command too
	o, cmd, err := taken(t, "plan")
	o.repeats = given(cmd.Flags(), goalNames...)
	if got := o.again("migrate"); err != nil || got != continued {
		t.Errorf("%v\n%s\nwant\n%s", err, got, continued)
	}
}

func TestAFleetFileSaysWhichClustersThereAre(t *testing.T) {
	other := apifake.Start(apifake.Edge("other")...)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...), "other": other}, nil)
	file := filepath.Join(filepath.Dir(kubeconfig), "fleet.yaml")
	text := fleetHead + "kubeconfig: " + filepath.Base(kubeconfig) + "\nhub: hub\ncontexts: [hub, eu]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := xcpauth(t, "", "status", "--fleet", file)
	next := strings.Join(strings.Fields(r.out), " ")
	if r.code != 0 || strings.Contains(r.out, "other") || other.Connections() != 0 ||
		!strings.Contains(next, "kubectl xcpauth migrate --fleet "+file) || strings.Contains(next, "--kubeconfig") {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
}

func TestWhatIsWrongInAFleetFileIsOneSentence(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"global": apifake.Start(global()...)}, nil)
	dir := t.TempDir()
	misspelled := fleetOf(t, fleetHead+"hubs: h\n")
	standby := fleetOf(t, fleetHead+"standby: global\n")
	for _, tc := range []struct{ args, says string }{
		{"status --fleet " + dir + "/absent.yaml",
			"fleet file " + dir + "/absent.yaml: reading it: no such file or directory"},
		{"status --fleet " + dir, "fleet file " + dir + ": reading it: is a directory"},
		{"migrate -y --fleet " + misspelled,
			"fleet file " + misspelled + `: line 3: key "hubs" is not known; allowed are apiVersion`},
		{"status --fleet " + standby, "standby of fleet file " + standby +
			" is for TSB alone, and this fleet is of kong-mesh; leave it out"},
	} {
		if r := xcpauth(t, kubeconfig, strings.Fields(tc.args)...); r.code != 1 ||
			!strings.HasPrefix(r.err, "error: "+tc.says) {
			t.Errorf("%s: exit code %d, want 1; it says\n%swant\n%s", tc.args, r.code, r.err, tc.says)
		}
	}
	t.Setenv(fleetVariable, misspelled)
	for _, args := range [][]string{{"version"}, {"help"}, {"migrate", "--help"}} {
		if r := xcpauth(t, "", args...); r.code != 0 {
			t.Errorf("%v looks at no fleet, and its exit code is %d: %s", args, r.code, r.err)
		}
	}
}

// The page has every key with its flag, and its example is a fleet file.
func TestThePageOfTheFleetFileIsTrue(t *testing.T) {
	page, err := os.ReadFile("../../docs/fleet-file.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ := strings.Cut(rest, "```")
	settings, err := fleetfile.Parse([]byte(example), products)
	if err != nil || len(settings) != 11 {
		t.Fatalf("the example: %v, %d settings", err, len(settings))
	}
	file := fleetOf(t, example)
	_, cmd, err := taken(t, "migrate", "--fleet", file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range settings {
		if got := flagFor(cmd, s.Flag).Value.String(); got == flagFor(cmd, s.Flag).DefValue {
			t.Errorf("%s of the example does not change --%s, which is %s", s.Key, s.Flag, got)
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `([a-zA-Z.]+)` \\| `--([a-z-]+)` \\|").FindAllStringSubmatch(string(page), -1)
	for _, row := range rows {
		key, flag := row[1], row[2]
		text := key + ": {}"
		if below, ok := strings.CutPrefix(key, "waves."); ok {
			text = "waves: {" + below + ": {}}"
		}
		_, err := fleetfile.Parse([]byte(fleetHead+text), products)
		if err == nil || !strings.HasPrefix(err.Error(), "line 3: "+key+" is a mapping") || flagFor(cmd, flag) == nil {
			t.Errorf("the page has %s for --%s: %v", key, flag, err)
		}
	}
	_, err = fleetfile.Parse([]byte("x: y"), products)
	_, known, _ := strings.Cut(err.Error(), "allowed are ")
	for _, key := range strings.Split(known, ", ") {
		in := slices.ContainsFunc(rows, func(row []string) bool { return row[1] == key })
		if !in && !slices.Contains([]string{"apiVersion", "kind", "waves"}, key) {
			t.Errorf("the page does not have %s", key)
		}
	}
}
