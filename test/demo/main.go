// Command demo starts a hub and two edge clusters on real API servers of this machine, with a stand-in for Tetrate
// Service Bridge, and migrates them from mutual TLS to JWTs. With -mesh it is a global control plane and two zones of
// Kong Mesh, which get tokens. With -shell it opens a shell in the running fleet instead, and with
// -images it writes the pictures of docs.
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
	mesh := flag.Bool("mesh", false, "a global control plane and two zones of Kong Mesh in place of TSB")
	images := flag.Bool("images", false, "write the pictures of docs/img")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	start := startTSB
	if *mesh {
		start = startMesh
	}
	do := (*played).tell
	switch {
	case *shell:
		do = (*played).openShell
	case *images:
		do = (*played).takeImages
	}
	if err := run(ctx, start, do); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

// played is a running fleet.
type played struct {
	stop    func()
	command func(ctx context.Context, args ...string) *exec.Cmd // the real kubectl
	env     []string                                            // in which it and the plugin are found
	try     string                                              // what somebody in a shell is told
	story   []scene
	monitor func(context.Context) (monitored, func(), error)
	ending  func() error // what is said in the end, or what went wrong
}

// scene is a command of a story.
type scene struct {
	say  string
	args []string
	code int
}

func run(ctx context.Context, start func(context.Context) (*played, error),
	do func(*played, context.Context) error) error {
	// the played kubelet reports each port-forward that its client closes, into what the plugin draws
	klog.SetLogger(logr.Discard())
	p, err := start(ctx)
	if err != nil {
		return err
	}
	defer func() {
		fmt.Fprintln(os.Stderr, "Stopping everything ...")
		p.stop()
	}()
	return do(p, ctx)
}

// startTSB starts a hub and two edges, all on mutual TLS.
func startTSB(ctx context.Context) (*played, error) {
	s, err := sandbox.Start(ctx, sandbox.Options{Webhook: true, Log: os.Stderr,
		Cadence: xcpsim.Cadence{Push: 500 * time.Millisecond, TokenTTL: 12 * time.Second, TokenRenew: 5 * time.Second}})
	if err != nil {
		return nil, err
	}
	edit := []string{"patch", "managementplane", "managementplane", "-n", "tsb", "--type=merge", "-p", tooEarly}
	const running = "A hub and two edge clusters are running"
	watched := func(ctx context.Context) (monitored, func(), error) { return monitor(ctx, s) }
	return &played{stop: s.Stop, command: s.Command, env: s.Env(), try: running, monitor: watched, story: []scene{
		{"A hub and two edges, all on mutual TLS:", []string{"xcpauth", "status"}, 0},
		{"Turning mutual TLS off now would cut both edges off. The webhook denies it, by name:", edit, 1},
		{"The plugin makes the same change in an order that cuts nobody off, and verifies each step:",
			[]string{"xcpauth", "migrate", "-y", "--poll=500ms", "--fence-for=2s"}, 0},
		{"The very edit that was denied has been made:", []string{"get", "managementplane", "managementplane", "-n", "tsb",
			"-o", "jsonpath={.spec.components.xcp.centralAuthModes}{\"\\n\"}"}, 0},
		{"And the fleet is:", []string{"xcpauth", "status"}, 0},
	}, ending: func() error {
		if refused := s.Sim.Refusals(); len(refused) > 0 {
			return fmt.Errorf("%d dials were refused, the first: %s", len(refused), refused[0])
		}
		fmt.Printf("\nCentral was dialled %d times in all of this and never refused anybody.\n", len(s.Sim.Dials()))
		return nil
	}}, nil
}

// tooEarly is the edit that cuts off every edge that still presents a certificate, and the last one that migrate makes.
const tooEarly = `{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":true,"mutualTls":false}}}}}`

// tell plays the story.
func (p *played) tell(ctx context.Context) error {
	for _, step := range p.story {
		fmt.Printf("\n# %s\n$ kubectl %s\n", step.say, quoted(step.args))
		cmd := p.command(ctx, step.args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
		if err := cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != step.code {
			return fmt.Errorf("kubectl %s ended with %v, want exit code %d", quoted(step.args), err, step.code)
		}
	}
	return p.ending()
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
func (p *played) openShell(ctx context.Context) error {
	name := os.Getenv("SHELL")
	if name == "" {
		name = "/bin/sh"
	}
	fmt.Fprintf(os.Stderr, `
%s; kubectl and the plugin are on PATH. Try:
  kubectl config get-contexts
  kubectl xcpauth status
  kubectl xcpauth plan
  kubectl xcpauth migrate
Leave the shell (exit) to stop everything.

`, p.try)
	cmd := exec.CommandContext(ctx, name)
	cmd.Env = p.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Run() // how the shell's last command ended is the user's affair
	return nil
}
