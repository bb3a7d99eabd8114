package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// script is a user whose credential plugin is a shell script.
func script(mode clientcmdapi.ExecInteractiveMode, text string) apifake.Object {
	return apifake.Object{"exec": apifake.Object{"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": mode,
		"command": "sh", "args": []any{"-c", text}}}
}

// credentials is the end of a script: it prints a credential with the token, which the shell expands.
func credentials(token string) string {
	return `; printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}' "` + token + `"`
}

// lines of a file, none when it is not there.
func lines(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")[:strings.Count(string(b), "\n")]
}

// wants is an edge that refuses every credential but one token.
func wants(edge, token string) *apifake.Server {
	s := apifake.Start(apifake.Edge(edge)...)
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer "+token {
			return false
		}
		apifake.Status(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return true
	}
	return s
}

func TestContextsWithOneExecBlockRunItOnce(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	for name, tc := range map[string]struct {
		text string
		runs int
		code int
		why  string
	}{
		"one that gives a token": {"echo >>" + started + credentials("shared"), 1, 0, ""},
		"one that fails": {"echo >>" + started + "; echo no session >&2; exit 3", 1, 4,
			"the context's credential plugin sh ended with exit code 3: no session"},
		"one whose token is refused": {"echo >>" + started + credentials("stale"), 1, 4,
			"the API server refused the context's credential (401); log in again"},
	} {
		t.Run(name, func(t *testing.T) {
			os.Remove(started)
			servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}
			for i := range 100 { // more than are looked at side by side
				servers[fmt.Sprintf("edge-%03d", i)] = wants(fmt.Sprintf("edge-%03d", i), "shared")
			}
			kubeconfig := serve(t, servers, func(context string) apifake.Object {
				if context == "hub" {
					return nil
				}
				return script(clientcmdapi.NeverExecInteractiveMode, tc.text)
			})
			rows := status(t, kubeconfig, tc.code)
			if n := len(lines(t, started)); n != tc.runs {
				t.Errorf("%d processes for 100 contexts with one exec block, want %d", n, tc.runs)
			}
			for context, r := range rows {
				if strings.HasPrefix(context, "edge-") && tc.why != "" && (r.State != "unreachable" || r.Why[0] != tc.why) {
					t.Errorf("%s: %+v, want %q", context, r, tc.why)
				}
			}
			if len(rows) != 101 {
				t.Errorf("%d rows, want the hub and 100 edges", len(rows))
			}
		})
	}
}

// Each plugin waits until eight have started, then counts those that run: with fewer slots it would wait in vain.
func TestEightCredentialPluginsRunSideBySide(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"started", "running"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}
	const edges = 24
	for i := range edges {
		servers[fmt.Sprintf("edge-%02d", i)] = wants(fmt.Sprintf("edge-%02d", i), fmt.Sprintf("edge-%02d", i))
	}
	kubeconfig := serve(t, servers, func(context string) apifake.Object {
		if context == "hub" {
			return nil
		}
		return script(clientcmdapi.NeverExecInteractiveMode, fmt.Sprintf(`cd %s; mkdir started/$$ running/$$
			while [ $(ls started | wc -l) -lt 8 ]; do sleep 0.02; done
			ls running | wc -l >>peaks; sleep 0.05; ls running | wc -l >>peaks; rmdir running/$$`, dir)+credentials(context))
	})
	status(t, kubeconfig, 0, "--member-timeout", "20s")
	peak := 0
	for _, l := range lines(t, filepath.Join(dir, "peaks")) {
		n, err := strconv.Atoi(strings.TrimSpace(l))
		if err != nil {
			t.Fatal(err)
		}
		peak = max(peak, n)
	}
	started, err := os.ReadDir(filepath.Join(dir, "started"))
	if err != nil || peak != 8 || len(started) != edges {
		t.Errorf("%d plugins started, at most %d side by side, want %d and 8: %v", len(started), peak, edges, err)
	}
}

