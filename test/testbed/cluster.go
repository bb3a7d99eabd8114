package testbed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// Cluster is one API server with its controller manager. There are no nodes, no scheduler and no kubelet: pods stay
// pending until somebody plays those.
type Cluster struct {
	Name      string       // the context's name
	Config    *rest.Config // cluster administrator, without a client-side rate limit
	Server    string       // the API server's URL
	KubeletIP string       // a loopback address of this cluster outside its service range, for a simulated kubelet

	bed   *Bed
	id    string // its name in etcd and among the servers; Name may change when a pool lends it
	block *block
	ca    *authority
	dir   string
	port  int

	mu          sync.Mutex // guards what follows
	apiserver   *program
	controllers *program
	certManager *program
	restarted   bool // the API server was killed or started again, so that others may wait before they call it
}

// apiserverPorts are tried in this order; the address is the cluster's own, so the first is nearly always free.
var apiserverPorts = []int{6443, 16443, 26443, 36443}

// newCluster makes the cluster's directory with its certificates and keys.
func newCluster(b *Bed, name string, x *block) (*Cluster, error) {
	c := &Cluster{Name: name, id: name, KubeletIP: x.reservedIP(10), bed: b, block: x,
		dir: filepath.Join(b.clusterDirs(), name)}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of cluster %s: %w", name, err)
	}
	var err error
	if c.ca, err = newAuthority(name); err != nil {
		return nil, err
	}
	cert, key, err := c.ca.serving("kube-apiserver", c.ServiceIP(1), "kubernetes", "kubernetes.default",
		"kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
	if err != nil {
		return nil, err
	}
	kubeletCert, kubeletKey, err := c.ca.client("kube-apiserver-kubelet-client", "system:masters")
	if err != nil {
		return nil, err
	}
	if err := writeServiceAccountKeys(c.dir); err != nil {
		return nil, err
	}
	return c, writeFiles(c.dir, map[string][]byte{
		"ca.crt": c.ca.pem, "server.crt": cert, "server.key": key,
		"kubelet-client.crt": kubeletCert, "kubelet-client.key": kubeletKey,
	})
}

// ServiceIP returns the n-th address of the cluster's service range. 2 to 255 are never given to a Service that does
// not ask for its address, so a Service can have one as its fixed clusterIP and a process of the test listen there.
func (c *Cluster) ServiceIP(n int) string { return c.block.serviceIP(n) }

// UserConfig returns a client configuration of another identity, by a client certificate that the cluster's CA signed.
func (c *Cluster) UserConfig(name string, groups ...string) *rest.Config {
	cert, key, err := c.ca.client(name, groups...)
	if err != nil { // only a machine without randomness comes here
		panic(fmt.Sprintf("testbed: a certificate for %q in %s: %v", name, c.Name, err))
	}
	return &rest.Config{
		Host:            c.Server,
		QPS:             -1,
		TLSClientConfig: rest.TLSClientConfig{CAData: c.ca.pem, CertData: cert, KeyData: key},
	}
}

// Kubectl runs the real kubectl as an administrator of the cluster, without a bed's kubeconfig.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) error {
	kubeconfig := filepath.Join(c.dir, "admin.kubeconfig")
	if err := WriteKubeconfig(kubeconfig, c.Name, map[string]*rest.Config{c.Name: c.Config}); err != nil {
		return err
	}
	args = append([]string{"--kubeconfig", kubeconfig}, args...)
	cmd := exec.CommandContext(ctx, filepath.Join(c.bed.Bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECACHEDIR="+filepath.Join(c.dir, "kubecache"))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %v in %s: %w\n%s", args, c.Name, err, out)
	}
	return nil
}

// Freeze stops the API server without closing anything, as a hung machine does (SIGSTOP); it returns when every thread
// stands still. Without a running API server it does nothing.
func (c *Cluster) Freeze() {
	if p := c.running(); p != nil && p.signal(syscall.SIGSTOP) == nil {
		p.awaitStopped()
	}
}

// Thaw lets a frozen API server go on (SIGCONT).
func (c *Cluster) Thaw() {
	if p := c.running(); p != nil {
		p.signal(syscall.SIGCONT)
	}
}

// KillAPIServer ends the API server at once (SIGKILL) and returns when it is gone: its port then refuses.
func (c *Cluster) KillAPIServer() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kill()
}

// RestartAPIServer starts the API server again, with the same port and the same data, and with more flags if there
// are any, after ending one that still runs; it returns when it is ready.
func (c *Cluster) RestartAPIServer(ctx context.Context, flags ...string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kill()
	p, err := c.startAPIServer(ctx, c.port, flags...)
	if err != nil {
		return err
	}
	c.apiserver = p
	return nil
}

