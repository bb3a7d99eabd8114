// Command kubectl-xcpauth plans and applies the migration of a service mesh from mutual TLS to one JWT per cluster,
// across the contexts of a kubeconfig. kubectl runs it as `kubectl xcpauth`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"k8s.io/cli-runtime/pkg/genericiooptions"
)

func main() {
	tuneGC()
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	os.Exit(run(os.Args[1:], genericiooptions.IOStreams{In: os.Stdin, Out: os.Stdout, ErrOut: os.Stderr}, signals))
}

// run is the whole program. The first of the signals (Ctrl-C, or SIGTERM) stops new work and puts unverified members
// back; the second ends the process.
func run(args []string, streams genericiooptions.IOStreams, signals <-chan os.Signal) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o := newFleetOptions(streams)
	silence()
	restore := func() {
		o.screen.restore()
		o.window.restore()
	}
	defer restore()
	ended := make(chan struct{})
	defer close(ended)
	interrupted := func() bool {
		select {
		case <-signals:
			return true
		case <-ended:
			return false
		}
	}
	go func() {
		if !interrupted() {
			return
		}
		cancel() // who reads that it stops can rely on it
		if o.writing.Load() {
			fmt.Fprintln(o.ErrOut, "\ninterrupted; stopping (Ctrl-C again leaves at once)")
		}
		if !interrupted() {
			return
		}
		restore()
		if o.writing.Load() {
			fmt.Fprintln(o.ErrOut, "left at once; whatever was in flight is written down in the hub, and the next kubectl xcpauth migrate restores it first")
		}
		os.Exit(exitInterrupted)
	}()
	root := newRootCommand(o)
	root.SetArgs(args)
	return exitCode(root.ExecuteContext(ctx), o.ErrOut)
}

// The exit codes, the same for every output format.
const (
	exitError       = 1
	exitPending     = 2 // changes are pending; only with --detailed-exitcode
	exitPartial     = 4 // a part of the members was served
	exitRefused     = 5 // nothing could be begun
	exitInterrupted = 130
)

// exitError ends the program with a code. Its text, if any, is printed once on stderr.
type codeError struct {
	code int
	text string
}

func (e *codeError) Error() string { return e.text }

func exitCode(err error, stderr io.Writer) int {
	var code *codeError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		if code.text != "" {
			fmt.Fprintln(stderr, "error: "+code.text)
		}
		return code.code
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	fmt.Fprintln(stderr, "error: "+err.Error())
	return exitError
}
