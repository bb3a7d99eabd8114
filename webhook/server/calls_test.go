package server

import (
	"net"
	"net/http"
	"testing"
)

// conn is a connection that tells when it is closed.
type conn struct {
	net.Conn
	name   string
	closed chan string
}

func (c conn) Close() error { c.closed <- c.name; return nil }

func TestOneConnectionTooManyCostsTheOneThatWaitedLongest(t *testing.T) {
	closed := make(chan string, 10)
	made := map[string]conn{}
	c := newCrowd(4)
	move := func(name string, states ...http.ConnState) {
		if _, there := made[name]; !there {
			made[name] = conn{name: name, closed: closed}
		}
		for _, s := range states {
			c.moved(made[name], s)
		}
	}
	move("silent-1", http.StateNew)
	move("served", http.StateNew, http.StateActive)
	move("idle", http.StateNew, http.StateActive, http.StateIdle)
	move("silent-2", http.StateNew)
	for _, want := range []string{"silent-1", "silent-2", "idle", "served"} {
		next := "after " + want
		move(next, http.StateNew)
		if got := <-closed; got != want {
			t.Errorf("closed %s, want %s", got, want)
		}
		move(next, http.StateActive)
	}
	move("after served", http.StateClosed)
	move("one more", http.StateNew)
	select {
	case got := <-closed:
		t.Errorf("closed %s although there was room", got)
	default:
	}
	if len(c.open) != 4 {
		t.Errorf("%d connections are open", len(c.open))
	}
}
