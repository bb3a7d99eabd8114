package xcpsim

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	corev1 "k8s.io/api/core/v1"
)

// container is the one container of a pod that the simulator runs: its environment, volumes, log, metrics and ports.
type container struct {
	pod      *corev1.Pod
	ip       string // the pod's
	env      map[string]string
	volumes  map[string]map[string][]byte // secret volumes as they were when the pod started
	live     func(volume string) (map[string][]byte, bool)
	log      *logBuffer
	metrics  *prometheus.Registry
	setReady func()

	mu     sync.Mutex
	ports  map[int32]func(ctx context.Context) (net.Conn, error)
	latest map[string]map[string][]byte // what now read last
}

// program is what a container runs until ctx ends.
type program func(ctx context.Context, c *container)

func newContainer(pod *corev1.Pod, ip string, volumes map[string]map[string][]byte) *container {
	c := &container{
		pod: pod, ip: ip, env: map[string]string{}, volumes: volumes, log: newLogBuffer(), metrics: prometheus.NewRegistry(),
		ports: map[int32]func(context.Context) (net.Conn, error){}, latest: map[string]map[string][]byte{},
	}
	for _, e := range pod.Spec.Containers[0].Env {
		c.env[e.Name] = e.Value
	}
	return c
}

// now returns a volume's content: as it was at the start or, if hot, as it is in the cluster; a secret that is gone
// leaves what was read last.
func (c *container) now(volume string, hot bool) map[string][]byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	if hot {
		if data, ok := c.live(volume); ok {
			c.latest[volume] = data
		}
		if data, ok := c.latest[volume]; ok {
			return data
		}
	}
	return c.volumes[volume]
}

func (c *container) mounts(volume string) bool {
	_, ok := c.volumes[volume]
	return ok
}

// listen makes a port reachable through port-forward.
func (c *container) listen(port int32, dial func(context.Context) (net.Conn, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ports[port] = dial
}

// Dial implements kubelet.Container.
func (c *container) Dial(ctx context.Context, port int32) (net.Conn, error) {
	c.mu.Lock()
	dial, ok := c.ports[port]
	c.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("connect to port %d of pod %s: connection refused", port, c.pod.Name)
	}
	return dial(ctx)
}

// Logs implements kubelet.Container.
func (c *container) Logs(ctx context.Context, w io.Writer, tail int, follow bool, flush func()) {
	c.log.copyTo(ctx, w, tail, follow, flush)
}

// run starts the metrics server, at the pod's own address and for port-forward, and the program, and returns once
// both have ended.
func (c *container) run(ctx context.Context, p program) {
	ln := newPipeListener()
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(c.metrics, promhttp.HandlerOpts{}))
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var served sync.WaitGroup
	served.Go(func() { _ = srv.Serve(ln) })
	if own, err := net.Listen("tcp", net.JoinHostPort(c.ip, strconv.Itoa(metricsPort))); err != nil {
		c.log.printf("error", "metrics", "listen: %v", err)
	} else {
		served.Go(func() { _ = srv.Serve(own) })
	}
	c.listen(metricsPort, ln.dial)
	p(ctx, c)
	_ = srv.Close()
	served.Wait()
	c.log.close()
}

// idle is the program of a pod that the simulator has no part for.
func idle(ctx context.Context, c *container) {
	c.setReady()
	<-ctx.Done()
}

// pipeListener hands the server's end of in-memory connections to an http.Server.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "metrics", Net: "unix"} }

// logBuffer is a container's log: lines that readers may follow.
type logBuffer struct {
	mu      sync.Mutex
	lines   []string
	dropped int           // lines before the first that is kept
	more    chan struct{} // closed and replaced at each line
	closed  bool
}

const logKeeps = 2000

func newLogBuffer() *logBuffer { return &logBuffer{more: make(chan struct{})} }

// printf adds a line in the product's layout: time, level, scope, message.
func (b *logBuffer) printf(level, scope, format string, args ...any) {
	line := fmt.Sprintf("%s\t%s\t%s\t%s\n", time.Now().UTC().Format(time.RFC3339Nano), level, scope,
		strings.TrimSpace(fmt.Sprintf(format, args...)))
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines = append(b.lines, line); len(b.lines) > logKeeps {
		b.lines = b.lines[1:]
		b.dropped++
	}
	close(b.more)
	b.more = make(chan struct{})
}

func (b *logBuffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.more)
		b.more = make(chan struct{})
	}
}

// copyTo writes the last tail lines (all if negative), then, if follow, every further one until the container or ctx
// ends.
func (b *logBuffer) copyTo(ctx context.Context, w io.Writer, tail int, follow bool, flush func()) {
	b.mu.Lock()
	next := b.dropped // number of the next line to write
	if tail >= 0 {
		next += max(0, len(b.lines)-tail)
	}
	for {
		lines := slices.Clone(b.lines[max(0, next-b.dropped):])
		more, closed := b.more, b.closed
		next = b.dropped + len(b.lines)
		b.mu.Unlock()
		for _, l := range lines {
			if _, err := io.WriteString(w, l); err != nil {
				return
			}
		}
		flush()
		if !follow || closed {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-more:
		}
		b.mu.Lock()
	}
}
