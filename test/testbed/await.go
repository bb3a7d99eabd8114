package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// errPortTaken is how a server ends whose port somebody took between our look and its listening.
var errPortTaken = errors.New("the port was taken")

// onFreePort starts a server on one of the ports at ip, and on another one if somebody was faster.
func onFreePort(ip string, ports []int, start func(port int) (*program, error)) (*program, error) {
	for {
		port, err := freePort(ip, ports...)
		if err != nil {
			return nil, err
		}
		p, err := start(port)
		if !errors.Is(err, errPortTaken) {
			return p, err
		}
	}
}

// await polls until the program is ready. It returns early when the program ends; its error carries the end of the log.
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
	if b, _ := os.ReadFile(p.log); bytes.Contains(b, []byte("address already in use")) {
		err = errors.Join(errPortTaken, err)
	}
	return fmt.Errorf("%s did not become ready: %w; the end of %s:\n%s", p.name, err, p.log, tail(p.log, 25))
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

// poll calls check until it returns nil, the limit is over or the context ends; it then returns the last answer as well.
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

// startEtcd starts the one etcd of the bed. It never syncs to disk: its data does not outlive the bed.
func (b *Bed) startEtcd(ctx context.Context) (err error) {
	b.etcd, err = onFreePort(b.etcdIP(), []int{2379, 12379, 22379, 32379}, func(port int) (*program, error) {
		b.etcdPort = port
		peer := fmt.Sprintf("http://%s:%d", b.etcdIP(), port+1)
		p, err := b.servers.start("etcd", filepath.Join(b.Dir, "etcd.log"), nil,
			filepath.Join(b.Bin, "etcd"),
			"--data-dir="+filepath.Join(b.Dir, "etcd"),
			"--listen-client-urls="+b.etcdURL(),
			"--advertise-client-urls="+b.etcdURL(),
			"--listen-peer-urls="+peer,
			"--initial-advertise-peer-urls="+peer,
			"--initial-cluster=default="+peer,
			"--unsafe-no-fsync",
			"--log-level=warn",
			"--quota-backend-bytes=4294967296",
		)
		if err != nil {
			return nil, err
		}
		return p, p.await(ctx, b.etcdHealthy)
	})
	return err
}

// etcdIP is an address of the first cluster's block.
func (b *Bed) etcdIP() string  { return b.blocks[0].reservedIP(1) }
func (b *Bed) etcdURL() string { return fmt.Sprintf("http://%s:%d", b.etcdIP(), b.etcdPort) }

func (b *Bed) etcdHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.etcdURL()+"/health", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: %s", res.Status)
	}
	return nil
}