// More plugins that never end than there are slots: each has its own row, the others their turn; none is left when
// the run ends, nor what it started.
func TestAPluginThatNeverReturnsHoldsUpNobodyAndIsGoneAtTheEnd(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}
	for i := range 9 {
		servers[fmt.Sprintf("a-hangs-%d", i)] = apifake.Start(apifake.Edge("hangs")...)
	}
	for i := range 3 {
		servers[fmt.Sprintf("edge-%d", i)] = wants(fmt.Sprintf("edge-%d", i), "good")
	}
	kubeconfig := serve(t, servers, func(context string) apifake.Object {
		switch {
		case strings.HasPrefix(context, "a-hangs"):
			return script(clientcmdapi.NeverExecInteractiveMode,
				"sleep 600 & echo $! >>"+pids+"; echo $$ >>"+pids+"; : "+context+"; wait")
		case strings.HasPrefix(context, "edge"):
			return script(clientcmdapi.NeverExecInteractiveMode, ": "+context+credentials("good"))
		}
		return nil
	})
	rows := status(t, kubeconfig, 4, "--member-timeout", "1500ms")
	for context := range servers {
		r := rows[context]
		hangs := strings.HasPrefix(context, "a-hangs")
		if want := "timed out after 1.5s: the context's credential plugin sh has not ended"; hangs &&
			(r.State != "unreachable" || r.Why[0] != want) {
			t.Errorf("%s: %+v, want %q", context, r, want)
		}
		if strings.HasPrefix(context, "edge") && r.Member != context {
			t.Errorf("%s: %+v", context, r)
		}
	}
	all := lines(t, pids)
	if len(all) != 18 {
		t.Errorf("%d processes, want 9 plugins that started one each", len(all))
	}
	for _, l := range all {
		pid, err := strconv.Atoi(l)
		if err != nil {
			t.Fatal(err)
		}
		if !ended(pid) {
			t.Errorf("process %d still runs", pid)
		}
	}
}

// Ctrl-C does not reach a plugin, which has a session of its own: it is ended all the same.
func TestAnInterruptEndsAPluginToo(t *testing.T) {
	pids := filepath.Join(t.TempDir(), "pids")
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...), "eu": apifake.Start()},
		func(context string) apifake.Object {
			if context == "hub" {
				return nil
			}
			return script(clientcmdapi.NeverExecInteractiveMode, "trap '' INT TERM; echo $$ >>"+pids+"; sleep 600 & wait; wait")
		})
	code, signals := make(chan int), make(chan os.Signal, 1)
	go func() {
		code <- run([]string{"status", "--kubeconfig", kubeconfig},
			genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard}, signals)
	}()
	for len(lines(t, pids)) == 0 {
		time.Sleep(10 * time.Millisecond)
	}
	signals <- os.Interrupt
	if got := <-code; got != 130 {
		t.Errorf("exit code %d, want 130", got)
	}
	pid, err := strconv.Atoi(lines(t, pids)[0])
	if err != nil {
		t.Fatal(err)
	}
	if !ended(pid) {
		t.Errorf("process %d still runs", pid)
	}
}

