package apifake

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// pod is what is behind each of its ports.
type pod func(stream io.ReadWriteCloser) error

// PortForward implements portforward.PortForwarder.
func (p pod) PortForward(_ context.Context, _, _ string, _ int32, stream io.ReadWriteCloser) error {
	return p(stream)
}

// Forward answers a port-forward by the streaming server of a node. The pod reads one HTTP request from the port, and
// then answers by answer; its error is what the node says of a failure.
func Forward(w http.ResponseWriter, r *http.Request, answer func(to io.Writer) error) {
	forward(w, r, func(stream io.ReadWriteCloser) error {
		if _, err := http.ReadRequest(bufio.NewReader(stream)); err != nil {
			return err
		}
		return answer(stream)
	})
}

// ForwardHTTP answers a port-forward by the streaming server of a node. The pod serves HTTP at the port, and takes one
// request after the other.
func ForwardHTTP(w http.ResponseWriter, r *http.Request, pod http.Handler) {
	forward(w, r, func(stream io.ReadWriteCloser) error {
		s := &http.Server{Handler: pod}
		ended := make(chan struct{})
		l := &once{conn: streamConn{stream}, ended: ended}
		s.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				close(ended)
			}
		}
		if err := s.Serve(l); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
}

func forward(w http.ResponseWriter, r *http.Request, to pod) {
	q := r.URL.Query()
	q[portforward.PortHeader] = q["ports"] // as the API server hands it on
	r.URL.RawQuery = q.Encode()
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, to, "", "", options, time.Minute, time.Minute, portforward.SupportedProtocols)
}

// once is a listener to which one connection comes. It is closed when that has ended.
type once struct {
	conn  net.Conn
	taken bool
	ended <-chan struct{}
}

func (o *once) Accept() (net.Conn, error) {
	if !o.taken {
		o.taken = true
		return o.conn, nil
	}
	<-o.ended
	return nil, net.ErrClosed
}

func (*once) Close() error   { return nil }
func (*once) Addr() net.Addr { return &net.TCPAddr{} }

// streamConn is a stream as a connection without deadlines.
type streamConn struct{ io.ReadWriteCloser }

func (streamConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (streamConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (streamConn) SetDeadline(time.Time) error      { return nil }
func (streamConn) SetReadDeadline(time.Time) error  { return nil }
func (streamConn) SetWriteDeadline(time.Time) error { return nil }
