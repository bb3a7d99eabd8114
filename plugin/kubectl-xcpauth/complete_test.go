package main

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// tree is the command tree, and every command of it.
func tree() (*cobra.Command, []*cobra.Command) {
	root := newRootCommand(newFleetOptions(genericiooptions.NewTestIOStreamsDiscard()))
	all := []*cobra.Command{}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		all = append(all, cmd)
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk(root)
	return root, all
}

// completed are the words that the plugin completes the last of its arguments with, and the directive.
func completed(t *testing.T, args ...string) (words []string, directive string) {
	t.Helper()
	r := xcpauth(t, "", append([]string{cobra.ShellCompNoDescRequestCmd}, args...)...)
	if r.code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, r.code, r.err)
	}
	words = strings.Fields(r.out)
	return words[:len(words)-1], words[len(words)-1]
}

// A flag without a completion of its own would be completed with the names of files, whatever it takes.
func TestEveryFlagWithAValueIsCompletedOrTakesFreeText(t *testing.T) {
	t.Setenv("KUBECONFIG", serve(t, map[string]*apifake.Server{"hub": apifake.Start()}, nil))
	_, commands := tree()
	seen := map[string]bool{}
	for _, cmd := range commands {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Value.Type() == "bool" {
				return
			}
			seen[f.Name] = true
			complete, there := cmd.GetFlagCompletionFunc(f.Name)
			if !there {
				t.Errorf("%s --%s has no completion; give it one, or add it to freeFlags or fileFlags in complete.go",
					cmd.CommandPath(), f.Name)
				return
			}
			words, directive := complete(cmd, nil, "")
			file, free := slices.Contains(fileFlags, f.Name), slices.Contains(freeFlags, f.Name)
			if files := directive&cobra.ShellCompDirectiveNoFileComp == 0; files != file {
				t.Errorf("%s --%s is completed with files: %v, want %v", cmd.CommandPath(), f.Name, files, file)
			}
			if (file || free) && len(words) > 0 {
				t.Errorf("%s --%s is completed with %v", cmd.CommandPath(), f.Name, words)
			}
		})
	}
	for _, name := range slices.Concat(fileFlags, freeFlags) {
		if !seen[name] {
			t.Errorf("no command has a flag --%s any more", name)
		}
	}
}

func TestOnlyArgumentsThatAreFilesAreCompletedWithFiles(t *testing.T) {
	_, commands := tree()
	files := 0
	for _, cmd := range commands {
		if len(cmd.ValidArgs) > 0 {
			continue
		}
		_, directive := cmd.ValidArgsFunction(cmd, nil, "")
		takes := strings.Contains(cmd.Use, "FILE")
		if got := directive&cobra.ShellCompDirectiveNoFileComp == 0; got != takes {
			t.Errorf("%s is completed with files: %v, want %v", cmd.CommandPath(), got, takes)
		}
		if _, directive := cmd.ValidArgsFunction(cmd, []string{"one"}, ""); directive&
			cobra.ShellCompDirectiveNoFileComp == 0 {
			t.Errorf("%s takes one file, and is completed with a second", cmd.CommandPath())
		}
		if takes {
			files++
		}
	}
	if files != 4 {
		t.Errorf("%d commands take a file, want 4", files)
	}
}

func TestWhatHasFixedValuesIsCompletedWithThem(t *testing.T) {
	formats := strings.Join(slices.Concat(render.Formats, render.TemplateFormats), " ")
	kumactl := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(kumactl, []byte("contexts: [{name: prod}, {name: test}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(), "eu": apifake.Start()}, nil)
	fleet := fleetOf(t, fleetHead+"kubeconfig: "+kubeconfig+"\nkumactlConfig: "+kumactl+"\n")
	for line, want := range map[string]string{
		"status --output ":                                      formats,
		"status --color ":                                       "auto always never",
		"status --product ":                                     "auto tsb kong-mesh",
		"token verify --product ":                               "kong-mesh kuma",
		"migrate --to ":                                         "dual edges jwt-only",
		"migrate --tokens-from ":                                "api key",
		"migrate --dry-run=":                                    "none client server",
		"check --severity ":                                     "error warning info",
		"completion ":                                           "kubectl bash zsh fish powershell",
		"status --context ":                                     "",
		"plan --fleet " + fleet + " --standby ":                 "eu hub",
		"plan --fleet " + fleet + " --state-context ":           "eu hub",
		"plan --fleet " + fleet + " --kumactl-context ":         "prod test",
		"plan --kumactl-config " + kumactl + " --to ":           "dual edges jwt-only",
		"plan --kumactl-config /absent --kumactl-context ":      "",
		"status --kubeconfig " + kubeconfig + " --contexts ":    "eu hub",
		"edge forget --kubeconfig " + kubeconfig + " ":          "", // no look was kept
		"migrate --kubeconfig " + kubeconfig + " --canary ":     "",
		"plan --fleet /absent --kubeconfig " + kubeconfig + " ": "show",
	} {
		t.Run(line, func(t *testing.T) {
			t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "absent"))
			words, _ := completed(t, strings.Split(line, " ")...)
			if got := strings.Join(words, " "); got != want {
				t.Errorf("%q is completed with %q, want %q", line, got, want)
			}
		})
	}
	if words, _ := completed(t, "check", "--ignore", ""); !slices.Contains(words, "XA001") ||
		!slices.Contains(words, "token-long") {
		t.Errorf("--ignore is completed with %v", words)
	}
}

