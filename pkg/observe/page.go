package observe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

const (
	// maxPage bounds a metrics page, in bytes; a busy Central's is some hundred kilobytes.
	maxPage = 16 << 20
	// keptFor is how long a port-forward is kept that is not used.
	keptFor = 30 * time.Second
)

// page is a connection to the port of a pod that serves a metrics page. One goroutine uses it at a time.
type page struct {
	conn  net.Conn
	from  *bufio.Reader
	ended bool // nothing more can be asked
	idle  *time.Timer
}

// get asks for the page. With again the pod is to leave the connection open; after an error, and where the pod ends
// it in spite of that, the connection is closed. It is closed when ctx ends, too.
func (p *page) get(ctx context.Context, again bool) (body []byte, err error) {
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer func() {
		if !stop() || err != nil || p.ended {
			p.ended = true
			p.conn.Close()
		}
	}()
	question := "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\n"
	if !again {
		question += "Connection: close\r\n"
	}
	if _, err := io.WriteString(p.conn, question+"\r\n"); err != nil {
		return nil, err
	}
	resp, err := http.ReadResponse(p.from, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errors.New(resp.Status)
	}
	p.ended = resp.Close || !again
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	if err == nil && len(body) > maxPage {
		return nil, fmt.Errorf("the page is longer than %d MiB, and was not read", maxPage>>20)
	}
	return body, err
}

// pages are the connections to metrics pages that are kept, and not in use.
type pages struct {
	mu   sync.Mutex
	kept map[pageKey]*page
}

// pageKey is what a connection leads to: a port of a pod of a cluster, with the credential that the client has.
type pageKey struct {
	cluster *kubeconfig.Cluster
	read    plan.Read
}

// take returns the connection that is kept, or nil. It is the caller's from now on.
func (s *pages) take(k pageKey) *page {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.kept[k]
	if p != nil {
		p.idle.Stop()
		delete(s.kept, k)
	}
	return p
}

// keep keeps a connection that can be used again, and closes it when nobody takes it for a while.
func (s *pages) keep(k pageKey, p *page) {
	if p.ended {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept[k] != nil {
		p.conn.Close()
		return
	}
	if s.kept == nil {
		s.kept = map[pageKey]*page{}
	}
	s.kept[k] = p
	p.idle = time.AfterFunc(keptFor, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.kept[k] == p {
			delete(s.kept, k)
			p.conn.Close()
		}
	})
}
