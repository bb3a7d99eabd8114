package observe

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// maxPage bounds a metrics page; a busy Central's is some hundred kilobytes.
const maxPage = 16 << 20

// scrape gets /metrics of a pod's port.
func scrape(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) ([]byte, error) {
	f, err := forward(ctx, c, r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := io.WriteString(f, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %w", r.Namespace, r.Name, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(f), nil)
	if err != nil {
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %w", r.Namespace, r.Name, f.because(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %s", r.Namespace, r.Name, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxPage))
}

// served makes a TLS handshake with a pod's port and returns the certificates that it presents, as PEM. They are
// looked at and not trusted: nothing is said over the connection.
func served(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) ([]byte, error) {
	f, err := forward(ctx, c, r)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conn := tls.Client(f, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	if err := conn.HandshakeContext(ctx); err != nil && len(conn.ConnectionState().PeerCertificates) == 0 {
		return nil, fmt.Errorf("looking at the certificate of pod %s/%s: %w", r.Namespace, r.Name, f.because(err))
	}
	var text []byte
	for _, cert := range conn.ConnectionState().PeerCertificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return text, nil
}

// forwarded is a connection to a port of a pod through the API server's port-forward. Deadlines are its context's.
type forwarded struct {
	httpstream.Stream
	failure io.Reader
	conn    httpstream.Connection
	stop    func() bool
}

// Forward is a connection to a port of a pod, as kubectl port-forward makes one, without opening a port on this
// machine. It ends with ctx, and what the node said of a failure is in the error of its first read.
func Forward(ctx context.Context, c *kubeconfig.Cluster, namespace, pod string, port int) (net.Conn, error) {
	f, err := forward(ctx, c, plan.Read{Version: "v1", Resource: "pods", Namespace: namespace, Name: pod, Port: port})
	if err != nil {
		return nil, err
	}
	return explained{f}, nil
}

// explained is a forwarded connection whose failed reads say why.
type explained struct{ *forwarded }

// Read implements net.Conn.
func (e explained) Read(p []byte) (int, error) {
	n, err := e.forwarded.Read(p)
	if n == 0 && err != nil {
		err = e.because(err)
	}
	return n, err
}

// forward connects to a pod's port without opening one on this machine: over WebSocket, or over SPDY where the API
// server or a proxy before it does not speak that, as kubectl does.
func forward(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) (*forwarded, error) {
	wrap := func(err error) error {
		return fmt.Errorf("forwarding port %d of pod %s/%s: %w", r.Port, r.Namespace, r.Name, err)
	}
	conn, err := dial(ctx, c, r)
	if err != nil {
		return nil, wrap(err)
	}
	header := http.Header{}
	header.Set(headerPort, strconv.Itoa(r.Port))
	header.Set(headerRequestID, "0")
	header.Set(headerStreamType, streamError)
	failure, err := conn.CreateStream(header)
	if err != nil {
		conn.Close()
		return nil, wrap(err)
	}
	failure.Close() // we never write to it
	header.Set(headerStreamType, streamData)
	data, err := conn.CreateStream(header)
	if err != nil {
		conn.Close()
		return nil, wrap(err)
	}
	return &forwarded{Stream: data, failure: failure, conn: conn, stop: context.AfterFunc(ctx, func() { conn.Close() })},
		nil
}

// because is what the node said of a failure, else the failure itself.
func (f *forwarded) because(err error) error {
	if why, _ := io.ReadAll(io.LimitReader(f.failure, 1<<10)); len(why) > 0 {
		return errors.New(string(why))
	}
	return err
}

// Close ends the stream and the connection below it.
func (f *forwarded) Close() error {
	f.stop()
	f.Stream.Close()
	return f.conn.Close()
}

// The rest of net.Conn, which TLS wants.
func (f *forwarded) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (f *forwarded) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (f *forwarded) SetDeadline(time.Time) error      { return nil }
func (f *forwarded) SetReadDeadline(time.Time) error  { return nil }
func (f *forwarded) SetWriteDeadline(time.Time) error { return nil }

// dial opens the port-forward connection. Not all that dialling does takes a context, so a stuck one is left behind
// at the deadline.
func dial(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) (httpstream.Connection, error) {
	cfg := rest.CopyConfig(c.Config)
	if deadline, ok := ctx.Deadline(); ok {
		cfg.Timeout = time.Until(deadline)
	}
	target := c.REST.Post().AbsPath(Path(r) + "/portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	overSPDY := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target)
	type answer struct {
		conn httpstream.Connection
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		conn, err := overWebSocket(ctx, target, cfg)
		if httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) {
			conn, _, err = overSPDY.Dial(protocolPortForward)
		}
		got <- answer{conn, err}
	}()
	select {
	case a := <-got:
		return a.conn, a.err
	case <-ctx.Done():
		go func() {
			if a := <-got; a.conn != nil {
				a.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}
