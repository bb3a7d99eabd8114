package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Options says what to start.
type Options struct {
	Clusters []string // context names, each once: lower case letters, digits, "-" and "."
	// where certificates, kubeconfig and logs go, for one bed at a time; "" = a temporary directory removed by Stop
	Dir          string
	Log          io.Writer // progress lines; nil = discard
	NoVendorCRDs bool      // leave the vendor's kinds out
	CertManager  []string  // the clusters with cert-manager, as StartCertManager starts it

	// Prepare is what a pool does to each cluster after its start: it belongs to what a cluster is when it is lent.
	Prepare func(context.Context, *Cluster) error
}

// Bed is a set of running clusters.
type Bed struct {
	Kubeconfig string // one file, one context per cluster, admin credentials; the current one is the first cluster
	Bin        string // the directory with kubectl, kube-apiserver, kube-controller-manager, etcd and cert-manager
	Dir        string // certificates, kubeconfig and logs

	clusters []*Cluster
	servers  *servers
	etcd     *program
	etcdPort int
	scratch  []string // directories that go when the servers have: the keeper removes them, and Stop if there is none
	blocks   []*block
	stop     sync.Once
	giveBack func() // of clusters that a pool has lent; then the pool has the servers
}

// startupLimit is how long any one server may take to become ready on a busy machine.
const startupLimit = 3 * time.Minute

// atOnce is how many API servers start at the same time: more take as long together, and the first is usable later.
const atOnce = 2

// Start starts the clusters and returns when all are ready: /readyz is ok, the vendor's kinds are served, and the
// namespace "default" has its service account and kube-root-ca.crt. The context bounds the start alone.
// The error of a server that did not come up carries the end of its log; nothing is left running then.
//
// Steps:
//  1. Find or build the binaries.
//  2. Claim loopback addresses, make the directory, start the keeper.
//  3. Start etcd.
//  4. Start the clusters, a few at a time.
//  5. Start cert-manager where it is asked for.
//  6. Write the kubeconfig.
func Start(ctx context.Context, o Options) (_ *Bed, err error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	began := time.Now()
	b := &Bed{}
	defer func() {
		if err != nil {
			b.Stop()
		}
	}()
	if b.Bin, err = Binaries(ctx, o.Log); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "starting %d clusters: %v\n", len(o.Clusters), o.Clusters)
	if err := b.prepare(o); err != nil {
		return nil, err
	}
	if err := b.startEtcd(ctx); err != nil {
		return nil, err
	}
	if err := b.startClusters(ctx, o); err != nil {
		return nil, err
	}
	if err := b.finish(ctx, o); err != nil {
		return nil, err
	}
	fmt.Fprintf(o.Log, "%d clusters ready in %s; kubeconfig %s\n", len(o.Clusters),
		time.Since(began).Round(100*time.Millisecond), b.Kubeconfig)
	return b, nil
}

// finish starts cert-manager where it is asked for, and writes the kubeconfig.
func (b *Bed) finish(ctx context.Context, o Options) error {
	for _, name := range o.CertManager {
		if err := b.Cluster(name).StartCertManager(ctx); err != nil {
			return err
		}
	}
	admins := map[string]*rest.Config{}
	for _, c := range b.clusters {
		admins[c.Name] = c.Config
	}
	b.Kubeconfig = filepath.Join(b.Dir, "kubeconfig")
	return WriteKubeconfig(b.Kubeconfig, o.Clusters[0], admins)
}

// ForTest starts clusters for one test and stops them when it ends. When the test failed, it logs the end of every
// server's log; the whole logs are in the test's artifact directory, which `go test -artifacts` keeps.
func ForTest(t testing.TB, clusters ...string) *Bed {
	t.Helper()
	b, err := Start(t.Context(), Options{Clusters: clusters, Dir: t.ArtifactDir(), Log: t.Output()})
	if err != nil {
		t.Fatalf("starting clusters %v: %v", clusters, err)
	}
	t.Cleanup(func() {
		b.Stop()
		if t.Failed() {
			b.showLogs(t)
		}
	})
	return b
}

// Cluster returns a cluster by its context name; a name that was not started is a mistake in the caller, which panics.
func (b *Bed) Cluster(name string) *Cluster {
	for _, c := range b.clusters {
		if c.Name == name {
			return c
		}
	}
	panic(fmt.Sprintf("testbed: no cluster %q was started", name))
}

// Clusters returns all clusters in the order of Options.Clusters.
func (b *Bed) Clusters() []*Cluster { return append([]*Cluster(nil), b.clusters...) }

