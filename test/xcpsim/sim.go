package xcpsim

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
)

// Site is one plane and the cluster that it is in; the hub may be one of the edges too, then both have the same name.
type Site struct {
	Name      string // also the cluster's name in TSB, where it is an edge
	Config    *rest.Config
	KubeletIP string // a loopback address that this cluster's node answers on
	Cluster   string // names the Kubernetes cluster where an edge shares one with another; Name when empty
	Namespace string // of an edge's ControlPlane; Installation.ControlPlaneNamespace when empty
}

// cluster is the name of the Kubernetes cluster.
func (s Site) cluster() string {
	if s.Cluster != "" {
		return s.Cluster
	}
	return s.Name
}

// namespace is where the ControlPlane of an edge is.
func (s Site) namespace(inst Installation) string {
	if s.Namespace != "" {
		return s.Namespace
	}
	return inst.ControlPlaneNamespace
}

// Options say what to play.
type Options struct {
	Hub          Site
	Standby      Site // a second management plane, which no edge dials before FailOver; none without a name
	Edges        []Site
	Switches     Switches
	Cadence      Cadence
	Installation Installation
	Hosts        []string // further names and addresses that lead to Central, besides Installation.Host
	PublicRoots  []byte   // PEM: what a JWT edge without a CA bundle trusts (its system's roots)
	Log          io.Writer
}

// Sim is a running simulation.
type Sim struct {
	opts     Options
	clusters []*cluster
	record   *record
	log      *lineWriter
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu       sync.Mutex
	edges    map[string]EdgeSwitches
	edgeWake map[string]chan struct{}
	issuers  map[string]*issuer  // by hub
	centrals map[string]*central // serving Central pods, by pod name
	active   string              // the hub that the edges' host leads to
}

// Start runs everything until Stop or the end of ctx:
//  1. per cluster, the mirrors, the node with its listener, and the pods bound to it;
//  2. on the hub, and on a standby, the management operator;
//  3. on each edge, the edge operator and the token operator.
//
// It fails only if a client or a listener cannot be made; an API server that is away is waited for.
func Start(ctx context.Context, opts Options) (*Sim, error) {
	opts.Cadence = opts.Cadence.filled()
	opts.Installation = opts.Installation.Filled()
	ctx, cancel := context.WithCancel(ctx)
	s := &Sim{
		opts: opts, record: newRecord(), log: &lineWriter{w: opts.Log}, cancel: cancel,
		edges: map[string]EdgeSwitches{}, edgeWake: map[string]chan struct{}{}, issuers: map[string]*issuer{},
		centrals: map[string]*central{}, active: opts.Hub.cluster(),
	}
	if err := s.start(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Sim) start(ctx context.Context) error {
	byName := map[string]*cluster{}
	var err error
	site := func(at Site) *cluster {
		if c, ok := byName[at.cluster()]; ok || err != nil {
			return c
		}
		var c *cluster
		if c, err = newCluster(at); err == nil {
			byName[at.cluster()] = c
			s.clusters = append(s.clusters, c)
		}
		return c
	}
	hubs := []*cluster{site(s.opts.Hub)}
	if s.opts.Standby.Name != "" {
		hubs = append(hubs, site(s.opts.Standby))
	}
	var edges []edgeSite
	for _, e := range s.opts.Edges {
		edges = append(edges, edgeSite{site(e), e.Name, e.namespace(s.opts.Installation)})
	}
	if err != nil {
		return err
	}
	var loops []func(context.Context)
	for _, hub := range hubs {
		loops = append(loops, newHubOperator(s, hub).run)
	}
	for _, e := range edges {
		s.edgeWake[e.name] = make(chan struct{}, 1)
		loops = append(loops, newEdgeOperator(s, e).run, newTokenOperator(s, e).run)
	}
	var kubelets []*podRunner
	for _, c := range s.clusters {
		k, err := newPodRunner(s, c)
		if err != nil {
			for _, other := range kubelets {
				_ = other.node.Close()
			}
			return err
		}
		kubelets = append(kubelets, k)
		loops = append(loops, k.run, c.pods.run, c.secrets.run)
		for _, p := range c.planes {
			loops = append(loops, p.run)
		}
	}
	for _, l := range loops {
		s.goRun(func() { l(ctx) })
	}
	return nil
}

// goRun runs f in a goroutine that Stop waits for.
func (s *Sim) goRun(f func()) {
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		f()
	}()
}

