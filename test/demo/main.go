// Command demo starts a hub and two edge clusters on real API servers of this machine, with a stand-in for Tetrate
// Service Bridge, and migrates them from mutual TLS to JWTs. With -shell it opens a shell in the running fleet
// instead.
//
// Steps of the demo:
//  1. start the clusters, the stand-in, the admission webhook;
//  2. show the status;
//  3. try to turn mutual TLS off too early: denied, with the names of the edges that would be cut off;
//  4. migrate, which makes that very edit once it is safe;
//  5. show the status, and that nobody was ever refused;
//  6. stop everything.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func main() {
	shell := flag.Bool("shell", false, "open a shell in the running fleet")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *shell); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, shell bool) error {
	// the played kubelet reports each port-forward that its client closes, into what the plugin draws
	klog.SetLogger(logr.Discard())
	s, err := sandbox.Start(ctx, sandbox.Options{Webhook: true, Log: os.Stderr,
		Cadence: xcpsim.Cadence{Push: 500 * time.Millisecond, TokenTTL: 12 * time.Second, TokenRenew: 5 * time.Second}})
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(os.Stderr, "Stopping everything ...")
		s.Stop()
	}()
	if shell {
		return openShell(ctx, s)
	}
	return story(ctx, s)
}

// tooEarly is the edit that cuts off every edge that still presents a certificate, and the last one that migrate makes.
const tooEarly = `{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":true,"mutualTls":false}}}}}`

func story(ctx context.Context, s *sandbox.Sandbox) error {
	edit := []string{"patch", "managementplane", "managementplane", "-n", "tsb", "--type=merge", "-p", tooEarly}
	for _, step := range []struct {
		say  string
		args []string
		code int
	}{
		{"A hub and two edges, all on mutual TLS:", []string{"xcpauth", "status"}, 0},
		{"Turning mutual TLS off now would cut both edges off. The webhook denies it, by name:", edit, 1},
		{"The plugin makes the same change in an order that cuts nobody off, and verifies each step:",
			[]string{"xcpauth", "migrate", "-y", "--poll=500ms", "--fence-for=2s"}, 0},
		{"The very edit that was denied has been made:", []string{"get", "managementplane", "managementplane", "-n", "tsb",
			"-o", "jsonpath={.spec.components.xcp.centralAuthModes}{\"\\n\"}"}, 0},
		{"And the fleet is:", []string{"xcpauth", "status"}, 0},
	} {
		fmt.Printf("\n# %s\n$ kubectl %s\n", step.say, quoted(step.args))
		cmd := s.Command(ctx, step.args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != step.code {
			return fmt.Errorf("kubectl %s ended with %v, want exit code %d", quoted(step.args), err, step.code)
		}
	}
	if refused := s.Sim.Refusals(); len(refused) > 0 {
		return fmt.Errorf("%d dials were refused, the first: %s", len(refused), refused[0])
	}
	fmt.Printf("\nCentral was dialled %d times in all of this and never refused anybody.\n", len(s.Sim.Dials()))
	return nil
}

func quoted(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = a
		if strings.ContainsAny(a, ` {}"`) {
			words[i] = "'" + a + "'"
		}
	}
	return strings.Join(words, " ")
}

// openShell runs the user's shell with the fleet's kubeconfig and the plugin on PATH, until it ends.
func openShell(ctx context.Context, s *sandbox.Sandbox) error {
	name := os.Getenv("SHELL")
	if name == "" {
		name = "/bin/sh"
	}
	io.WriteString(os.Stderr, `
A hub and two edge clusters are running; kubectl and the plugin are on PATH. Try:
  kubectl config get-contexts
  kubectl xcpauth status
  kubectl xcpauth plan
  kubectl xcpauth migrate
Leave the shell (exit) to stop everything.

`)
	cmd := exec.CommandContext(ctx, name)
	cmd.Env = s.Env()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Run() // how the shell's last command ended is the user's affair
	return nil
}