// ServeByAnotherCA starts the API server again with a certificate of another CA: whoever trusts the one before trusts
// it no more. Config follows; what was written of it, such as a kubeconfig, does not, until RestartAPIServer with the
// Config before.
func (c *Cluster) ServeByAnotherCA(ctx context.Context) error {
	other, err := newAuthority(c.Name + "-other")
	if err != nil {
		return err
	}
	cert, key, err := other.serving("kube-apiserver", c.ServiceIP(1), "kubernetes", "kubernetes.default")
	if err != nil {
		return err
	}
	if err := writeFiles(c.dir, map[string][]byte{"other.crt": cert, "other.key": key}); err != nil {
		return err
	}
	c.Config = rest.CopyConfig(c.Config)
	c.Config.CAData = other.pem
	return c.RestartAPIServer(ctx, "--tls-cert-file="+filepath.Join(c.dir, "other.crt"),
		"--tls-private-key-file="+filepath.Join(c.dir, "other.key"))
}

func (c *Cluster) running() *program {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apiserver
}

// kill is called with mu held.
func (c *Cluster) kill() {
	c.restarted = true
	if c.apiserver != nil {
		c.apiserver.end()
	}
	c.apiserver = nil
}

// start brings the cluster up.
//
// Steps:
//  1. Start the API server on a free port and wait until it is ready.
//  2. Start the controller manager.
//  3. Install the vendor's kinds.
//  4. Wait until the controllers have made what they make by themselves.
func (c *Cluster) start(ctx context.Context, crds bool) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("starting cluster %s: %w", c.Name, err)
	}
	p, err := onFreePort(c.ServiceIP(1), apiserverPorts, func(port int) (*program, error) {
		c.port, c.Server = port, "https://"+c.ServiceIP(1)+":"+strconv.Itoa(port)
		c.Config = c.UserConfig("admin", "system:masters")
		return c.startAPIServer(ctx, port)
	})
	if err != nil {
		return err
	}
	kcm, err := c.startControllers()
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.apiserver, c.controllers = p, kcm
	c.mu.Unlock()
	if crds {
		if err := InstallCRDs(ctx, c.Config); err != nil {
			return err
		}
	}
	return kcm.await(ctx, c.controllersCaughtUp)
}

// startAPIServer starts the API server and returns when /readyz is ok.
func (c *Cluster) startAPIServer(ctx context.Context, port int, flags ...string) (*program, error) {
	in := func(file string) string { return filepath.Join(c.dir, file) }
	p, err := c.bed.servers.start(c.id+"/kube-apiserver", in("kube-apiserver.log"), []string{"GOGC=200"},
		append([]string{filepath.Join(c.bed.Bin, "kube-apiserver"),
			"--bind-address=" + c.ServiceIP(1),
			"--secure-port=" + strconv.Itoa(port),
			"--etcd-servers=" + c.bed.etcdURL(),
			"--etcd-prefix=/" + c.id,
			"--tls-cert-file=" + in("server.crt"),
			"--tls-private-key-file=" + in("server.key"),
			"--client-ca-file=" + in("ca.crt"),
			"--kubelet-client-certificate=" + in("kubelet-client.crt"),
			"--kubelet-client-key=" + in("kubelet-client.key"),
			"--kubelet-preferred-address-types=InternalIP",
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file=" + in("sa.pub"),
			"--service-account-signing-key-file=" + in("sa.key"),
			"--service-cluster-ip-range=" + c.block.serviceRange(),
			"--authorization-mode=RBAC",
			"--endpoint-reconciler-type=none",
			"--allow-privileged=true",
			"--profiling=false",
			"--enable-logs-handler=false",
		}, flags...)...,
	)
	if err != nil {
		return nil, err
	}
	return p, p.await(ctx, func(ctx context.Context) error { return ready(ctx, c.Config) })
}

// startControllers starts the controller manager with the controllers that what we test depends on.
func (c *Cluster) startControllers() (*program, error) {
	kubeconfig := filepath.Join(c.dir, "kube-controller-manager.kubeconfig")
	cfg := c.UserConfig("system:kube-controller-manager", "system:masters")
	if err := WriteKubeconfig(kubeconfig, c.Name, map[string]*rest.Config{c.Name: cfg}); err != nil {
		return nil, err
	}
	log := filepath.Join(c.dir, "kube-controller-manager.log")
	return c.bed.servers.start(c.id+"/kube-controller-manager", log, []string{"GOGC=200"},
		filepath.Join(c.bed.Bin, "kube-controller-manager"),
		"--kubeconfig="+kubeconfig,
		"--controllers=deployment-controller,replicaset-controller,garbage-collector-controller,namespace-controller,"+
			"serviceaccount-controller,serviceaccount-token-controller,root-ca-certificate-publisher-controller,"+
			"clusterrole-aggregation-controller,validatingadmissionpolicy-status-controller",
		"--root-ca-file="+filepath.Join(c.dir, "ca.crt"),
		"--service-account-private-key-file="+filepath.Join(c.dir, "sa.key"),
		"--leader-elect=false",
		"--secure-port=0",
		"--kube-api-qps=200",
		"--kube-api-burst=400",
		"--profiling=false",
	)
}

// ready returns nil once /readyz is ok.
func ready(ctx context.Context, cfg *rest.Config) error {
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return client.RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}