// ended tells whether a process is gone, or only waits to be collected, within a while: who is killed is not gone at
// once.
func ended(pid int) bool {
	for range 200 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil && syscall.Kill(pid, 0) != nil {
			return true
		}
		if _, after, _ := strings.Cut(string(stat), ") "); strings.HasPrefix(after, "Z") {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}

func TestWhatAFailingPluginSaysIsInItsRowWithoutSecrets(t *testing.T) {
	secrets := []string{"eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "hunter2-hunter2", "AKIAIOSFODNN7EXAMPLE7",
		"s3cr3t-in-a-url"}
	servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}
	plugins := map[string]struct {
		exec apifake.Object
		why  string
	}{
		"prints secrets": {script(clientcmdapi.NeverExecInteractiveMode,
			fmt.Sprintf(`printf 'token %s is expired\npassword=%s key %s\n\033[31mat https://u:%s@sso.example.test/login\033[0m\n' >&2; exit 255`, secrets[0], secrets[1], secrets[2], secrets[3])),
			"the context's credential plugin sh ended with exit code 255: token [redacted] is expired password=[redacted] key [redacted] at https://[redacted]@sso.example.test/login"},
		"says nothing": {script(clientcmdapi.NeverExecInteractiveMode, "exit 7"),
			"the context's credential plugin sh ended with exit code 7"},
		"prints no credential": {script(clientcmdapi.NeverExecInteractiveMode, "echo "+secrets[0]),
			"the context's credential plugin sh did not print an ExecCredential"},
		"prints another version": {script(clientcmdapi.NeverExecInteractiveMode,
			`echo '{"apiVersion":"client.authentication.k8s.io/v1beta1","kind":"ExecCredential","status":{"token":"hunter2-hunter2"}}'`),
			"the context's credential plugin sh printed an ExecCredential of client.authentication.k8s.io/v1beta1, where its exec block says client.authentication.k8s.io/v1"},
		"prints an empty status": {script(clientcmdapi.NeverExecInteractiveMode,
			`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{}}'`),
			"the context's credential plugin sh printed neither a token nor a certificate"},
		"must ask, without a terminal": {script(clientcmdapi.AlwaysExecInteractiveMode, "read answer"),
			"the context's credential plugin sh must ask its user (interactiveMode: Always), and there is no terminal; run this on one, or log in before"},
		"reads what is not there": {script(clientcmdapi.IfAvailableExecInteractiveMode,
			"read answer || { echo no input >&2; exit 1; }"),
			"the context's credential plugin sh ended with exit code 1: no input"},
		"is not installed": {apifake.Object{"exec": apifake.Object{"apiVersion": "client.authentication.k8s.io/v1",
			"interactiveMode": "Never", "command": "no-such-plugin",
			"installHint": "install it with:\n  brew install no-such-plugin"}},
			"the context's credential plugin no-such-plugin is not installed: install it with: brew install no-such-plugin"},
		"is of an unknown version": {apifake.Object{"exec": apifake.Object{"apiVersion": "client.authentication.k8s.io/v9",
			"interactiveMode": "Never", "command": "true"}},
			`the context's credential plugin true is of apiVersion "client.authentication.k8s.io/v9", which is none of client.authentication.k8s.io/v1 and v1beta1`},
	}
	for name := range plugins {
		servers[name] = apifake.Start()
	}
	kubeconfig := serve(t, servers, func(context string) apifake.Object { return plugins[context].exec })
	rows := status(t, kubeconfig, 4)
	for name, p := range plugins {
		if r := rows[name]; r.State != "unreachable" || len(r.Why) != 1 || r.Why[0] != p.why {
			t.Errorf("%s: %+v\nwant %q", name, r, p.why)
		}
	}
	for _, format := range []string{"table", "wide", "json", "yaml"} {
		r := xcpauth(t, kubeconfig, "status", "-o", format)
		for _, s := range secrets {
			if strings.Contains(r.out+r.err, s) {
				t.Errorf("%s: %q is printed", format, s)
			}
		}
	}
}

