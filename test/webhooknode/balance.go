package webhooknode

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Admission is the address of the node's admission port.
func (n *Node) Admission() string { return net.JoinHostPort(n.ip, n.port) }

// Balance plays kube-proxy for a Service's address: each connection goes to the next of the nodes that was ready when it was last
// asked, which is every 100 milliseconds; one that does not answer that within a second is not. The returned function ends it.
func Balance(clusterIP string, nodes ...*Node) (stop func(), err error) {
	l, err := net.Listen("tcp4", net.JoinHostPort(clusterIP, nodes[0].port))
	if err != nil {
		return nil, fmt.Errorf("listening at the Service's address: %w", err)
	}
	b := &balancer{nodes: nodes, ready: make([]bool, len(nodes))}
	for i, n := range nodes {
		b.ready[i] = n.Ready(context.Background()) == nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	var loops sync.WaitGroup
	for i := range nodes {
		loops.Go(func() { b.watch(ctx, i) })
	}
	loops.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			loops.Go(func() { b.forward(ctx, c) })
		}
	})
	return func() { l.Close(); cancel(); loops.Wait() }, nil
}

type balancer struct {
	nodes []*Node
	mu    sync.Mutex
	ready []bool
	last  int
}

// watch asks one node whether it is ready.
func (b *balancer) watch(ctx context.Context, i int) {
	for ctx.Err() == nil {
		probe, cancel := context.WithTimeout(ctx, time.Second)
		ready := b.nodes[i].Ready(probe) == nil
		cancel()
		b.mu.Lock()
		b.ready[i] = ready
		b.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// next is the node for a new connection, nil while none is ready.
func (b *balancer) next() *Node {
	b.mu.Lock()
	defer b.mu.Unlock()
	for range b.nodes {
		if b.last = (b.last + 1) % len(b.nodes); b.ready[b.last] {
			return b.nodes[b.last]
		}
	}
	return nil
}

// forward joins a client with a node until either hangs up.
func (b *balancer) forward(ctx context.Context, client net.Conn) {
	defer client.Close()
	n := b.next()
	if n == nil {
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
