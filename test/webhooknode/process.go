package webhooknode

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
)

// startupLimit is how long the process may take to become ready on a busy machine.
const startupLimit = 2 * time.Minute

// process is one run of the binary.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once it ended
	told moment        // when it was sent SIGTERM
	gone moment        // when it ended
}

func (p *process) isDone() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// moment is when something happened, for whoever looks from another goroutine.
type moment struct{ atomic.Pointer[time.Time] }

func (m *moment) now() { t := time.Now(); m.CompareAndSwap(nil, &t) }

// before says whether it happened, and longer ago than d.
func (m *moment) before(d time.Duration) bool { t := m.Load(); return t != nil && time.Since(*t) > d }

// Start runs the process with the Deployment's arguments and the extra ones after them, and returns when it is ready
// and the API server asks it: it then serves a certificate that the published CA bundle vouches for. The context
// bounds the start alone; the process dies with ours. The error of one that ended, or is not ready in time, carries
// the end of its log; nothing runs then.
func (n *Node) Start(ctx context.Context, extra ...string) error {
	if n.running.Load() != nil {
		return errors.New("starting the webhook: it is running already")
	}
	p, err := run(n.binary, append(append([]string(nil), n.args...), extra...), n.Env, &n.log)
	if err != nil {
		return fmt.Errorf("starting the webhook: %w", err)
	}
	n.running.Store(p)
	err = n.awaitReady(ctx, p)
	if err == nil && n.kube != nil {
		err = n.awaitGuard(ctx)
	}
	if err != nil {
		n.Stop()
		return fmt.Errorf("starting the webhook: %w; the end of its log:\n%s", err, lastLines(n.Log(), 20))
	}
	return nil
}

// awaitReady polls until the process is ready; one that ends first is an error.
func (n *Node) awaitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startupLimit, fmt.Errorf("not within %s", startupLimit))
	defer cancel()
	last := errors.New("never answered")
	for {
		err := n.Ready(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		select {
		case <-p.done:
			return fmt.Errorf("it ended: %v", p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("it did not become ready: %w (last answer: %v)", context.Cause(ctx), last)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// awaitGuard publishes the node as an endpoint of the Service, which the cluster's controllers would do for a pod, and
// returns once the configuration has entries.
func (n *Node) awaitGuard(ctx context.Context) error {
	slices := n.kube.DiscoveryV1().EndpointSlices(api.Namespace)
	port, err := strconv.ParseInt(n.port, 10, 32)
	if err != nil {
		return fmt.Errorf("reading the port of the Service: %w", err)
	}
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: Name + "-node", Labels: map[string]string{
		discoveryv1.LabelServiceName: Name, discoveryv1.LabelManagedBy: "webhooknode"}},
		AddressType: discoveryv1.AddressTypeIPv4,
		// a loopback address is none that an EndpointSlice may have, and nobody here connects by it
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.1"},
			Conditions: discoveryv1.EndpointConditions{Ready: new(true)}}},
		Ports: []discoveryv1.EndpointPort{{Port: new(int32(port))}}}
	if _, err := slices.Create(ctx, slice, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("publishing the endpoint of the Service: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startupLimit, fmt.Errorf("not within %s", startupLimit))
	defer cancel()
	for {
		conf, err := n.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(ctx, Name, metav1.GetOptions{})
		if err == nil && (len(conf.Webhooks) > 0 || conf.Annotations["xcpauth.io/entries"] == "unmanaged") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it wrote no entry into its configuration: %w (last answer: %v)", context.Cause(ctx), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Signal sends a signal to the process, SIGTERM to let it drain; without one it does nothing.
func (n *Node) Signal(signal syscall.Signal) {
	if p := n.running.Load(); p != nil {
		if signal == syscall.SIGTERM {
			p.told.now()
		}
		p.cmd.Process.Signal(signal)
	}
}

// Wait returns the state of the process when it is gone, nil without a process.
func (n *Node) Wait() *os.ProcessState {
	p := n.running.Load()
	if p == nil {
		return nil
	}
	<-p.done
	n.running.Store(nil)
	return p.cmd.ProcessState
}

// End signals the process and waits for its end.
func (n *Node) End(signal syscall.Signal) *os.ProcessState {
	n.Signal(signal)
	return n.Wait()
}

// Stop ends the process at once, as the loss of its node would, and returns when it is gone. Start starts it again.
func (n *Node) Stop() { n.End(syscall.SIGKILL) }

// Log is what every process of this node has logged.
func (n *Node) Log() string { return n.log.String() }

// Ready is nil when the process answers its readiness probe with ok, and otherwise says what it answers.
func (n *Node) Ready(ctx context.Context) error {
	_, err := get(ctx, n.health+"/readyz?verbose=true")
	return err
}

// Metrics is what the running process exposes.
func (n *Node) Metrics(ctx context.Context) (string, error) { return get(ctx, n.metrics+"/metrics") }

// Calls is how many admission calls the running process has had, well-formed or not, by its own metrics.
func (n *Node) Calls(ctx context.Context) (int, error) {
	text, err := n.Metrics(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting the calls of the webhook: %w", err)
	}
	sum := 0
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), "} "); strings.HasPrefix(name,
			"controller_runtime_webhook_requests_total{") {
			count, err := strconv.Atoi(value)
			if err != nil {
				return 0, fmt.Errorf("counting the calls of the webhook: %q: %w", lines.Text(), err)
			}
			sum += count
		}
	}
	return sum, lines.Err()
}

// Metric is the value of a metric without labels of the running process, and an error where it has none.
func (n *Node) Metric(ctx context.Context, name string) (float64, error) {
	text, err := n.Metrics(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading metric %s of the webhook: %w", name, err)
	}
	for line := range strings.Lines(text) {
		if series, value, _ := strings.Cut(strings.TrimSpace(line), " "); series == name {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("the webhook has no metric %s", name)
}

// PID is the process's id, 0 without one.
func (n *Node) PID() int {
	p := n.running.Load()
	if p == nil {
		return 0
	}
	return p.cmd.Process.Pid
}

func get(ctx context.Context, what string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+what, nil)
	if err != nil {
		return "", err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("HTTP %d: %s", res.StatusCode, body)
	}
	return string(body), err
}

// run starts a program with an environment and nothing of ours in it; it dies with ours.
func run(binary string, args, env []string, stderr io.Writer) (*process, error) {
	p := &process{cmd: exec.Command(binary, args...), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr, p.cmd.SysProcAttr = append([]string{}, env...), stderr, dieWithParent()
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the death signal comes when the thread ends that started the process
		defer close(p.done)
		err := p.cmd.Start()
		started <- err
		if err == nil {
			p.cmd.Wait()
			p.gone.now()
		}
	}()
	return p, <-started
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// buffer is written by a process while others read it.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *buffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *buffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
