package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// errPortTaken is how a server ends whose port somebody took between our look and its listening.
var errPortTaken = errors.New("the port was taken")

// onFreePort starts a server on the first of the ports that is free at ip, and on a later one if somebody was faster.
func onFreePort(ip string, ports []int, start func(port int) (*program, error)) (*program, error) {
	for {
		i, err := firstFree(ip, ports)
		if err != nil {
			return nil, err
		}
		p, err := start(ports[i])
		if !errors.Is(err, errPortTaken) {
			return p, err
		}
		ports = ports[i+1:]
	}
}

// await polls until the program is ready. It gives up when the program ends; its error carries the end of the log, and
// nothing of the program is left then.
func (p *program) await(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-p.done:
			cancel(fmt.Errorf("it ended: %s", p.how))
		case <-ctx.Done():
		}
	}()
	err := poll(ctx, startupLimit, ready)
	if err == nil {
		return nil
	}
	p.end()
	if b, _ := os.ReadFile(p.log); bytes.Contains(b, []byte("address already in use")) {
		err = errors.Join(errPortTaken, err)
	}
	return fmt.Errorf("%s did not become ready: %w; the end of %s:\n%s", p.name, err, p.log, tail(p.log, 25))
}

// end kills the program and returns when it is gone; one that ended before is gone already.
func (p *program) end() {
	if p.signal(syscall.SIGKILL) == nil {
		<-p.done
	}
}

// awaitStopped returns once every thread of a program that was sent SIGSTOP stands still, or the program is gone.
func (p *program) awaitStopped() {
	poll(context.Background(), startupLimit, func(context.Context) error {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(p.pid) + "/task/*/stat")
		for _, t := range tasks {
			b, _ := os.ReadFile(t)
			// "PID (NAME) STATE ...", where NAME may hold anything but ends at the last parenthesis.
			if _, rest, _ := strings.Cut(string(b[bytes.LastIndexByte(b, ')')+1:]), " "); rest != "" && rest[0] != 'T' {
				return fmt.Errorf("still %c", rest[0])
			}
		}
		return nil
	})
}

// poll calls check until it returns nil, the limit is over or the context ends; it then returns the last answer as
// well.
func poll(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s", limit))
	defer cancel()
	last := errors.New("never answered")
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %v)", context.Cause(ctx), last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
