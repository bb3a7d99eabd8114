package runs

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

// Recorder runs kubectl in one test, and keeps what the plugin prints.
type Recorder struct {
	*testing.T
	command func(context.Context, ...string) *exec.Cmd
	*record
}

// record is what the plugin printed in a test, and the secrets that it must not have printed.
type record struct {
	Secrets canary.Set
	mu      sync.Mutex
	kept    []kept
}

// kept is what one run printed, by now.
type kept struct {
	name string
	text func() string
}

// New returns a recorder of a test, which makes commands of kubectl, with the plugin on its PATH, by a function.
func New(t *testing.T, kubectl func(context.Context, ...string) *exec.Cmd) *Recorder {
	return &Recorder{t, kubectl, &record{}}
}

// In is the same recorder in a test inside this one.
func (r *Recorder) In(t *testing.T) *Recorder { return &Recorder{t, r.command, r.record} }

// Command is kubectl, not started yet; what it prints is kept if it goes where it can be read from again.
func (r *Recorder) Command(ctx context.Context, args ...string) *exec.Cmd {
	return r.Kept(r.command(ctx, args...))
}

// Kept is a command, not started yet, of which what it prints is kept as of kubectl.
func (r *Recorder) Kept(cmd *exec.Cmd) *exec.Cmd {
	r.keep(strings.Join(cmd.Args[1:], " "), func() (all string) {
		for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
			if text, ok := w.(fmt.Stringer); ok {
				all += text.String()
			}
		}
		return all
	})
	return cmd
}

// Kubectl runs kubectl and waits for it; what it prints is kept when it runs the plugin.
func (r *Recorder) Kubectl(ctx context.Context, args ...string) sandbox.Run {
	cmd := r.command(ctx, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	run := sandbox.Run{Stdout: out.String(), Stderr: errs.String(), Code: cmd.ProcessState.ExitCode()}
	if err != nil && run.Code == -1 {
		run.Stderr += err.Error()
	}
	if len(args) > 0 && args[0] == "xcpauth" {
		r.Keep("kubectl "+strings.Join(args, " "), run.Stdout+"\n"+run.Stderr)
	}
	return run
}

// Xcpauth runs `kubectl xcpauth` and fails the test when it ends with another code.
func (r *Recorder) Xcpauth(code int, args ...string) sandbox.Run {
	r.Helper()
	run := r.Kubectl(r.Context(), append([]string{"xcpauth"}, args...)...)
	if run.Code != code {
		r.Fatalf("kubectl xcpauth %s: exit code %d, want %d\n%s\n%s",
			strings.Join(args, " "), run.Code, code, run.Stdout, run.Stderr)
	}
	return run
}

// Keep keeps a text under a name, to be looked through for secrets.
func (r *Recorder) Keep(name, text string) { r.keep(name, func() string { return text }) }

func (r *Recorder) keep(name string, text func() string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, kept{fmt.Sprintf("run %02d: %s", len(r.kept), name), text})
}

// Last is what the last few runs printed.
func (r *Recorder) Last(runs int) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all strings.Builder
	for _, k := range r.kept[max(0, len(r.kept)-runs):] {
		fmt.Fprintf(&all, "%s\n%s\n", k.name, k.text())
	}
	return all.String()
}

// printed is everything that was kept so far, by name.
func (r *Recorder) printed() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]string{}
	for _, k := range r.kept {
		all[k.name] = k.text()
	}
	return all
}

// NoSecrets fails the test when a secret is in what the plugin printed or in one of the given texts.
func (r *Recorder) NoSecrets(texts ...map[string]string) {
	r.Helper()
	for _, group := range append(texts, r.printed()) {
		for name, text := range group {
			for _, leak := range r.Secrets.Find(text) {
				r.Errorf("a secret is in %s: %s", name, leak)
			}
		}
	}
	if r.Secrets.Len() == 0 {
		r.Error("no secret was looked for")
	}
}

// Await polls a check until it returns nil, and fails the test when it does not within the limit.
func (r *Recorder) Await(what string, limit time.Duration, check func() error) {
	r.Helper()
	last := fmt.Errorf("not asked yet")
	if err := sandbox.Await(r.Context(), what, limit, func() bool { last = check(); return last == nil }); err != nil {
		r.Fatalf("%v: %v", err, last)
	}
}