// Plugins that ask have the terminal one after the other, and each gets the answer to its own question; the others do
// not wait.
func TestPluginsThatAskHaveTheTerminalOneAfterTheOther(t *testing.T) {
	for _, mode := range []clientcmdapi.ExecInteractiveMode{clientcmdapi.AlwaysExecInteractiveMode,
		clientcmdapi.IfAvailableExecInteractiveMode} {
		t.Run(string(mode), func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...), "quiet": wants("quiet", "no question"),
				"available": wants("available", "had it already")}
			asking := []string{"ask-1", "ask-2", "ask-3"}
			for _, name := range asking {
				servers[name] = wants(name, "answer to "+name)
			}
			kubeconfig := serve(t, servers, func(context string) apifake.Object {
				switch {
				case context == "quiet": // would take an answer that is another's
					return script(clientcmdapi.NeverExecInteractiveMode,
						"read stolen && exit 1; read stolen </dev/tty && exit 1; : "+credentials("no question"))
				case context == "available":
					return script(clientcmdapi.IfAvailableExecInteractiveMode, ": "+credentials("had it already"))
				case strings.HasPrefix(context, "ask"):
					return script(mode, `case "$KUBERNETES_EXEC_INFO" in *'"interactive":true'*) ;; *) exit 9 ;; esac
						echo begin >>`+log+`; printf 'password of `+context+`: ' >&2; read answer || exit 1; echo end >>`+log+credentials("$answer"))
				}
				return nil
			})
			master, slave, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer master.Close()
			var shown strings.Builder
			var wg sync.WaitGroup
			wg.Go(func() { // the user: answers each question when it comes
				in := bufio.NewReader(master)
				for {
					b, err := in.ReadByte()
					if err != nil {
						return
					}
					shown.WriteByte(b)
					if _, question, _ := strings.Cut(lastLine(shown.String()), "password of "); strings.HasSuffix(question, ": ") {
						fmt.Fprintf(master, "answer to %s\n", strings.TrimSuffix(question, ": "))
					}
				}
			})
			var out strings.Builder
			code := run([]string{"--kubeconfig", kubeconfig, "status", "-o", "wide", "--member-timeout", "5s"},
				genericiooptions.IOStreams{In: slave, Out: &out, ErrOut: slave}, nil)
			slave.Close()
			wg.Wait()
			if code != 0 {
				t.Errorf("exit code %d\n%s\non the terminal\n%s", code, out.String(), shown.String())
			}
			order := strings.Join(lines(t, log), " ")
			if order != "begin end begin end begin end" {
				t.Errorf("the plugins that asked ran as %q, want one after the other", order)
			}
			for _, name := range asking {
				if said := "context " + name + ": its credential plugin sh may ask on this terminal"; strings.Count(shown.String(),
					said) != 1 {
					t.Errorf("the terminal does not say once %q\n%s", said, shown.String())
				}
			}
			if strings.Contains(shown.String(), "context quiet") || strings.Contains(shown.String(), "context available") {
				t.Errorf("a plugin that need not ask had the terminal\n%s", shown.String())
			}
		})
	}
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// A token that runs out in the middle of a run is fetched again: once.
func TestACredentialThatHasRunOutIsFetchedAgain(t *testing.T) {
	started := filepath.Join(t.TempDir(), "started")
	eu := wants("eu", "1")
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "eu": eu},
		func(context string) apifake.Object {
			if context == "hub" {
				return nil
			}
			return script(clientcmdapi.NeverExecInteractiveMode,
				"echo >>"+started+`; n=$(wc -l <`+started+`); printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s","expirationTimestamp":"%s"}}' $n `+
					"$([ $n = 1 ] && echo 2020-01-01T00:00:00Z || echo 2999-01-01T00:00:00Z)")
		})
	o := newFleetOptions(genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard, ErrOut: io.Discard})
	o.kubeconfig = kubeconfig
	live, err := o.clusters(true)
	if err != nil {
		t.Fatal(err)
	}
	for look, want := range []string{"", "the API server refused the context's credential (401); log in again",
		"the API server refused the context's credential (401); log in again"} {
		if m := live.Observe(t.Context()).Member("eu"); m == nil || m.Err != want {
			t.Errorf("look %d: %+v, want %q", look, m, want)
		}
	}
	// the first had run out when it came, the second was refused
	if n := len(lines(t, started)); n != 3 {
		t.Errorf("the plugin ran %d times, want 3", n)
	}
}

