package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"k8s.io/cli-runtime/pkg/genericiooptions"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// watched is a fleet that changes while it is watched: the edge is set to JWT, then its API server hangs.
type watched struct {
	kubeconfig   string
	moved, hangs atomic.Bool
	onLook       func(n int) // called when a look begins, from 1; set before the watch
	looks        atomic.Int32
	release      chan struct{}
	signals      chan os.Signal
}

func watchedFleet(t *testing.T) *watched {
	t.Helper()
	w := &watched{release: make(chan struct{}), signals: make(chan os.Signal, 1), onLook: func(int) {}}
	t.Cleanup(func() { close(w.release) })
	eu := apifake.Start(apifake.Edge("eu")...)
	set := apifake.Edge("eu")
	for _, o := range set {
		if o["kind"] == "ControlPlane" {
			o["spec"].(apifake.Object)["components"] = apifake.Object{"xcp": apifake.Object{"centralAuthMode": "JWT"}}
		}
	}
	eu.Answer = func(rw http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/namespaces/kube-system") {
			w.onLook(int(w.looks.Add(1)))
		}
		if w.hangs.Load() {
			select {
			case <-w.release:
			case <-r.Context().Done():
			}
			return true
		}
		if !w.moved.Load() {
			return false
		}
		code, body := apifake.Get(set, r.URL.Path)
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(code)
		rw.Write(body)
		return true
	}
	w.kubeconfig = serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "eu": eu}, nil)
	return w
}

// watch runs status --watch until it ends by itself, and returns its exit code.
func (w *watched) watch(out, errOut interface{ Write([]byte) (int, error) }, args ...string) int {
	args = append([]string{"status", "--kubeconfig", w.kubeconfig, "--watch", "--interval", "10ms"}, args...)
	return run(args, genericiooptions.IOStreams{In: strings.NewReader(""), Out: out, ErrOut: errOut}, w.signals)
}

func (w *watched) interrupt() { w.signals <- os.Interrupt }

func TestWatchingPrintsALineForEachChange(t *testing.T) {
	w := watchedFleet(t)
	w.onLook = func(n int) {
		switch n {
		case 3:
			w.moved.Store(true)
		case 5:
			w.interrupt()
		}
	}
	var out, errOut bytes.Buffer
	code := w.watch(&out, &errOut)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if code != 0 || errOut.Len() > 0 {
		t.Errorf("exit code %d, want that of the last look: 0; stderr %q", code, errOut.String())
	}
	if len(lines) < 4 || !strings.Contains(lines[0], " hub: ") || !strings.Contains(lines[1],
		" eu: blocked; declared mTLS") || !strings.Contains(lines[2], " fleet: next: ") ||
		!strings.Contains(lines[3], " eu: ") || !strings.Contains(lines[3], "declared mTLS -> JWT") {
		t.Errorf("printed\n%s\nwant the first look, and then what changed alone", out.String())
	}
	for _, line := range lines[3:] {
		if strings.Contains(line, " hub: ") {
			t.Errorf("nothing changed at the hub, and it says %q", line)
		}
	}
}

