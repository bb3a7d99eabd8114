package testbed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// Pool keeps clusters running and lends them to one test after the other. What is lent is as it was just after its
// start: whatever a test leaves behind is taken away when it gives the clusters back. That costs a fraction of a second
// of processor time, and a start some seconds.
//
// The user and service account keys, the addresses and the processes stay the same; a cluster whose API server was
// killed or started again gets new processes.
type Pool struct {
	bed *Bed // all of them, and the servers
	o   Options

	mu    sync.Mutex
	idle  []*Cluster         // running, and as they were saved
	fresh []*Cluster         // not started yet
	saved map[*Cluster]saved // as each was after its start
	lost  int                // how many could not be restored, and are lent no more
	freed chan struct{}      // closed, and another made, when clusters come back
	slots chan struct{}      // as many as may start at the same time
}

// NewPool makes a pool of at most so many clusters, of which none runs yet. Of the options it takes Dir, Log,
// NoVendorCRDs and Prepare.
func NewPool(ctx context.Context, clusters int, o Options) (_ *Pool, err error) {
	o.Clusters, o.CertManager = nil, nil
	for i := range clusters {
		o.Clusters = append(o.Clusters, fmt.Sprintf("cluster-%d", i+1))
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	b := &Bed{}
	defer func() {
		if err != nil {
			b.Stop()
		}
	}()
	if b.Bin, err = Binaries(ctx, o.Log); err != nil {
		return nil, err
	}
	if err := b.prepare(o); err != nil {
		return nil, err
	}
	if err := b.startEtcd(ctx); err != nil {
		return nil, err
	}
	return &Pool{
		bed: b, o: o, fresh: b.Clusters(), saved: map[*Cluster]saved{},
		freed: make(chan struct{}), slots: make(chan struct{}, atOnce),
	}, nil
}

// Stop ends every process of the pool.
func (p *Pool) Stop() { p.bed.Stop() }

// Start lends clusters as Start starts them: under the names of the options, with a kubeconfig of their own in Dir,
// which is needed. It waits until there are enough. Stop of the bed gives them back.
func (p *Pool) Start(ctx context.Context, o Options) (*Bed, error) {
	switch err := o.check(); {
	case err != nil:
		return nil, err
	case o.Dir == "" || o.NoVendorCRDs != p.o.NoVendorCRDs:
		return nil, errors.New("a pool lends clusters with the kinds that it began with, and into a directory")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the bed's directory: %w", err)
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", o.Dir, err)
	}
	taken, err := p.take(ctx, len(o.Clusters))
	if err != nil {
		return nil, err
	}
	b := &Bed{Bin: p.bed.Bin, Dir: dir, clusters: taken, giveBack: func() { p.giveBack(taken) }}
	for i, c := range taken {
		c.Name = o.Clusters[i]
	}
	if err := errors.Join(each(ctx, taken, p.ensureStarted), b.finish(ctx, o)); err != nil {
		b.Stop()
		return nil, err
	}
	return b, nil
}

// take takes n clusters, running ones first, as soon as there are so many.
func (p *Pool) take(ctx context.Context, n int) ([]*Cluster, error) {
	for {
		p.mu.Lock()
		if len(p.idle)+len(p.fresh) >= n {
			var taken []*Cluster
			for _, from := range []*[]*Cluster{&p.idle, &p.fresh} {
				k := min(n-len(taken), len(*from))
				taken, *from = append(taken, (*from)[:k]...), (*from)[k:]
			}
			p.mu.Unlock()
			return taken, nil
		}
		freed, left := p.freed, len(p.bed.clusters)-p.lost
		p.mu.Unlock()
		if left < n {
			return nil, fmt.Errorf("a pool with %d clusters left cannot lend %d", left, n)
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for %d clusters of a pool: %w", n, context.Cause(ctx))
		}
	}
}

// ensureStarted starts a cluster that does not run yet, and saves its state.
func (p *Pool) ensureStarted(ctx context.Context, c *Cluster) error {
	p.mu.Lock()
	started := p.saved[c] != nil
	p.mu.Unlock()
	if started {
		return nil
	}
	p.slots <- struct{}{}
	defer func() { <-p.slots }()
	if err := c.start(ctx, !p.o.NoVendorCRDs); err != nil {
		return err
	}
	if p.o.Prepare != nil {
		if err := p.o.Prepare(ctx, c); err != nil {
			return fmt.Errorf("preparing cluster %s: %w", c.id, err)
		}
	}
	state, err := c.save(ctx)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved[c] = state
	return nil
}

// giveBack restores clusters and lends them again. One that cannot be restored is not lent again: it is left to Stop.
func (p *Pool) giveBack(clusters []*Cluster) {
	var whole []*Cluster
	var mu sync.Mutex
	each(context.Background(), clusters, func(ctx context.Context, c *Cluster) error {
		p.mu.Lock()
		state := p.saved[c]
		p.mu.Unlock()
		err := errors.New("it did not start")
		if state != nil {
			err = c.renew(ctx, state)
		}
		if err != nil {
			fmt.Fprintf(p.o.Log, "cluster %s (%s) is not lent again: %v\n", c.id, c.Name, err)
			return nil // the others are
		}
		mu.Lock()
		defer mu.Unlock()
		whole = append(whole, c)
		return nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle, p.lost = append(p.idle, whole...), p.lost+len(clusters)-len(whole)
	close(p.freed)
	p.freed = make(chan struct{})
}

// renew makes a cluster what it was after its start:
//
//  1. end cert-manager's controllers;
//  2. start the servers again, unless the API server has run all the while, or was only frozen;
//  3. restore what is in etcd.
func (c *Cluster) renew(ctx context.Context, to saved) error {
	c.StopCertManager()
	c.Thaw()
	c.mu.Lock()
	restarted := c.restarted
	c.mu.Unlock()
	if restarted {
		if err := c.startAgain(ctx); err != nil {
			return err
		}
	}
	return c.restore(ctx, to)
}

// startAgain ends both servers and starts them on the same data, with the flags that they had at first. It does not
// wait for the controllers: what a test left behind may keep them from catching up.
func (c *Cluster) startAgain(ctx context.Context) error {
	c.Config = c.UserConfig("admin", "system:masters")
	if err := c.RestartAPIServer(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.controllers.end()
	kcm, err := c.startControllers()
	if err != nil {
		return err
	}
	c.controllers, c.restarted = kcm, false
	return nil
}
