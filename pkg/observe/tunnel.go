package observe

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// The names of a port-forward's protocol and headers (k8s.io/api/core/v1 and k8s.io/client-go/tools/portforward have
// them too, and are not linked: they bring every type of Kubernetes, a fifth of the plugin).
const (
	protocolPortForward = "portforward.k8s.io"
	protocolTunnel      = "SPDY/3.1+" + protocolPortForward
	headerStreamType    = "streamType"
	headerPort          = "port"
	headerRequestID     = "requestID"
	streamError         = "error"
	streamData          = "data"
)

// overWebSocket opens a port-forward as API servers of 1.31 and newer offer it: SPDY in the binary messages of a
// WebSocket.
func overWebSocket(ctx context.Context, target *url.URL, cfg *rest.Config) (httpstream.Connection, error) {
	transport, holder, err := websocket.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	conn, err := websocket.Negotiate(transport, holder, req, protocolTunnel)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, errors.New("the API server took the WebSocket and gave none")
	}
	return spdy.NewClientConnectionWithPings(&tunnel{messages: conn}, 10*time.Second)
}

// messages is what we use of a WebSocket.
type messages interface {
	NextReader() (messageType int, r io.Reader, err error)
	WriteMessage(messageType int, data []byte) error
	WriteControl(messageType int, data []byte, deadline time.Time) error
	Close() error
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// The types of a message that carries bytes, and of one that closes (RFC 6455, 11.8).
const (
	binary  = 2
	closing = 8
)

// normalClosure is the body of a message that closes because all is said: code 1000 (RFC 6455, 7.4.1).
var normalClosure = []byte{0x03, 0xe8}

// tunnel is a net.Conn whose bytes are the bodies of binary messages. One goroutine may read and one may write at a
// time, as SPDY does.
type tunnel struct {
	messages
	rest io.Reader // of the message that is being read
}

// Read implements net.Conn.
func (t *tunnel) Read(p []byte) (int, error) {
	for {
		if t.rest == nil {
			kind, r, err := t.NextReader()
			if err != nil {
				return 0, err
			}
			if kind != binary {
				return 0, errors.New("the API server sent a message that is not binary through a port-forward")
			}
			t.rest = r
		}
		n, err := t.rest.Read(p)
		if errors.Is(err, io.EOF) {
			t.rest, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// Write implements net.Conn.
func (t *tunnel) Write(p []byte) (int, error) {
	if err := t.WriteMessage(binary, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close implements net.Conn. It says goodbye first, and does not mind when nobody listens any more.
func (t *tunnel) Close() error {
	_ = t.WriteControl(closing, normalClosure, time.Now().Add(time.Second))
	return t.messages.Close()
}

// SetDeadline implements net.Conn.
func (t *tunnel) SetDeadline(at time.Time) error {
	return errors.Join(t.SetReadDeadline(at), t.SetWriteDeadline(at))
}
