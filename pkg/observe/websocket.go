package observe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/client-go/rest"
	wstransport "k8s.io/client-go/transport/websocket"
)

// protocolChannels is how the messages of a port-forward's WebSocket are to be read: each begins with the number of
// its channel. The first of a channel is the port, as 16 bits, little-endian.
const protocolChannels = "v4.channel.k8s.io"

// The channels of the only port that is forwarded.
const (
	channelData  = 0
	channelError = 1
)

// overWebSocket forwards a port as the reference of the API has it for WebSockets. What kubectl does, SPDY in the
// messages of a WebSocket, takes most of a megabyte for each connection, to compress two headers.
func overWebSocket(ctx context.Context, target *url.URL, cfg *rest.Config, port int) (net.Conn, error) {
	transport, holder, err := wstransport.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	at := *target
	at.RawQuery = url.Values{"ports": {strconv.Itoa(port)}}.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	conn, err := wstransport.Negotiate(transport, holder, req, protocolChannels)
	if err != nil {
		return nil, err
	}
	if conn == nil {
		return nil, errors.New("the API server took the WebSocket and gave none")
	}
	return &channels{messages: conn, port: port}, nil
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

// channels is a connection to a port of a pod, over the messages of a WebSocket. One goroutine may read and one may
// write at a time.
type channels struct {
	messages
	port  int
	begun [2]bool   // whether a channel's port has come
	rest  io.Reader // of the message of data that is being read
	why   []byte    // what came over the channel of errors
}

// mostSaid is how much is read of what a node says of a failure, in bytes.
const mostSaid = 1 << 10

// Read implements net.Conn. Its error is what the node said of a failure, if it said something.
func (c *channels) Read(p []byte) (int, error) {
	for {
		if c.rest == nil {
			if err := c.next(); err != nil {
				return 0, err
			}
		}
		n, err := c.rest.Read(p)
		if errors.Is(err, io.EOF) {
			c.rest, err = nil, nil
		}
		if n > 0 || err != nil {
			return n, broken(err)
		}
	}
}

// next goes on to the next message of data, and keeps what is said of a failure before it.
func (c *channels) next() error {
	for {
		kind, r, err := c.NextReader()
		switch {
		case err != nil && len(c.why) > 0:
			return errors.New(string(c.why))
		case websocket.IsCloseError(err, websocket.CloseNormalClosure):
			return io.EOF
		case err != nil:
			return broken(err)
		case kind != websocket.BinaryMessage:
			return errors.New("the API server sent a message that is not binary through a port-forward")
		}
		channel, err := c.channel(r)
		switch {
		case err != nil:
			return err
		case channel == channelData:
			c.rest = r
			return nil
		case channel == channelError:
			said, err := io.ReadAll(io.LimitReader(r, mostSaid))
			if err != nil {
				return broken(err)
			}
			c.why = append(c.why, said[:min(len(said), mostSaid-len(c.why))]...)
		}
	}
}

// channel reads which channel a message is of, -1 for none, and the port that a channel begins with.
func (c *channels) channel(r io.Reader) (int, error) {
	var number [1]byte
	switch _, err := io.ReadFull(r, number[:]); {
	case errors.Is(err, io.EOF): // an empty message
		return -1, nil
	case err != nil:
		return 0, broken(err)
	case int(number[0]) >= len(c.begun):
		return 0, fmt.Errorf("the API server sent a message of channel %d through the port-forward of one port", number[0])
	}
	channel := int(number[0])
	if c.begun[channel] {
		return channel, nil
	}
	var port [2]byte
	switch _, err := io.ReadFull(r, port[:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF): // the message ends
		return 0, fmt.Errorf("the API server's port-forward does not begin with the port %d", c.port)
	case err != nil:
		return 0, broken(err)
	}
	if got := int(binary.LittleEndian.Uint16(port[:])); got != c.port {
		return 0, fmt.Errorf("the API server forwards port %d instead", got)
	}
	c.begun[channel] = true
	return channel, nil
}

// broken says of a WebSocket that was closed before all was said that it was cut.
func broken(err error) error {
	var closed *websocket.CloseError
	if errors.As(err, &closed) {
		return fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, err)
	}
	return err
}

// Write implements net.Conn.
func (c *channels) Write(p []byte) (int, error) {
	if err := c.WriteMessage(websocket.BinaryMessage, append([]byte{channelData}, p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Close implements net.Conn. It says goodbye first, and does not mind when nobody listens any more.
func (c *channels) Close() error {
	_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""),
		time.Now().Add(time.Second))
	return c.messages.Close()
}

// SetDeadline implements net.Conn.
func (c *channels) SetDeadline(at time.Time) error {
	return errors.Join(c.SetReadDeadline(at), c.SetWriteDeadline(at))
}