// A plugin that prints a code and waits for the login is not stopped: its user sees the code while it waits. Where
// several do, each is shown with whose it is, and the next when the one before has its login.
func TestWhatAPluginPrintsAndWaitsForIsShown(t *testing.T) {
	for _, mode := range []clientcmdapi.ExecInteractiveMode{clientcmdapi.NeverExecInteractiveMode,
		clientcmdapi.IfAvailableExecInteractiveMode} {
		for _, seenOn := range []string{"stdin and stderr", "stderr"} {
			t.Run(string(mode)+", a terminal on "+seenOn, func(t *testing.T) {
				dir := t.TempDir()
				servers := map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...), "quick": wants("quick", "t")}
				waiting := []string{"code-1", "code-2", "code-3"}
				for _, name := range waiting {
					servers[name] = wants(name, "token of "+name)
				}
				kubeconfig := serve(t, servers, func(context string) apifake.Object {
					switch {
					case context == "quick":
						return script(mode, "echo a word on the way >&2"+credentials("t"))
					case strings.HasPrefix(context, "code"):
						return script(mode, "printf 'at https://login.example.test enter CODE-OF-"+context+"\n' >&2; while ! [ -e "+
							filepath.Join(dir, context)+
							" ]; do sleep 0.05; done; echo logged in >&2"+credentials("token of "+context))
					}
					return nil
				})
				master, slave, err := pty.Open()
				if err != nil {
					t.Fatal(err)
				}
				defer master.Close()
				var shown strings.Builder
				var wg sync.WaitGroup
				wg.Go(func() { // the user: logs in with each code that is shown, and notes which codes were visible by then
					in := bufio.NewReader(master)
					for {
						line, err := in.ReadString('\n')
						shown.WriteString(line)
						if err != nil {
							return
						}
						if _, context, found := strings.Cut(strings.TrimSpace(line), "CODE-OF-"); found {
							if err := os.WriteFile(filepath.Join(dir, context), nil, 0o600); err != nil {
								t.Error(err)
							}
						}
					}
				})
				streams := genericiooptions.IOStreams{In: slave, Out: io.Discard, ErrOut: slave}
				if seenOn == "stderr" {
					streams.In = strings.NewReader("")
				}
				// their time does not count for the cluster: the three of them need a second each before they are shown
				code := run([]string{"--kubeconfig", kubeconfig, "status", "--member-timeout", "2500ms"}, streams, nil)
				slave.Close()
				wg.Wait()
				if code != 0 {
					t.Errorf("exit code %d; on the terminal\n%s", code, shown.String())
				}
				if strings.Contains(shown.String(), "a word on the way") {
					t.Errorf("what a plugin says that ends by itself is shown\n%s", shown.String())
				}
				rest := shown.String()
				for range waiting {
					_, after, found := strings.Cut(rest, "context code-")
					if !found {
						t.Fatalf("a context's code is not shown under its name\n%s", shown.String())
					}
					n := after[:1]
					want := n + ": its credential plugin sh waits, and says:\r\nat https://login.example.test enter CODE-OF-code-" +
						n + "\r\nlogged in\r\n"
					if !strings.HasPrefix(after, want) {
						t.Errorf("got %q\nwant %q", after, want)
					}
					rest = after[1:]
				}
			})
		}
	}
}

