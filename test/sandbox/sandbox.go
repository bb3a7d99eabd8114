package sandbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// Options says what to start. The zero value is a hub and two edges, all kind.
type Options struct {
	Edges     []string // names of the edge clusters; edge-1 and edge-2 when empty
	HubIsEdge bool     // the hub has a ControlPlane too: it is the edge "hub"
	// further edges by name, each a second ControlPlane in the cluster of another, in the namespace of its own name
	Neighbours map[string]string
	// a second management plane in a cluster of its own, "standby", which no edge dials before Sim.FailOver
	Standby      bool
	Switches     xcpsim.Switches
	Cadence      xcpsim.Cadence
	Installation xcpsim.Installation
	// the hub's certificates come from real cert-manager controllers, as Installation.CertManager says
	CertManager bool
	Tctl        string        // put the fake tctl of this version on PATH, such as v1.6.2; its profile leads to the hub
	Pool        *testbed.Pool // lends the clusters; nil: they are started, and stopped in the end
	Webhook     bool          // deploy the admission webhook in the hub, once everybody is connected
	Dir         string        // for everything that is written; a temporary directory when empty
	Log         io.Writer     // progress, one line each; nil = discard
	SimLog      io.Writer     // what the stand-in logs; nil = discard
}

// Sandbox is a running fleet.
type Sandbox struct {
	Bed *testbed.Bed
	Sim *xcpsim.Sim
	Dir string // holds bin/ with kubectl and kubectl-xcpauth

	removeDir bool
	webhook   *webhooknode.Node
	options   Options // filled in
}

const (
	hub     = "hub"
	standby = "standby"
)