// Stop ends every process, frozen ones too, and removes what is of no further use: the temporary directory, or with
// Options.Dir etcd's data alone. It returns when all are gone; further calls do nothing.
func (b *Bed) Stop() {
	b.stop.Do(func() {
		if b.giveBack != nil {
			b.giveBack()
			return
		}
		if b.servers != nil {
			b.servers.stop()
		}
		for _, x := range b.blocks {
			x.release()
		}
		for _, dir := range b.scratch {
			os.RemoveAll(dir)
		}
	})
}

// WriteKubeconfig writes one kubeconfig with a context, a cluster and a user per given configuration, all of that name.
// It takes over the address, the CA and the credential (client certificate or bearer token), nothing else.
func WriteKubeconfig(path, current string, configs map[string]*rest.Config) error {
	k := clientcmdapi.NewConfig()
	for name, c := range configs {
		k.Clusters[name] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
		k.AuthInfos[name] = &clientcmdapi.AuthInfo{ClientCertificateData: c.CertData, ClientKeyData: c.KeyData,
			Token: c.BearerToken}
		k.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	}
	k.CurrentContext = current
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		return fmt.Errorf("writing the kubeconfig %s: %w", path, err)
	}
	return nil
}

var clusterName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*$`)

func (o Options) check() error {
	if len(o.Clusters) == 0 {
		return errors.New("no clusters asked for: name at least one")
	}
	seen := map[string]bool{}
	for _, name := range o.Clusters {
		if !clusterName.MatchString(name) {
			return fmt.Errorf("cluster name %q: use lower case letters, digits, %q and %q", name, "-", ".")
		}
		if seen[name] {
			return fmt.Errorf("cluster %q is asked for twice", name)
		}
		seen[name] = true
	}
	for _, name := range o.CertManager {
		if !seen[name] {
			return fmt.Errorf("cert-manager is asked for in %q, which is not among the clusters %v", name, o.Clusters)
		}
	}
	return nil
}

// prepare makes the directories, claims a block of addresses per cluster and starts the keeper, which holds the claims.
func (b *Bed) prepare(o Options) error {
	if o.Dir == "" {
		dir, err := os.MkdirTemp("", "testbed-")
		if err != nil {
			return fmt.Errorf("making the bed's directory: %w", err)
		}
		b.Dir, b.scratch = dir, []string{dir}
	} else {
		dir, err := filepath.Abs(o.Dir)
		if err != nil {
			return fmt.Errorf("resolving %s: %w", o.Dir, err)
		}
		b.Dir = dir
		b.scratch = []string{b.etcdData()}
		for _, old := range []string{b.etcdData(), b.clusterDirs(), b.etcdLog()} { // of a bed before this one
			if err := os.RemoveAll(old); err != nil {
				return fmt.Errorf("clearing the bed's directory: %w", err)
			}
		}
	}
	var holds []*os.File
	for _, name := range o.Clusters {
		x, err := claimBlock()
		if err != nil {
			return err
		}
		b.blocks, holds = append(b.blocks, x), append(holds, x.hold)
		c, err := newCluster(b, name, x)
		if err != nil {
			return err
		}
		b.clusters = append(b.clusters, c)
	}
	var err error
	b.servers, err = startKeeper(holds, b.scratch)
	return err
}

func (b *Bed) clusterDirs() string { return filepath.Join(b.Dir, "clusters") }

// startClusters starts them all, atOnce at a time, and gives up on the rest at the first failure.
func (b *Bed) startClusters(ctx context.Context, o Options) error {
	slots := make(chan struct{}, atOnce)
	return each(ctx, b.clusters, func(ctx context.Context, c *Cluster) error {
		slots <- struct{}{}
		defer func() { <-slots }()
		err := c.start(ctx, !o.NoVendorCRDs)
		if err == nil {
			fmt.Fprintf(o.Log, "  %s ready at %s\n", c.Name, c.Server)
		}
		return err
	})
}

// each does something to all clusters side by side, and tells the rest to give up at the first failure, which it
// returns.
func each(ctx context.Context, clusters []*Cluster, do func(context.Context, *Cluster) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan error)
	for _, c := range clusters {
		go func() { results <- do(ctx, c) }()
	}
	var first error
	for range clusters {
		if err := <-results; err != nil && first == nil {
			first = err
			cancel()
		}
	}
	return first
}

func (b *Bed) showLogs(t testing.TB) {
	paths, _ := filepath.Glob(filepath.Join(b.clusterDirs(), "*", "*.log"))
	for _, path := range append(paths, b.etcdLog()) {
		t.Logf("the end of %s:\n%s", path, tail(path, 20))
	}
	t.Logf("the servers' logs were in %s (keep them with go test -artifacts)", b.Dir)
}