// What kubectl's preferences say of credential plugins holds for this program too: kubectl 1.37 refuses and runs the
// same.
func TestOnlyPluginsThatTheKubercAllowsRun(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	const head = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"
	for name, tc := range map[string]struct {
		kuberc string // "" = there is none
		as     string // how it is named: default, KUBERC, --kuberc
		env    map[string]string
		why    string // why the plugin does not run, after its file; "" = it runs
	}{
		"no kuberc": {"", "default", nil, ""},
		"no policy": {head, "default", nil, ""},
		"AllowAll":  {head + "credentialPluginPolicy: AllowAll\n", "default", nil, ""},
		"DenyAll": {head + "credentialPluginPolicy: DenyAll\n", "default", nil,
			`is not allowed: policy set to "DenyAll" in FILE`},
		"DenyAll by KUBERC": {head + "credentialPluginPolicy: DenyAll\n", "KUBERC", nil,
			`is not allowed: policy set to "DenyAll" in FILE`},
		"DenyAll by a flag": {head + "credentialPluginPolicy: DenyAll\n", "--kuberc", nil,
			`is not allowed: policy set to "DenyAll" in FILE`},
		"DenyAll of a later API": {"apiVersion: kubectl.config.k8s.io/v1\nkind: Preference\ncredentialPluginPolicy: " +
			"DenyAll\n", "default", nil, `is not allowed: policy set to "DenyAll" in FILE`},
		"DenyAll, after another": {"kind: Config\napiVersion: v1\n---\n" + head + "credentialPluginPolicy: DenyAll\n",
			"default", nil, `is not allowed: policy set to "DenyAll" in FILE`},
		"DenyAll, turned off": {head + "credentialPluginPolicy: DenyAll\n", "default",
			map[string]string{"KUBERC": "off"}, ""},
		"DenyAll, feature off": {head + "credentialPluginPolicy: DenyAll\n", "default",
			map[string]string{"KUBECTL_KUBERC": "false"}, ""},
		"a list with it": {head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: " +
			"other\n- command: sh\n", "default", nil, ""},
		"a list with its path": {head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: " +
			sh + "\n", "default", nil, ""},
		"a list with its old name": {head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- name: sh\n",
			"default", nil, ""},
		"a list without it": {head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: " +
			"/opt/sh\n", "default", nil, "is not permitted by the credential plugin allowlist in FILE: its path is " + sh},
		"an empty list": {head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist: []\n", "default",
			nil, `is not run, since what FILE allows cannot be told: credential plugin policy set to "Allowlist", ` +
				`but allowlist is empty; use "DenyAll" policy instead`},
		"an unknown policy": {head + "credentialPluginPolicy: Some\n", "default", nil,
			`is not run, since what FILE allows cannot be told: unknown plugin policy: "Some"`},
		"no YAML": {"credentialPluginPolicy: [DenyAll\n", "default", nil,
			"is not run, since what FILE allows cannot be told: "},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			t.Setenv("HOME", home)
			t.Setenv("KUBERC", "")
			for k, v := range tc.env {
				t.Setenv(k, v)
			}
			file := filepath.Join(home, ".kube", "kuberc")
			var args []string
			switch tc.as {
			case "KUBERC":
				file = filepath.Join(home, "elsewhere")
				t.Setenv("KUBERC", file)
			case "--kuberc":
				file = filepath.Join(home, "elsewhere")
				args = append(args, "--kuberc", file)
			}
			if err := os.MkdirAll(filepath.Join(home, ".kube"), 0o700); err != nil {
				t.Fatal(err)
			}
			if tc.kuberc != "" {
				if err := os.WriteFile(file, []byte(tc.kuberc), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			started := filepath.Join(home, "started")
			kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...), "eu": wants("eu", "t")},
				func(context string) apifake.Object {
					if context == "eu" {
						return script(clientcmdapi.IfAvailableExecInteractiveMode, "echo >>"+started+credentials("t"))
					}
					return nil
				})
			want := 0
			if tc.why != "" {
				want = 4
			}
			row := status(t, kubeconfig, want, args...)["eu"]
			why := strings.Join(row.Why, " ")
			if ran := len(lines(t, started)) > 0; ran != (tc.why == "") {
				t.Errorf("the plugin ran: %v; %+v", ran, row)
			}
			if text := "the context's credential plugin sh " + strings.ReplaceAll(tc.why, "FILE", file); tc.why != "" &&
				!strings.HasPrefix(why, text) {
				t.Errorf("got  %s\nwant %s", why, text)
			}
		})
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub()...)}, nil)
	if r := xcpauth(t, kubeconfig, "status", "--kuberc", "/nowhere/kuberc"); r.code != 1 || !strings.Contains(r.err,
		"error: reading the kuberc: open /nowhere/kuberc") {
		t.Errorf("a kuberc that is named and missing: exit code %d\n%s", r.code, r.err)
	}
}
