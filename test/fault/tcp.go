package fault

import (
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// TCP says how a TCP proxy fails. The zero value passes everything on.
type TCP struct {
	// Stall accepts and never answers.
	Stall bool
	// Reset answers a connection with a reset.
	Reset bool
	// StallAfter and CutAfter are how many bytes a server may answer on a connection before the rest is kept back for
	// good, or the connection is closed; 0 = all.
	StallAfter, CutAfter int
	// Rate is how many bytes a second a server may answer on a connection; 0 = as many as it likes.
	Rate int
}

// Proxy is a TCP proxy on a loopback address. What passes through it is not looked at: TLS goes from end to end.
type Proxy struct {
	Address string // host:port

	fault  TCP
	target string
	l      net.Listener
	done   chan struct{}
	conns  sync.WaitGroup
}

// Listen starts a proxy to a target (host:port), on another port of the target's own address, which the target's
// certificate names.
func Listen(target string, f TCP) (*Proxy, error) {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return nil, fmt.Errorf("starting a proxy to %s: %w", target, err)
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, fmt.Errorf("starting a proxy to %s: %w", target, err)
	}
	p := &Proxy{Address: l.Addr().String(), fault: f, target: target, l: l, done: make(chan struct{})}
	p.conns.Go(p.accept)
	return p, nil
}

// Close ends the proxy and every connection through it.
func (p *Proxy) Close() {
	close(p.done)
	p.l.Close()
	p.conns.Wait()
}

func (p *Proxy) accept() {
	for {
		c, err := p.l.Accept()
		if err != nil {
			return // closed
		}
		p.conns.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

// serve is one connection, until either side ends it.
func (p *Proxy) serve(client *net.TCPConn) {
	defer client.Close()
	switch {
	case p.fault.Reset:
		client.SetLinger(0)
		return
	case p.fault.Stall:
		<-p.done
		return
	}
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	ended := make(chan struct{}, 2)
	p.conns.Go(func() { io.Copy(server, client); ended <- struct{}{} })
	p.conns.Go(func() { p.answer(client, server); ended <- struct{}{} })
	select {
	case <-ended:
	case <-p.done:
	}
}

// answer passes on what a server answers, as far and as fast as the fault lets it.
func (p *Proxy) answer(client, server net.Conn) {
	var from io.Reader = server
	if limit := p.fault.StallAfter + p.fault.CutAfter; limit > 0 {
		from = io.LimitReader(server, int64(limit))
	}
	if p.fault.Rate == 0 {
		io.Copy(client, from)
	} else {
		p.drip(client, from)
	}
	if p.fault.StallAfter > 0 {
		<-p.done
	}
}

// drips is how many times a second a dripping proxy passes something on.
const drips = 20

func (p *Proxy) drip(client io.Writer, from io.Reader) {
	tick := time.NewTicker(time.Second / drips)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-p.done:
			return
		}
		if _, err := io.CopyN(client, from, int64(max(1, p.fault.Rate/drips))); err != nil {
			return
		}
	}
}
