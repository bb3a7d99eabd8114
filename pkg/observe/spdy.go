package observe

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// The names of a port-forward's protocol and headers (k8s.io/api/core/v1 and k8s.io/client-go/tools/portforward have
// them too, and are not linked: they bring every type of Kubernetes, a fifth of the plugin).
const (
	protocolPortForward = "portforward.k8s.io"
	headerStreamType    = "streamType"
	headerPort          = "port"
	headerRequestID     = "requestID"
	streamError         = "error"
	streamData          = "data"
)

// overSPDY forwards a port over a connection of SPDY.
func overSPDY(target *url.URL, cfg *rest.Config, port int) (net.Conn, error) {
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	dialer := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	conn, _, err := dialer.Dial(protocolPortForward)
	if err != nil {
		return nil, err
	}
	header := http.Header{}
	header.Set(headerPort, strconv.Itoa(port))
	header.Set(headerRequestID, "0")
	header.Set(headerStreamType, streamError)
	failure, err := conn.CreateStream(header)
	if err != nil {
		conn.Close()
		return nil, err
	}
	failure.Close() // we never write to it
	header.Set(headerStreamType, streamData)
	data, err := conn.CreateStream(header)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &streams{Stream: data, failure: failure, conn: conn}, nil
}

// streams is a connection to a port of a pod over the streams of SPDY.
type streams struct {
	httpstream.Stream
	failure io.Reader
	conn    httpstream.Connection
}

// Read implements net.Conn. Its error is what the node said of a failure, if it said something.
func (s *streams) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if n > 0 || err == nil {
		return n, err
	}
	if why, _ := io.ReadAll(io.LimitReader(s.failure, mostSaid)); len(why) > 0 {
		err = errors.New(string(why))
	}
	return 0, err
}

// Close ends the stream and the connection below it.
func (s *streams) Close() error {
	s.Stream.Close()
	return s.conn.Close()
}

// The rest of net.Conn, which TLS wants.
func (s *streams) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *streams) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *streams) SetDeadline(time.Time) error      { return nil }
func (s *streams) SetReadDeadline(time.Time) error  { return nil }
func (s *streams) SetWriteDeadline(time.Time) error { return nil }
