package live

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// way is a way to an edge that can lose the connections that it carries without a word, as a firewall does that has
// forgotten them. New ones are carried.
type way struct {
	address string

	mu   sync.Mutex
	lost chan struct{} // closed when the connections of now are lost
}

func newWay(t *testing.T, to string) *way {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{address: l.Addr().String(), lost: make(chan struct{})}
	var carrying sync.WaitGroup
	var mu sync.Mutex
	var ends []net.Conn
	over := false
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		over = true
		for _, c := range ends {
			c.Close()
		}
		mu.Unlock()
		carrying.Wait()
	})
	carrying.Go(func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp4", to)
			if err != nil {
				here.Close()
				continue
			}
			mu.Lock()
			ends = append(ends, here, there)
			if over { // it was accepted at the very end
				here.Close()
				there.Close()
			}
			mu.Unlock()
			w.mu.Lock()
			lost := w.lost
			w.mu.Unlock()
			carrying.Go(func() { carry(there, here, lost) })
			carrying.Go(func() { carry(here, there, lost) })
		}
	})
	return w
}

// carry passes on what comes until it is lost; then it is swallowed.
func carry(to io.Writer, from io.Reader, lost chan struct{}) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		select {
		case <-lost:
		default:
			to.Write(buf[:n])
		}
	}
}

// lose loses the connections that there are.
func (w *way) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.lost)
	w.lost = make(chan struct{})
}

func TestAConnectionThatDiedWithoutAWordIsNoticed(t *testing.T) {
	h, e := startHub(t), startEdge(t, "eu")
	e.mode(true)
	w := newWay(t, e.address)
	e.address = w.address
	h.register(e)
	d := h.decider(decisionTime)
	d.admits("at first")
	w.lose()
	d.denies("lost", "did not answer within")
	for end := time.Now().Add(time.Minute); !d.decide().Allowed; { // no request is needed for it: pings find out
		if time.Now().After(end) {
			t.Fatal("the dead connection is still used")
		}
	}
}
