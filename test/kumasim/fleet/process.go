package fleet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/xcpauth/kubectl-xcpauth/test/apart"
)

// What a program listens at: those that can be told an address listen at the pod's, the others at any address and a
// port of the machine's choice, to which the pod's port leads.
var (
	ownAddress = []string{
		"KUMA_API_SERVER_HTTP_INTERFACE", "KUMA_API_SERVER_HTTPS_INTERFACE",
		"KUMA_RUNTIME_KUBERNETES_ADMISSION_SERVER_ADDRESS",
	}
	ownPort = map[string]int32{
		"KUMA_DIAGNOSTICS_SERVER_PORT": diagnosticsPort, "KUMA_INTER_CP_SERVER_PORT": 5683, "KUMA_DP_SERVER_PORT": 5678,
		"KUMA_MONITORING_ASSIGNMENT_SERVER_PORT": 5676, "KUMA_MULTIZONE_GLOBAL_KDS_GRPC_PORT": syncPort,
	}
)

const (
	diagnosticsPort = 5680
	syncPort        = 5685
)

// runProcess runs the product's own program as the pod's container:
//  1. put the volumes' files into a directory, and make a kubeconfig of the pod's service account;
//  2. start it, with the container's arguments and environment, where paths of volumes lead to the files; of a zone the
//     global's address leads to the pod's relay;
//  3. it is ready when it says so to the readiness probe;
//  4. end it by SIGTERM and after its grace by SIGKILL, or at once by that.
func (f *Fleet) runProcess(
	ctx context.Context, p *pod, run *process, files, env map[string]string, ready func(),
) error {
	dir, err := os.MkdirTemp("", "kuma-cp-")
	if err != nil {
		return fmt.Errorf("make the pod's directory: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := p.write(dir, files); err != nil {
		return err
	}
	if err := p.kubeconfig(ctx, filepath.Join(dir, "kubeconfig")); err != nil {
		return err
	}
	env = maps.Clone(env)
	for name, value := range env {
		env[name] = within(dir, files, value)
	}
	env["HOME"], env["KUBECONFIG"], env["PATH"] = dir, filepath.Join(dir, "kubeconfig"), os.Getenv("PATH")
	if u, err := url.Parse(p.k.c.site.Config.Host); err == nil {
		env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"] = u.Hostname(), u.Port() // as a kubelet does
	}
	for _, name := range ownAddress {
		env[name] = p.ip
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	serve, stop := context.WithCancel(ctx)
	defer stop()
	for name, port := range ownPort {
		to, err := freePort()
		if err != nil {
			return err
		}
		env[name] = fmt.Sprint(to)
		pick := func() string { return net.JoinHostPort("127.0.0.1", env[name]) }
		if err := forward(serve, &serving, net.JoinHostPort(p.ip, fmt.Sprint(port)), pick); err != nil {
			return err
		}
	}
	if env[modeName] == "zone" {
		r, err := f.newRelay(p, env[globalAddr])
		if err != nil {
			return err
		}
		defer r.close()
		env[globalAddr] = r.url
	}
	var args []string
	for _, arg := range p.container().Args {
		args = append(args, within(dir, files, arg))
	}
	// os.Hostname is how the program names its instance, so each has a hostname of its own: the pod's.
	cmd := apart.Own{Hostname: p.obj.Name}.Command(f.opts.Program.ControlPlane, args...)
	cmd.Dir = dir
	for _, name := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	serving.Go(func() {
		if probe(serve, p.ip) {
			p.setReady(true)
			ready()
		}
	})
	defer p.setReady(false)
	return p.supervise(ctx, cmd, run)
}

// supervise runs a command until it ends, or ctx does.
func (p *pod) supervise(ctx context.Context, cmd *exec.Cmd, run *process) error {
	in, out := io.Pipe()
	cmd.Stdout, cmd.Stderr = out, out
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewReader(in); ; {
			line, err := lines.ReadString('\n')
			if line = strings.TrimRight(line, "\n"); line != "" {
				p.k.f.logf(p.obj.Name, "%s", line)
			}
			if err != nil {
				return
			}
		}
	})
	defer reading.Wait()
	defer out.Close()
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() { // a thread of its own, with which the process would die
		runtime.LockOSThread()
		err := cmd.Start()
		if started <- err; err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start the program: %w", err)
	}
	select {
	case err := <-ended:
		if err == nil {
			err = errors.New("it ended by itself")
		}
		return err
	case <-ctx.Done():
	}
	if !run.killed.Load() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
			return nil
		case <-time.After(p.termGrace()):
		}
	}
	_ = cmd.Process.Kill()
	<-ended
	return nil
}

