package runs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"strings"
	"sync"
	"syscall"
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
	printed map[string]string
	started []*exec.Cmd
	kills   int  // runs that were killed
	faster  bool // one of them had done already what the next was to be killed at
}

// New returns a recorder of a test, which makes commands of kubectl, with the plugin on its PATH, by a function.
func New(t *testing.T, kubectl func(context.Context, ...string) *exec.Cmd) *Recorder {
	return &Recorder{t, kubectl, &record{printed: map[string]string{}}}
}

// In is the same recorder in a test inside this one.
func (r *Recorder) In(t *testing.T) *Recorder { return &Recorder{t, r.command, r.record} }

// Command is kubectl, not started yet; what it prints is kept if it goes where it can be read from again.
func (r *Recorder) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := r.command(ctx, args...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.started = append(r.started, cmd)
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

// starved is what a run says when the machine rested for longer than a token of the stand-in lives, which is seconds:
// the run ends, and the next one goes on.
const starved = "and nothing renewed it"

// KilledAt runs `kubectl xcpauth` and kills it as soon as it has said something. It returns what it said after that: on
// a busy machine it goes on for a moment. So a run may find that the one before did what it was to be killed at, and
// end well: once in a test, which is shown. A run that ended because the machine rested is followed by the next, twice
// at most.
func (r *Recorder) KilledAt(said string, args ...string) (after string) {
	r.Helper()
	for tries := 1; ; tries++ {
		cmd := r.Command(r.Context(), append([]string{"xcpauth"}, args...)...)
		var out strings.Builder
		w := newWatcher(r.T, said, func() { cmd.Process.Signal(syscall.SIGKILL) })
		cmd.Stdout, cmd.Stderr = &out, w
		err := cmd.Run()
		switch rested := strings.Contains(strings.Join(strings.Fields(out.String()), " "), starved); {
		case err == nil && r.kills > 0 && !r.faster:
			r.faster = true
			r.Logf("the run before had done %q already when its kill arrived", said)
			return ""
		case err == nil:
			r.Fatalf("%v ended well, and was to be killed at %q:\n%s%s", args, said, out.String(), w)
		case !w.Done() && rested && tries < 3:
			continue
		case !w.Done():
			r.Fatalf("%v never said %q:\n%s%s", args, said, out.String(), w)
		}
		r.kills++
		_, after, _ = strings.Cut(w.String(), said)
		return after
	}
}

// Keep keeps a text under a name, to be looked through for secrets.
func (r *Recorder) Keep(name, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.printed[fmt.Sprintf("run %02d: %s", len(r.printed), name)] = text
}

// Printed is everything that was kept so far, by name.
func (r *Recorder) Printed() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, cmd := range r.started {
		for _, w := range []io.Writer{cmd.Stdout, cmd.Stderr} {
			if text, ok := w.(fmt.Stringer); ok {
				r.printed[fmt.Sprintf("command %02d: %s (%T)", i, strings.Join(cmd.Args, " "), w)] = text.String()
			}
		}
	}
	return maps.Clone(r.printed)
}

// NoSecrets fails the test when a secret is in what the plugin printed or in one of the given texts.
func (r *Recorder) NoSecrets(texts ...map[string]string) {
	r.Helper()
	for _, group := range append(texts, r.Printed()) {
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