func TestNamesComeFromTheLastLookAndFromNoCluster(t *testing.T) {
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu", "us", "gone")...),
		"eu": apifake.Start(apifake.Edge("eu")...), "us": apifake.Start(apifake.Edge("us")...)}
	kubeconfig := serve(t, servers, nil)
	for _, verb := range []string{"status", "check", "plan"} {
		if err := os.RemoveAll(filepath.Join(cache, "kubectl-xcpauth", "seen")); err != nil {
			t.Fatal(err)
		}
		xcpauth(t, kubeconfig, verb)
		words, _ := completed(t, "edge", "forget", "--kubeconfig", kubeconfig, "")
		if !slices.Equal(words, []string{"eu", "gone", "us"}) {
			t.Errorf("after %s: %v", verb, words)
		}
	}
	asked := 0
	for _, s := range servers {
		asked += len(s.Requests())
	}
	for line, want := range map[string]string{
		"edge publish eu ":                      "gone us",
		"edge register ":                        "eu gone us",
		"edge unregister us gone ":              "eu",
		"edge forget eu ":                       "",
		"token rotate ":                         "eu gone us",
		"token inspect --edge ":                 "eu gone us",
		"token revoke --zone ":                  "eu gone us",
		"token issue --zone ":                   "eu gone us",
		"rollback --edge ":                      "eu gone us",
		"migrate --canary ":                     "eu gone us",
		"migrate --context hub --canary ":       "eu gone us", // the hub that was found
		"migrate --context eu --canary ":        "",
		"migrate --accept-unrotated eu,":        "eu,gone eu,us",
		"plan --zone-token ":                    "eu= gone= us=",
		"check --ignore XA050=":                 "XA050=eu XA050=gone XA050=us",
		"migrate --kubeconfig /other --canary ": "",
	} {
		if !strings.Contains(line, "--kubeconfig") {
			verb := strings.Fields(line)
			line = strings.Join(verb[:1], " ") + " --kubeconfig " + kubeconfig + strings.TrimPrefix(line, verb[0])
		}
		if words, _ := completed(t, strings.Split(line, " ")...); strings.Join(words, " ") != want {
			t.Errorf("%q is completed with %v, want %s", line, words, want)
		}
	}
	if _, directive := completed(t, "plan", "--zone-token", "eu=./"); directive != ":0" {
		t.Errorf("the file of --zone-token is completed with directive %s, want that of files", directive)
	}
	for _, s := range servers {
		asked -= len(s.Requests())
	}
	if asked != 0 {
		t.Errorf("completion asked a cluster %d times", -asked)
	}
}

func TestTheLastLookHoldsNamesForItsOwnerAlone(t *testing.T) {
	cache := filepath.Join(t.TempDir(), "deep")
	t.Setenv("XDG_CACHE_HOME", cache)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu", "two words")...),
		"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	xcpauth(t, kubeconfig, "status")
	dir := filepath.Join(cache, "kubectl-xcpauth", "seen")
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 { // by no hub, and by the one that was found
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range []string{dir, filepath.Join(dir, files[0].Name()), filepath.Join(dir, files[1].Name())} {
		st, err := os.Stat(path)
		if err != nil || st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, st.Mode(), err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, files[0].Name()))
	if err != nil {
		t.Fatal(err)
	}
	var kept map[string]any
	if err := json.Unmarshal(text, &kept); err != nil {
		t.Fatal(err)
	}
	if keys := slices.Sorted(maps.Keys(kept)); !slices.Equal(keys, []string{"at", "members"}) {
		t.Errorf("it holds %v", keys)
	}
	if d := cmp.Diff(map[string]any{"eu": "eu"}, kept["members"]); d != "" {
		t.Error(d)
	}
}