// termGrace is how long the process may take to end.
func (p *pod) termGrace() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.grace, 5*time.Second) // where the fleet ends, and not the pod
}

// write puts the files of the volumes below dir.
func (p *pod) write(dir string, files map[string]string) error {
	for at, text := range files {
		file := filepath.Join(dir, at)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return fmt.Errorf("write the volumes: %w", err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write the volumes: %w", err)
		}
	}
	return nil
}

// within has a path of a volume, or of a directory of volumes, lead to the files below dir; an argument has it behind
// its "=".
func within(dir string, files map[string]string, text string) string {
	flag, at := "", text
	if i := strings.Index(text, "=/"); strings.HasPrefix(text, "--") && i > 0 {
		flag, at = text[:i+1], text[i+1:]
	}
	at = strings.TrimSuffix(at, "/")
	for file := range files {
		if strings.HasPrefix(at, "/") && (file == at || strings.HasPrefix(file, at+"/")) {
			return flag + dir + at
		}
	}
	return text
}

// kubeconfig writes one of the pod's service account: its rights are the chart's.
func (p *pod) kubeconfig(ctx context.Context, file string) error {
	day := int64(24 * 60 * 60)
	ask := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &day}}
	r, err := limited(ctx, func(ctx context.Context) (*authenticationv1.TokenRequest, error) {
		accounts := p.k.c.kube.CoreV1().ServiceAccounts(p.obj.Namespace)
		return accounts.CreateToken(ctx, p.obj.Spec.ServiceAccountName, ask, metav1.CreateOptions{})
	})
	if err != nil {
		return fmt.Errorf("make a token of the service account: %w", err)
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["own"] = &clientcmdapi.Cluster{
		Server: p.k.c.site.Config.Host, CertificateAuthorityData: p.k.c.site.Config.CAData,
		CertificateAuthority: p.k.c.site.Config.CAFile,
	}
	config.AuthInfos["own"] = &clientcmdapi.AuthInfo{Token: r.Status.Token}
	config.Contexts["own"] = &clientcmdapi.Context{Cluster: "own", AuthInfo: "own", Namespace: p.obj.Namespace}
	config.CurrentContext = "own"
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		return fmt.Errorf("write the pod's kubeconfig: %w", err)
	}
	return nil
}

// probe asks until the program says that it is ready; false says that ctx has ended first.
func probe(ctx context.Context, ip string) bool {
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	url := "http://" + net.JoinHostPort(ip, fmt.Sprint(diagnosticsPort)) + "/ready"
	for ctx.Err() == nil {
		if req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil); err == nil {
			if res, err := client.Do(req); err == nil {
				_ = res.Body.Close()
				if res.StatusCode == http.StatusOK {
					return true
				}
			}
		}
		pause(ctx, retryAfter)
	}
	return false
}

// setReady notes whether Services lead to the pod.
func (p *pod) setReady(ready bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ready = ready
}

func (p *pod) isReady() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ready
}

// freePort is a port that nothing listens at.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// forward listens at an address, and leads each connection to the one that is picked, until ctx ends. Where none is
// picked, or it does not answer, the connection is closed.
func forward(ctx context.Context, all *sync.WaitGroup, at string, pick func() string) error {
	ln, err := net.Listen("tcp", at)
	if err != nil {
		return fmt.Errorf("listen at %s: %w", at, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	all.Go(func() {
		defer stop()
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() { pipe(ctx, conn, pick()) })
		}
	})
	return nil
}

// pipe copies between a connection and an address until one of the two ends, or ctx.
func pipe(ctx context.Context, conn net.Conn, to string) {
	defer conn.Close()
	var d net.Dialer
	other, err := d.DialContext(ctx, "tcp", to)
	if to == "" || err != nil {
		return
	}
	defer other.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), other.Close() })
	defer stop()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{conn, other}, {other, conn}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			cancel()
		})
	}
	both.Wait()
}
