package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/canary"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// record is what the plugin printed in a test, and the secrets that it must not have printed.
type record struct {
	secrets canary.Set
	mu      sync.Mutex
	printed map[string]string
	started []*exec.Cmd
}

// collectLimit bounds reading the secrets of a fleet of which a test may have stopped a part.
const collectLimit = 20 * time.Second

// Kubectl is the sandbox's, recorded when it runs the plugin.
func (f fleet) Kubectl(ctx context.Context, args ...string) sandbox.Run {
	r := f.Sandbox.Kubectl(ctx, args...)
	if len(args) > 0 && args[0] == "xcpauth" {
		f.record.mu.Lock()
		defer f.record.mu.Unlock()
		name := fmt.Sprintf("run %d: kubectl %s", len(f.record.printed), strings.Join(args, " "))
		f.record.printed[name] = r.Stdout + "\n" + r.Stderr
	}
	return r
}

// Command is the sandbox's; what it prints is recorded if it goes where it can be read from again.
func (f fleet) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := f.Sandbox.Command(ctx, args...)
	f.record.mu.Lock()
	defer f.record.mu.Unlock()
	f.record.started = append(f.record.started, cmd)
	return cmd
}

// noSecrets fails the test when a secret of any cluster is in what the plugin printed, in what it may have written into the clusters,
// or in one of the given texts.
func (f fleet) noSecrets(texts map[string]string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.Context()), collectLimit)
	defer cancel()
	if err := f.CollectSecrets(ctx, &f.record.secrets); err != nil {
		f.Logf("looking for the secrets of the beginning alone in what was printed: %v", err) // the test stopped a cluster
	}
	written, err := f.Written(ctx)
	if err != nil {
		f.Logf("not looking for secrets in all that was written: %v", err)
	}
	f.record.mu.Lock()
	defer f.record.mu.Unlock()
	for _, cmd := range f.record.started {
		for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
			if w, ok := w.(fmt.Stringer); ok {
				f.record.printed[fmt.Sprintf("run %d: %s", len(f.record.printed), strings.Join(cmd.Args, " "))] = w.String()
			}
		}
	}
	for _, group := range []map[string]string{f.record.printed, written, texts} {
		for name, text := range group {
			for _, leak := range f.record.secrets.Find(text) {
				f.Errorf("a secret is in %s: %s", name, leak)
			}
		}
	}
	if f.record.secrets.Len() == 0 {
		f.Error("no secret was looked for")
	}
}

// NoSecrets is noSecrets for texts without a name: files that a run wrote.
func (f fleet) NoSecrets(outputs ...string) {
	f.Helper()
	texts := map[string]string{}
	for i, o := range outputs {
		texts[fmt.Sprintf("output %d", i)] = o
	}
	f.noSecrets(texts)
}

// String is what was printed so far.
func (w *watcher) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.seen.String()
}

// What every test here relies on: a secret that is printed, or lies where a run writes, is found.
func lookThatLeaksAreFound(t *testing.T, f fleet) {
	t.Helper()
	token := f.get("edge-1", "istio-system", "secret/cluster-service-account", `{.data.jwk}`)
	var found bytes.Buffer
	for _, leak := range f.record.secrets.Find("the row says " + token) {
		fmt.Fprintln(&found, leak)
	}
	if !strings.Contains(found.String(), "jwk of secret istio-system/cluster-service-account in edge-1") {
		t.Errorf("a printed key is not found: %q", found.String())
	}
}
