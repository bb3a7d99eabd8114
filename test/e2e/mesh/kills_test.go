package mesh

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/fault"
)

// through has runs reach clusters by relays before their API servers, until the returned function is called.
func (m *mesh) through(relays map[string]fault.Relay) (stop func()) {
	m.Helper()
	var fronts []*fault.Front
	to := map[string]runs.Server{}
	for name, r := range relays {
		f, err := r.Start(m.bed.Cluster(name).Config)
		if err != nil {
			m.Fatal(err)
		}
		fronts, to[name] = append(fronts, f), runs.Server{URL: f.URL, CA: f.CA}
	}
	was := m.kubeconfig
	m.kubeconfig = m.Reroute(was, to)
	return sync.OnceFunc(func() {
		m.kubeconfig = was
		for _, f := range fronts {
			f.Close()
		}
	})
}

// killedAfterEachKindOfWrite runs a verb again and again. Each run is killed at the first write of a kind at which
// none was killed before, when the API server has stored it and the run does not know yet; the last one, which writes
// nothing of a new kind, must end well. It returns the kinds in the order in which they came. In the midst of it
// nobody may have been refused.
func (m *mesh) killedAfterEachKindOfWrite(verb ...string) []string {
	m.Helper()
	k := &killer{}
	relays := map[string]fault.Relay{}
	for _, c := range m.bed.Clusters() {
		relays[c.Name] = fault.Relay{Answered: func(r *http.Response, sent []byte) { k.answered(c.Name, r, sent) }}
	}
	stop := m.through(relays)
	defer stop()
	for {
		cmd := m.Command(m.Context(), append(append([]string{"xcpauth"}, verb...), quick...)...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		at, err := k.run(cmd)
		m.gatherSecrets()
		m.promiseKept()
		switch status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus); {
		case at == "" && err == nil:
			return k.kinds
		case at == "" || !status.Signaled():
			m.Fatalf("%v, to be killed after %q: %v\n%s%s", verb, at, err, out.String(), errs.String())
		}
	}
}

// killed fails unless a run was killed after each of these kinds of write.
func killed(t *testing.T, after []string, want ...string) {
	t.Helper()
	for _, kind := range want {
		if !slices.Contains(after, kind) {
			t.Errorf("no run was killed after %q", kind)
		}
	}
	t.Logf("killed after %s", strings.Join(after, "\n"))
}

// killer kills each of some runs at a write of another kind.
type killer struct {
	mu    sync.Mutex
	kinds []string // at which one was killed
	at    string   // at which this one was
	cmd   *exec.Cmd
	ended chan struct{}
}

// run runs a command, and returns the kind of write at which it was killed; "" when it was not.
func (k *killer) run(cmd *exec.Cmd) (at string, err error) {
	k.mu.Lock()
	k.at, k.cmd, k.ended = "", cmd, make(chan struct{})
	err = cmd.Start()
	k.mu.Unlock()
	if err == nil {
		err = cmd.Wait()
	}
	close(k.ended)
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at, err
}

// answered is told of every answer of a cluster, and returns when the run may get it: never when it was killed.
func (k *killer) answered(cluster string, r *http.Response, sent []byte) {
	kind := kindOf(cluster, r, sent)
	k.mu.Lock()
	if kind == "" || k.at == "" && slices.Contains(k.kinds, kind) {
		k.mu.Unlock()
		return
	}
	if k.at == "" { // what is answered beside it goes no further either
		k.at, k.kinds = kind, append(k.kinds, kind)
		k.cmd.Process.Signal(syscall.SIGKILL)
	}
	ended := k.ended
	k.mu.Unlock()
	<-ended
}

// serial is what the secrets of a zone's tokens differ by.
var serial = regexp.MustCompile(`^(xcpauth-zone-token)-.*`)

// kindOf names a write that was stored: what was done to which object of which cluster, and of the journal the wave
// in flight. It is "" for everything else.
func kindOf(cluster string, r *http.Response, sent []byte) string {
	req := r.Request
	if req.Method == http.MethodGet || r.StatusCode/100 != 2 || req.URL.Query().Has("dryRun") ||
		strings.Contains(req.URL.Path, "/selfsubject") {
		return ""
	}
	var o struct {
		Metadata struct{ Name string }
		Data     map[string]string
	}
	_ = json.Unmarshal(sent, &o) // a DELETE sends another kind
	at := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	resource, name := at[len(at)-1], o.Metadata.Name
	if req.Method != http.MethodPost {
		resource, name = at[len(at)-2], path.Base(req.URL.Path)
	}
	name = serial.ReplaceAllString(name, "$1")
	kind := fmt.Sprintf("%s %s/%s in %s", req.Method, resource, name, cluster)
	if text := o.Data["wave-in-flight"]; text != "" {
		var e struct{ Wave string }
		_ = json.Unmarshal([]byte(text), &e)
		kind += ", in flight: " + e.Wave
	}
	return kind
}

// keepKeyOut deletes the key that the global made at its start; it makes none while it runs.
func (m *mesh) keepKeyOut() {
	m.Helper()
	m.gatherSecrets()
	m.kubectl("--context", "global", "-n", namespace, "delete", "secret", "zone-token-signing-key-1")
}

// killedAt runs a verb and kills it as soon as it says something.
func (m *mesh) killedAt(said string, verb ...string) {
	m.Helper()
	m.KilledAt(said, append(verb, quick...)...)
}