// What cannot be kept or read is not there, and nobody hears of it.
func TestALastLookThatCannotBeKeptOrReadIsNothing(t *testing.T) {
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...),
		"eu": apifake.Start(apifake.Edge("eu")...)}, nil)
	names := func() []string {
		words, _ := completed(t, "edge", "forget", "--kubeconfig", kubeconfig, "")
		return words
	}
	plain := xcpauth(t, kubeconfig, "status")
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cache := range []string{file, "relative"} { // neither is a directory that can be used
		t.Setenv("XDG_CACHE_HOME", cache)
		if r := xcpauth(t, kubeconfig, "status"); r.code != plain.code || r.err != plain.err {
			t.Errorf("in %s: exit code %d, %s", cache, r.code, r.err)
		}
		if words := names(); len(words) != 0 {
			t.Errorf("in %s: %v", cache, words)
		}
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	xcpauth(t, kubeconfig, "status")
	o := newFleetOptions(genericiooptions.NewTestIOStreamsDiscard())
	o.kubeconfig = kubeconfig
	path, err := cacheFile(o.cacheKeys("")[0])
	if err != nil || len(names()) != 1 {
		t.Fatalf("%v, %v", err, names())
	}
	for _, text := range []string{"", "{", `{"members": 1}`, `{"members": {"a b": "", "c\u001b[2J": "", "d": "x\ny"}}`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if words := names(); len(words) != 0 {
			t.Errorf("of %q: %v", text, words)
		}
	}
}

// installed is a directory with the plugin, a kubectl that runs it, and the script that kubectl completes it with.
func installed(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"kubectl-xcpauth":          "#!/bin/sh\n" + asPlugin + "=1 exec '" + self + "' \"$@\"\n",
		"kubectl":                  "#!/bin/sh\ntest \"$1\" = xcpauth || exit 3\nshift\nexec kubectl-xcpauth \"$@\"\n",
		"kubectl_complete-xcpauth": xcpauth(t, "", "completion", "kubectl").out,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// kubectl runs the script with the words after the plugin's name, and reads what it prints.
func TestKubectlCompletesThePlugin(t *testing.T) {
	dir := installed(t)
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "kubectl_complete-xcpauth"), "migrate", "--to", "")
	cmd.Env = append(os.Environ(), "PATH="+dir+string(filepath.ListSeparator)+os.Getenv("PATH"))
	out, err := cmd.Output()
	if want := "dual\nedges\njwt-only\n:4\n"; err != nil || string(out) != want {
		t.Errorf("%v: it prints %q, want %q", err, out, want)
	}
}

func TestEachScriptCompletesTheProgram(t *testing.T) {
	for _, shell := range shells {
		r := xcpauth(t, "", "completion", shell)
		if r.code != 0 || shell != "kubectl" && !strings.Contains(r.out, "kubectl-xcpauth") || strings.Contains(r.out,
			"\tkubectl xcpauth") {
			t.Errorf("%s: exit code %d\n%s", shell, r.code, r.out)
		}
	}
	if r := xcpauth(t, "", "completion", "tcsh"); r.code != 1 || r.err !=
		"error: name what to complete for: one of kubectl, bash, zsh, fish, powershell\n" {
		t.Errorf("of a shell that is not known: exit code %d, %s", r.code, r.err)
	}
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Log("there is no bash here, so its script was only looked at")
		return
	}
	// bash-completion's function, as far as the script needs it
	script := xcpauth(t, "", "completion", "bash").out + `
_init_completion() { words=("${COMP_WORDS[@]}"); cword=$COMP_CWORD; cur=${words[cword]}; prev=${words[cword-1]}; }
complete -p kubectl-xcpauth
COMP_WORDS=(kubectl-xcpauth migrate --to ""); COMP_CWORD=3; COMP_TYPE=9
__start_kubectl-xcpauth 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
`
	var out, said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), bash, "--norc", "--noprofile", "-c", script)
	cmd.Env = append(os.Environ(), "PATH="+installed(t)+string(filepath.ListSeparator)+os.Getenv("PATH"))
	cmd.Stdout, cmd.Stderr = &out, &said
	err = cmd.Run()
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if err != nil || !strings.HasSuffix(lines[0], " kubectl-xcpauth") || !slices.Equal(lines[1:],
		[]string{"dual", "edges", "jwt-only"}) {
		t.Errorf("%v: bash completes with %q\n%s", err, lines, said.String())
	}
}
