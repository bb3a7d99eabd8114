package webhooknode

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"
)

// Admission is the address of the node's admission port.
func (n *Node) Admission() string { return net.JoinHostPort(n.ip, n.port) }

const (
	// a pod is deleted: how long it goes on getting connections, until every kube-proxy has heard
	toldAfter = 500 * time.Millisecond
	goneAfter = time.Second            // a process is gone: a kubelet looks once a second
	beginning = 100 * time.Millisecond // between two probes of a process that is not ready yet
)

// Balancer plays what leads from a Service's address to its pods: the kubelets that probe them, the endpoints, and
// kube-proxy. See Balance.
type Balancer struct {
	nodes []*Node
	stop  func()
	mu    sync.Mutex
	ready []*process // of each node, that which its kubelet calls ready
	lost  int
	last  int
}

// Balance leads each connection to a Service's address to the next of the nodes, as Kubernetes does, and returns when
// all of them are ready.
//
//   - A process is ready once it answers its readiness probe, and no longer after as many failures in a row, each
//     within the time and as far apart, as the Deployment says. One that has been started is not the one that ran
//     before. (A kubelet's prober.)
//   - One that was sent SIGTERM, a pod that is being deleted, gets connections only while no other is ready. (KEP-1669:
//     kube-proxy falls back to endpoints that are terminating and still serving.)
//   - One that is gone gets none. For the first moments of either, nobody has heard of it yet.
func Balance(ctx context.Context, clusterIP string, nodes ...*Node) (*Balancer, error) {
	l, err := net.Listen("tcp4", net.JoinHostPort(clusterIP, nodes[0].port))
	if err != nil {
		return nil, fmt.Errorf("listening at the Service's address: %w", err)
	}
	running, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	b := &Balancer{nodes: nodes, ready: make([]*process, len(nodes)), stop: func() { l.Close(); cancel(); loops.Wait() }}
	for i := range nodes {
		loops.Go(func() { b.probe(running, i) })
	}
	loops.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			loops.Go(func() { b.forward(running, c) })
		}
	})
	for _, n := range nodes {
		if err := b.Await(ctx, n); err != nil {
			b.Close()
			return nil, err
		}
	}
	return b, nil
}

// Close ends it, with every connection.
func (b *Balancer) Close() { b.stop() }

// Lost is how often a process that was ready to its kubelet ceased to be, by as many failed probes as that takes.
func (b *Balancer) Lost() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// Await returns once the process that runs on a node is ready to its kubelet, which is when a Deployment goes on to
// its next pod. It is an error that this takes longer than a start may, or the context.
func (b *Balancer) Await(ctx context.Context, n *Node) error {
	ctx, cancel := context.WithTimeout(ctx, startupLimit)
	defer cancel()
	i := slices.Index(b.nodes, n)
	for {
		b.mu.Lock()
		p := b.ready[i]
		b.mu.Unlock()
		if p != nil && p == n.running.Load() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("node %d is not ready to its kubelet: %w", i, ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// probe is one node's kubelet.
func (b *Balancer) probe(ctx context.Context, i int) {
	var last *process
	failures := 0
	for ctx.Err() == nil {
		wait, p := beginning, b.nodes[i].running.Load()
		if p != last {
			last, failures = p, 0
		}
		if p != nil && !p.isDone() {
			within, cancel := context.WithTimeout(ctx, time.Duration(b.nodes[i].readiness.TimeoutSeconds)*time.Second)
			err := b.nodes[i].Ready(within)
			cancel()
			if p.isDone() { // whoever answered
				continue
			}
			if b.judge(i, p, err == nil, &failures) {
				wait = time.Duration(b.nodes[i].readiness.PeriodSeconds) * time.Second
			}
		}
		ended := (<-chan struct{})(nil)
		if wait > beginning {
			ended = p.done
		}
		select {
		case <-ctx.Done():
		case <-ended:
		case <-time.After(wait):
		}
	}
}

// judge takes what a probe says of a process, and returns whether it is ready.
func (b *Balancer) judge(i int, p *process, passed bool, failures *int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if passed {
		*failures, b.ready[i] = 0, p
	} else if *failures++; *failures >= int(b.nodes[i].readiness.FailureThreshold) && b.ready[i] == p {
		b.ready[i] = nil
		b.lost++
	}
	return b.ready[i] == p
}

// next is the node for a new connection and the process that is believed to run there, nil while there is none.
func (b *Balancer) next() (*Node, *process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, terminating := range []bool{false, true} {
		for range b.nodes {
			b.last = (b.last + 1) % len(b.nodes)
			if p := b.ready[b.last]; p != nil && !p.gone.before(goneAfter) && p.told.before(toldAfter) == terminating {
				return b.nodes[b.last], p
			}
		}
	}
	return nil, nil
}

// forward joins a client with a node until either hangs up.
func (b *Balancer) forward(ctx context.Context, client net.Conn) {
	defer client.Close()
	n, p := b.next()
	if n == nil || p.isDone() { // another pod would have another address
		return
	}
	server, err := net.Dial("tcp4", n.Admission())
	if err != nil {
		return
	}
	defer server.Close()
	defer context.AfterFunc(ctx, func() { client.Close(); server.Close() })()
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		go func() { io.Copy(pair[0], pair[1]); done <- struct{}{} }()
	}
	<-done
}