func TestWatchingInJSONPrintsOneReportForEachLook(t *testing.T) {
	w := watchedFleet(t)
	w.onLook = func(n int) {
		if n == 4 {
			w.interrupt()
		}
	}
	var out, errOut bytes.Buffer
	if code := w.watch(&out, &errOut, "-o", "json"); code != 0 {
		t.Errorf("exit code %d: %s", code, errOut.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) < 3 {
		t.Fatalf("%d lines, want one for each of at least 3 looks:\n%s", len(lines), out.String())
	}
	for _, line := range lines {
		var s struct {
			Kind    string
			Members []struct{ Member string }
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil || s.Kind != "Status" || len(s.Members) != 2 {
			t.Errorf("not a whole report: %v %s", err, line)
		}
	}
}

// What cannot be looked at is shown, and is not the end; Ctrl-C is, even while a cluster hangs and would go on to do
// so for an hour.
func TestWatchingOnATerminal(t *testing.T) {
	w := watchedFleet(t)
	term := newTerminal(t, 80, 24)
	code := make(chan int)
	go func() {
		code <- w.watch(term.tty, term.tty, "--member-timeout", "1h", "--request-timeout", "1h")
	}()
	term.await("the table in a window of its own, without a cursor", func(text string) bool {
		return term.window && term.hidden && strings.HasPrefix(text, "Seen 0s ago") &&
			strings.Contains(text, "\neu       ")
	})
	w.moved.Store(true)
	term.await("the change, in place", func(text string) bool {
		return strings.Contains(text, "JWT+mTLS ") && strings.Count(text, "\neu       ") == 1
	})
	term.resize(40, 10)
	term.await("the window's new size", func(text string) bool {
		lines := strings.Split(text, "\n")
		return len(lines) == 10 && strings.HasSuffix(lines[9], "…") || strings.Contains(lines[len(lines)-1], "more lines")
	})
	term.resize(80, 24)
	w.hangs.Store(true)
	term.awaitText("Seen 1s ago") // the last look is shown while the next one hangs
	w.interrupt()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want that of the last look", got)
	}
	term.asFound()
	term.await("the last look, left in the ordinary window", func(text string) bool {
		return strings.HasPrefix(text, "1 edge: ") && strings.Contains(text, "JWT+mTLS ") &&
			strings.Contains(text, "Next: ")
	})
}

func TestALookThatFailsIsNotTheEndOfTheWatch(t *testing.T) {
	w := watchedFleet(t)
	w.onLook = func(n int) {
		switch n {
		case 2, 4:
			w.hangs.Store(true)
		case 3:
			w.hangs.Store(false)
		case 5:
			w.interrupt()
		}
	}
	var out, errOut bytes.Buffer
	code := w.watch(&out, &errOut, "--request-timeout", "3s", "--member-timeout", "6s")
	if code != 4 {
		t.Errorf("exit code %d, want 4, since the last look did not reach eu\n%s%s", code, out.String(), errOut.String())
	}
	// as a member, or as a context, as far as the look got before the cluster hung
	went := strings.Count(out.String(), "eu: state blocked -> unreachable") +
		strings.Count(out.String(), "context eu: new; unreachable")
	if came := strings.Count(out.String(), "-> blocked") + strings.Count(out.String(),
		"context eu: not seen any more"); went != 2 || came < 1 {
		t.Errorf("eu went %d times and came back %d times, want 2 and 1:\n%s", went, came, out.String())
	}
}

// A credential that runs out while it is watched wants its user: what the plugin prints stays visible below the last
// look, in the window that is redrawn, until the login was made.
func TestACodeToLogInWithIsShownInTheWindow(t *testing.T) {
	w := watchedFleet(t)
	dir := t.TempDir()
	const credential = `printf '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",` +
		`"status":{"token":"t","expirationTimestamp":"%s"}}' `
	text := "cd " + dir + `; if ! [ -e first ]; then touch first; ` + credential + `2020-01-01T00:00:00Z; exit; fi
		printf 'enter CODE-123\nat https://login.example.test\n' >&2; while ! [ -e done ]; do sleep 0.05; done; ` +
		credential + "2999-01-01T00:00:00Z"
	edit(t, w.kubeconfig, func(k *clientcmdapi.Config) {
		k.AuthInfos["eu"].Token = ""
		k.AuthInfos["eu"].Exec = &clientcmdapi.ExecConfig{APIVersion: "client.authentication.k8s.io/v1",
			InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
			Command:         "sh", Args: []string{"-c", text}}
	})
	term := newTerminal(t, 80, 24)
	code := make(chan int)
	go func() { code <- w.watch(term.tty, term.tty) }()
	seconds := func(text string) string { return strings.TrimPrefix(strings.Fields(text + " . .")[1], "Seen") }
	first := term.await("the code, below the last look", func(text string) bool {
		return term.window && strings.HasPrefix(text, "Seen ") && strings.Contains(text, "\neu       ") &&
			strings.HasSuffix(text, "\ncontext eu: its credential plugin sh waits, and says:\nenter CODE-123\nat "+
				"https://login.example.test")
	})
	term.await("the code, after the window was drawn again", func(text string) bool {
		return seconds(text) != seconds(first) && strings.HasSuffix(text, "enter CODE-123\nat https://login.example.test")
	})
	if err := os.WriteFile(filepath.Join(dir, "done"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	term.awaitText("Seen 0s ago")
	w.interrupt()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d, want that of the last look", got)
	}
	term.asFound()
}
