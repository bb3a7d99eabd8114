//go:build linux

package webhook

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// node plays the node of one webhook pod: it mounts the certificate's Secret and runs the binary.
type node struct {
	ip         string
	binary     string
	kubeconfig string // of the manifests' service account
	certDir    string
	args       []string // the Deployment's own
	log        locked

	cmd  *exec.Cmd
	done chan struct{}
}

// newNode builds the binary and takes everything else from the cluster.
//
//  1. Build the binary.
//  2. Get a token of the pod's service account, so that the shipped RBAC is what is used.
//  3. Read the container's arguments from the Deployment, with its environment filled in.
//  4. Keep the Secret mounted until the test ends.
func newNode(h *hub) *node {
	h.Helper()
	dir := h.TempDir()
	n := &node{ip: h.ip, binary: filepath.Join(dir, component), kubeconfig: filepath.Join(dir, "kubeconfig"), certDir: filepath.Join(dir, "tls")}
	h.must(os.Mkdir(n.certDir, 0o700))
	if out, err := exec.CommandContext(h.Context(), "go", "build", "-o", n.binary, "github.com/xcpauth/kubectl-xcpauth/webhook/xcpauth-webhook").CombinedOutput(); err != nil {
		h.Fatalf("building the webhook: %v\n%s", err, out)
	}
	deployment, err := h.kube.AppsV1().Deployments(system).Get(h.Context(), component, metav1.GetOptions{})
	h.must(err)
	pod := deployment.Spec.Template.Spec
	token, err := h.kube.CoreV1().ServiceAccounts(system).CreateToken(h.Context(), pod.ServiceAccountName, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	h.must(err)
	h.must(testbed.WriteKubeconfig(n.kubeconfig, "hub", map[string]*rest.Config{"hub": {Host: h.cluster.Server, BearerToken: token.Status.Token,
		TLSClientConfig: rest.TLSClientConfig{CAData: h.cluster.Config.CAData}}}))
	container := pod.Containers[0]
	for _, arg := range container.Args {
		for _, env := range container.Env {
			if env.ValueFrom != nil && env.ValueFrom.FieldRef != nil && env.ValueFrom.FieldRef.FieldPath == "metadata.namespace" {
				arg = strings.ReplaceAll(arg, "$("+env.Name+")", deployment.Namespace)
			}
		}
		n.args = append(n.args, arg)
	}
	n.args = append(n.args, "--kubeconfig="+n.kubeconfig, "--cert-dir="+n.certDir, "--address="+h.ip, "--port=443",
		"--metrics-address="+h.ip+":8080", "--health-address="+h.ip+":8081")
	n.mount(h)
	h.Cleanup(func() { n.end(syscall.SIGKILL) })
	return n
}

// mount writes the Secret's keys as files, and again whenever they change, as a kubelet does.
func (n *node) mount(h *hub) {
	ctx, cancel := context.WithCancel(context.Background())
	var stopped sync.WaitGroup
	stopped.Go(func() {
		mounted := ""
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			secret, err := h.kube.CoreV1().Secrets(system).Get(ctx, "xcpauth-webhook-cert", metav1.GetOptions{})
			if err != nil || secret.ResourceVersion == mounted || len(secret.Data["tls.crt"]) == 0 {
				return
			}
			for _, key := range []string{"ca.crt", "tls.key", "tls.crt"} { // the certificate last: it is what the process looks for
				part := filepath.Join(n.certDir, "."+key)
				if os.WriteFile(part, secret.Data[key], 0o600) != nil || os.Rename(part, filepath.Join(n.certDir, key)) != nil {
					return
				}
			}
			mounted = secret.ResourceVersion
		}, 100*time.Millisecond)
	})
	h.Cleanup(func() { cancel(); stopped.Wait() })
}

// start runs the process and returns when it is ready. It dies with the test.
func (n *node) start(h *hub) {
	h.Helper()
	cmd := exec.Command(n.binary, n.args...)
	cmd.Stderr = &n.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, done := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the death signal comes when the thread ends that started the process
		defer close(done)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	h.must(<-started)
	n.cmd, n.done = cmd, done
	h.eventually("the webhook becomes ready", func(ctx context.Context) error {
		select {
		case <-done:
			h.Fatalf("the webhook ended: %v\n%s", cmd.ProcessState, n.log.String())
		default:
		}
		return n.ready(ctx)
	})
}

// end signals the process and returns its state when it is gone; without a process it does nothing.
func (n *node) end(signal syscall.Signal) *os.ProcessState {
	if n.cmd == nil {
		return nil
	}
	n.cmd.Process.Signal(signal)
	<-n.done
	return n.cmd.ProcessState
}

func (n *node) ready(ctx context.Context) error {
	_, err := n.get(ctx, ":8081/readyz?verbose=true")
	return err
}

func (n *node) get(ctx context.Context, what string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.ip+what, nil)
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

// calls is how many admission calls the process has had, well-formed or not.
func (n *node) calls(h *hub) int {
	h.Helper()
	text, err := n.get(h.Context(), ":8080/metrics")
	h.must(err)
	sum := 0
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		if name, value, _ := strings.Cut(lines.Text(), "} "); strings.HasPrefix(name, "controller_runtime_webhook_requests_total{") {
			count, err := strconv.Atoi(value)
			h.must(err)
			sum += count
		}
	}
	return sum
}

// locked is a buffer that a process writes while the test reads.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
