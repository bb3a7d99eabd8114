package e2e

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// typed is a command in a shell at a terminal of 80 columns, as somebody types it: each question is answered with yes,
// and interrupt, when it is not empty, is a text at which Ctrl-C is pressed. It returns everything that was printed,
// and the exit code.
func (f fleet) typed(dir, command, interrupt string) (string, int) {
	f.Helper()
	cmd := exec.CommandContext(f.Context(), "sh", "-c", "exec "+command) // Ctrl-C is for it alone
	cmd.Dir, cmd.Env = dir, append(f.Env(), "TERM=xterm")
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 80, Rows: 24})
	if err != nil {
		f.Fatal(err)
	}
	defer tty.Close()
	var mu sync.Mutex
	var out bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 1<<16)
		answered, pressed := 0, false
		for {
			n, err := tty.Read(buf)
			mu.Lock()
			out.Write(buf[:n])
			for ; answered < bytes.Count(out.Bytes(), []byte("Only 'yes' is accepted: ")); answered++ {
				tty.WriteString("yes\n")
			}
			if !pressed && interrupt != "" && bytes.Contains(out.Bytes(), []byte(interrupt)) {
				pressed = true
				tty.Write([]byte{3})
			}
			mu.Unlock()
			if err != nil {
				return // the other end is closed
			}
		}
	}()
	late := time.AfterFunc(4*limit, func() { cmd.Process.Signal(syscall.SIGKILL) })
	defer late.Stop()
	err = cmd.Wait()
	<-done
	mu.Lock()
	defer mu.Unlock()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		f.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// patient is a cadence at which a token that is to be rotated has enough of its life left for that.
var patient = xcpsim.Cadence{Push: 200 * time.Millisecond, TokenTTL: 16 * time.Second, TokenRenew: 2 * time.Second}

// Every command that a message, the help or a page suggests, and that a fleet is needed for, typed at a terminal;
// the table of suggestions beside the plugin says which these are. (What is suggested to be watched for a minute is
// watched for five seconds here.)
func TestEverySuggestedCommandRuns(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true, Cadence: patient})
	dir := t.TempDir()
	f.likeKubectl(t)
	script := filepath.Join(f.BinDir(), "kubectl_complete-xcpauth")
	for _, step := range []struct {
		command, interrupt string
		code               int
		says               string
	}{
		{"kubectl config get-contexts", "", 0, "edge-1"},
		{"kubectl config get-contexts -o name", "", 0, "edge-1"},
		{"kubectl get pods -n tsb --context hub", "", 0, "central"},
		{"kubectl auth whoami", "", 0, "Username"},
		{"kubectl rollout pause deployment/central -n tsb --context hub", "", 0, "paused"},
		{"kubectl xcpauth plan", "", 4, "Deployment tsb/central is paused"},
		{"kubectl rollout resume deployment/central -n tsb --context hub", "", 0, "resumed"},
		{"kubectl xcpauth check --severity warning --warn-within 720h --ignore XA050=edge-1 -o json", "", 5, `"findings"`},
		{"kubectl xcpauth", "", 0, "Observe:"},
		{"kubectl xcpauth status", "", 0, "Next: "},
		{"kubectl xcpauth --context hub status", "", 0, "Next: "},
		{"kubectl xcpauth status -o yaml", "", 0, "kind: Status"},
		{"kubectl xcpauth status --history", "", 0, "no wave was carried out yet"},
		{"kubectl xcpauth status --watch --interval 30s", "Ctrl-C ends this", 0, "edge-2"},
		{"kubectl xcpauth status --context hub --contexts '/^edge-/' -o json", "", 0, `"edge-2"`},
		{"kubectl xcpauth status --no-hub --contexts edge-1", "", 0, "edge-1"},
		{"kubectl completion --help", "", 0, "bash"},
		{"sh -c 'kubectl xcpauth completion kubectl > " + script + " && chmod +x " + script + "'", "", 0, ""},
		{"kubectl __complete xcpauth migrate --canary ''", "", 0, "edge-1"}, // from the last look
		{"kubectl __complete xcpauth migrate --to ''", "", 0, "jwt-only"},
		{"kubectl xcpauth plan", "", 0, "mTLS off"},
		{"kubectl xcpauth plan --diff", "", 0, "centralAuthMode: JWT"},
		{"kubectl xcpauth plan --detailed-exitcode -o json", "", 2, `"waves"`},
		{"kubectl xcpauth plan --to dual --out dual.json", "", 0, "both modes on"},
		{"kubectl xcpauth plan --out plan.json", "", 0, "mTLS off"},
		{"kubectl xcpauth migrate --dry-run=server", "", 0, "accepted (dry run)"},
		{"kubectl xcpauth migrate --plan plan.json", "", 0, "the goal is reached"},
		{"kubectl xcpauth migrate --plan plan.json -y --progress=json --lock-timeout 2m", "", 0, "nothing to do"},
		{"kubectl xcpauth migrate", "", 0, "nothing to do"},
		{"kubectl xcpauth status --history", "", 0, "goal jwt-only"},
		{"kubectl xcpauth edge list", "", 0, "edge-2"},
		{"kubectl xcpauth edge publish", "", 0, "edge-2"},
		{"kubectl xcpauth edge publish edge-1", "", 0, "edge-1"},
		{"kubectl xcpauth edge publish --no-hub --contexts edge-1 --out edge-1.yaml", "", 0, "give it to the hub's team"},
		{"kubectl xcpauth edge publish -f edge-1.yaml", "", 0, "published"},
		{"kubectl xcpauth token rotate edge-1", "", 0, "have a new token made"},
		{"kubectl xcpauth token rotate --all --wave-size 5", "", 0, "the goal is reached"},
		{"kubectl xcpauth rollback edge-1", "", 0, "present its certificate again"},
		{"kubectl xcpauth rollback", "", 0, "present its certificate again"},
		{"kubectl xcpauth rollback --no-hub --contexts edge-1", "", 0, "edge-1"},
		{"kubectl xcpauth migrate --context hub --contexts '/^edge-/' --wave-size 10 --soak 5s --max-failures 2 -y -o json",
			"", 0, `"done": true`},
	} {
		out, code := f.typed(dir, step.command, step.interrupt)
		if code != step.code || !strings.Contains(out, step.says) {
			t.Fatalf("%s: exit code %d, want %d, and %q in\n%s", step.command, code, step.code, step.says, out)
		}
		if hides, shows := strings.Count(out, "\x1b[?25l"), strings.Count(out, "\x1b[?25h"); hides != shows {
			t.Errorf("%s hides the cursor %d times and shows it %d times", step.command, hides, shows)
		}
		t.Logf("$ %s\n%s", step.command, out)
	}
	if _, err := os.Stat(filepath.Join(dir, "edge-1.yaml")); err != nil {
		t.Error(err)
	}
	f.forgotten["edge-2"] = true
	if out, code := f.typed(dir, "kubectl xcpauth edge forget edge-2 --alive --reason 'only to see it done'",
		""); code != 0 || !strings.Contains(out, "edge-2 forgotten") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