// Start starts the fleet and waits until every edge and MPC are connected to Central by mutual TLS.
//
// Steps:
//  1. Start the clusters, and build the plugin.
//  2. Install and play the product; wait until everybody is connected and has its tokens.
//  3. Put the fake tctl on PATH, and deploy the webhook, where they are asked for.
func Start(ctx context.Context, o Options) (s *Sandbox, err error) {
	if len(o.Edges) == 0 {
		o.Edges = []string{"edge-1", "edge-2"}
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	o.Installation = o.Installation.Filled()
	o.Installation.CertManager = o.Installation.CertManager || o.CertManager
	utilruntime.ErrorHandlers = nil // the played kubelet reports each port-forward that its client closes
	s = &Sandbox{Dir: o.Dir, options: o}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	if s.Dir == "" {
		if s.Dir, err = os.MkdirTemp("", "xcpauth-sandbox-"); err != nil {
			return s, fmt.Errorf("making a directory for the sandbox: %w", err)
		}
		s.removeDir = true
	}
	if err = s.startClusters(ctx); err != nil {
		return s, err
	}
	if err = s.build(ctx, o.Log); err != nil {
		return s, err
	}
	if err = s.play(ctx); err != nil {
		return s, err
	}
	if o.Tctl != "" {
		if err = s.startTctl(ctx); err != nil {
			return s, err
		}
	}
	if !o.Webhook {
		return s, nil
	}
	return s, s.startWebhook(ctx, o.Log)
}

func (s *Sandbox) startClusters(ctx context.Context) (err error) {
	o := testbed.Options{Clusters: append([]string{hub}, s.options.Edges...), Dir: filepath.Join(s.Dir, "bed"),
		Log: s.options.Log}
	if s.options.Standby {
		o.Clusters = append(o.Clusters, standby)
	}
	if s.options.Installation.CertManager {
		o.CertManager = []string{hub}
	}
	if s.options.Pool != nil {
		s.Bed, err = s.options.Pool.Start(ctx, o)
		return err
	}
	fmt.Fprintf(o.Log, "Starting %d Kubernetes API servers on this machine (about %d seconds) ...\n", len(o.Clusters),
		3*len(o.Clusters))
	s.Bed, err = testbed.Start(ctx, o)
	return err
}

// play installs the stand-in and starts it.
func (s *Sandbox) play(ctx context.Context) (err error) {
	site := func(name, cluster string) xcpsim.Site {
		c := s.Bed.Cluster(cluster)
		return xcpsim.Site{Name: name, Config: c.Config, KubeletIP: c.KubeletIP, Cluster: cluster}
	}
	o := s.options
	sim := xcpsim.Options{Hub: site(hub, hub), Switches: o.Switches, Cadence: o.Cadence,
		Installation: o.Installation, Log: o.SimLog}
	for _, name := range o.Edges {
		sim.Edges = append(sim.Edges, site(name, name))
	}
	if o.HubIsEdge {
		sim.Edges = append(sim.Edges, site(hub, hub))
	}
	for _, name := range slices.Sorted(maps.Keys(o.Neighbours)) {
		e := site(name, o.Neighbours[name])
		e.Namespace = name
		sim.Edges = append(sim.Edges, e)
	}
	members := len(sim.Edges) + 1
	if o.Standby {
		sim.Standby = site(standby, standby)
		members++
	}
	fmt.Fprintf(o.Log, "Installing the stand-in for Tetrate Service Bridge: Central, MPC and %d edges on mutual TLS ...\n",
		len(sim.Edges))
	if err := xcpsim.Install(ctx, sim); err != nil {
		return err
	}
	if s.Sim, err = xcpsim.Start(ctx, sim); err != nil {
		return err
	}
	if err := s.connected(ctx, members); err != nil {
		return err
	}
	return s.minted(ctx, sim.Edges)
}

// minted waits until the operator of every edge has made its tokens, as that of a healthy edge has.
func (s *Sandbox) minted(ctx context.Context, edges []xcpsim.Site) error {
	tokens := []string{"oap-token", "otel-token"}
	if !s.options.Switches.MintOnlyAfterFlip || s.options.Installation.LongLivedTokens {
		tokens = append(tokens, "xcp-edge-central-auth-token")
	}
	if s.options.Installation.NoCredentials {
		return nil
	}
	for _, edge := range edges {
		kube, err := kubernetes.NewForConfig(edge.Config)
		if err != nil {
			return fmt.Errorf("making a client for %s: %w", edge.Name, err)
		}
		secrets := kube.CoreV1().Secrets(cmp.Or(edge.Namespace, s.options.Installation.ControlPlaneNamespace))
		for _, name := range tokens {
			err := Await(ctx, "secret "+name+" of "+edge.Name, time.Minute, func() bool {
				_, err := secrets.Get(ctx, name, metav1.GetOptions{})
				return err == nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// Await polls a condition of the fleet until it holds, or says what was waited for.
func Await(ctx context.Context, what string, within time.Duration, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: not within %s", what, within)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return nil
}

// connected waits for the given number of sessions.
func (s *Sandbox) connected(ctx context.Context, want int) error {
	err := Await(ctx, fmt.Sprintf("%d sessions with Central", want), time.Minute,
		func() bool { return len(s.Sim.Sessions()) >= want })
	if err != nil {
		return fmt.Errorf("%w; refused so far: %v", err, s.Sim.Refusals())
	}
	return nil
}

// Stop stops everything that was started, in the opposite order. It may be called again.
func (s *Sandbox) Stop() {
	if s.webhook != nil {
		s.webhook.Close()
		s.webhook = nil
	}
	if s.Sim != nil {
		s.Sim.Stop()
		s.Sim = nil
	}
	if s.Bed != nil {
		s.Bed.Stop()
		s.Bed = nil
	}
	if s.removeDir {
		os.RemoveAll(s.Dir)
	}
}

// Root is the directory of the checkout, found from the working directory upwards.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil &&
			bytes.HasPrefix(b, []byte("module github.com/xcpauth/kubectl-xcpauth\n")) {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("finding the checkout: no go.mod of kubectl-xcpauth above the working directory")
		}
		dir = up
	}
}

// built is where the commands of this module lie that were built, by package: a link to one costs nothing, and building
// it again some seconds.
var built = struct {
	sync.Mutex
	at map[string][]string
}{at: map[string][]string{}}

// Build compiles a command of this module into a file, or makes that a link to a file that this process made of it
// before, as long as one of them is still there.
func Build(ctx context.Context, pkg, to string) error {
	built.Lock()
	defer built.Unlock()
	before := slices.DeleteFunc(built.at[pkg], func(file string) bool {
		_, err := os.Stat(file)
		return err != nil
	})
	if !slices.ContainsFunc(before, func(file string) bool { return os.Link(file, to) == nil }) {
		root, err := Root()
		if err != nil {
			return err
		}
		cmd := exec.CommandContext(ctx, "go", "build", "-o", to, pkg)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("building %s: %w\n%s", pkg, err, out)
		}
	}
	built.at[pkg] = append(before, to)
	return nil
}

// BinDir is the directory that holds kubectl and the plugin.
func (s *Sandbox) BinDir() string { return filepath.Join(s.Dir, "bin") }

func (s *Sandbox) build(ctx context.Context, log io.Writer) error {
	fmt.Fprintln(log, "Building the plugin ...")
	if err := os.MkdirAll(s.BinDir(), 0o755); err != nil {
		return fmt.Errorf("making the sandbox's bin directory: %w", err)
	}
	kubectl := filepath.Join(s.BinDir(), "kubectl")
	os.Remove(kubectl)
	if err := os.Symlink(filepath.Join(s.Bed.Bin, "kubectl"), kubectl); err != nil {
		return fmt.Errorf("placing kubectl: %w", err)
	}
	return Build(ctx, "./plugin/kubectl-xcpauth", filepath.Join(s.BinDir(), "kubectl-xcpauth"))
}

// Env is the environment in which kubectl finds the fleet and the plugin.
func (s *Sandbox) Env() []string {
	env := make([]string, 0, len(os.Environ())+3)
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); name != "KUBECONFIG" && name != "PATH" && name != "KREW_ROOT" {
			env = append(env, kv)
		}
	}
	return append(append(env, s.tctlEnv()...), "KUBECONFIG="+s.Bed.Kubeconfig,
		"PATH="+s.BinDir()+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECACHEDIR="+filepath.Join(s.Dir, "kubecache"),
		"XDG_CACHE_HOME="+filepath.Join(s.Dir, "cache"))
}

// Run is what a command printed and how it ended.
type Run struct {
	Stdout, Stderr string
	Code           int
}

// Kubectl runs the real kubectl, which finds the plugin by its name, and waits for it.
func (s *Sandbox) Kubectl(ctx context.Context, args ...string) Run {
	return s.KubectlInput(ctx, "", args...)
}

// KubectlInput is Kubectl with text on its standard input.
func (s *Sandbox) KubectlInput(ctx context.Context, stdin string, args ...string) Run {
	cmd := s.Command(ctx, args...)
	var out, errOut bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errOut
	err := cmd.Run()
	r := Run{Stdout: out.String(), Stderr: errOut.String(), Code: cmd.ProcessState.ExitCode()}
	if err != nil && r.Code == -1 {
		r.Stderr += err.Error()
	}
	return r
}

// Command is the real kubectl with arguments, not started yet.
func (s *Sandbox) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir(), "kubectl"), args...)
	cmd.Env = s.Env()
	return cmd
}