// Stop ends every session, goroutine and listener and returns once they are gone. The objects in the clusters stay.
func (s *Sim) Stop() {
	s.cancel()
	s.wg.Wait()
}

// Dials returns every dial so far, oldest first.
func (s *Sim) Dials() []Dial { return s.record.allDials() }

// Refusals returns the dials in which one side turned the other away for its credential.
func (s *Sim) Refusals() []Dial {
	var out []Dial
	for _, d := range s.Dials() {
		if d.Refused() {
			out = append(out, d)
		}
	}
	return out
}

// Sessions returns the live sessions, oldest first.
func (s *Sim) Sessions() []Session { return s.record.liveSessions() }

// SetEdge changes the behaviour of one edge from now on; an unknown name changes nothing.
func (s *Sim) SetEdge(name string, to EdgeSwitches) {
	s.mu.Lock()
	defer s.mu.Unlock()
	wake, ok := s.edgeWake[name]
	if !ok {
		return
	}
	s.edges[name] = to
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (s *Sim) edge(name string) EdgeSwitches {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edges[name]
}

// FailOver lets the edges' host lead to the Central of another hub from now on (its cluster's name), as a floating
// DNS name does: sessions that are open stay where they are, and tokens are minted there.
func (s *Sim) FailOver(hub string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active = hub
}

func (s *Sim) setIssuer(hub string, i *issuer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issuers[hub] = i
}

// issuerOf returns the issuer of a hub, of the active one if it has no name; nil if it has no key yet.
func (s *Sim) issuerOf(hub string) *issuer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if hub == "" {
		hub = s.active
	}
	return s.issuers[hub]
}

// edgeNamed returns the name of the edge whose pods are in a namespace of a cluster.
func (s *Sim) edgeNamed(c *cluster, namespace string) string {
	for _, e := range s.opts.Edges {
		if e.cluster() == c.site.cluster() && e.namespace(s.opts.Installation) == namespace {
			return e.Name
		}
	}
	return c.site.Name
}

func (s *Sim) addCentral(c *central) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.centrals[c.pod] = c
}

func (s *Sim) removeCentral(pod string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.centrals, pod)
}

// resolve is the network between members and Central: it knows the hosts that lead there and picks one of the serving
// pods, as the load balancer and the Service do. MPC reaches Central inside its own hub, whatever the host is called;
// hub is empty for an edge.
func (s *Sim) resolve(hub, host string) (addr string, err error) {
	known := hub != "" || strings.EqualFold(host, s.opts.Installation.Host)
	for _, h := range s.opts.Hosts {
		known = known || strings.EqualFold(host, h)
	}
	if !known {
		return "", &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if hub == "" {
		hub = s.active
	}
	var up []string
	for _, c := range s.centrals {
		if c.hub == hub {
			up = append(up, c.addr)
		}
	}
	if len(up) == 0 {
		return "", fmt.Errorf("connect: connection refused: no Central pod serves")
	}
	return up[rand.IntN(len(up))], nil
}

func (s *Sim) publicRoots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.opts.PublicRoots)
	return pool
}

// lineWriter writes whole lines from many goroutines, with the time and the part that speaks.
type lineWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lineWriter) printf(who, format string, args ...any) {
	if l.w == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(l.w, "%s %s: %s\n", time.Now().UTC().Format("15:04:05.000"), who, fmt.Sprintf(format, args...))
}
