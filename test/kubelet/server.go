package kubelet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// Container is what the server needs of a running container.
type Container interface {
	// Dial connects to a port of the container; net.ErrClosed says that it has just ended.
	Dial(ctx context.Context, port int32) (net.Conn, error)
	// Logs writes the last tail lines, all when it is negative, and with follow goes on until the container or ctx ends.
	Logs(ctx context.Context, w io.Writer, tail int, follow bool, flush func())
}

const (
	streamIdle     = 4 * time.Hour
	streamCreation = 30 * time.Second
)

// serve answers until ctx ends.
func (n *Node) serve(ctx context.Context) error {
	cert, err := n.certificate()
	if err != nil {
		return errors.Join(err, n.ln.Close())
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", n.logs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", n.forward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", n.forward)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx },
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert},
			NextProtos: []string{"http/1.1"}},
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.ServeTLS(n.ln, "", ""); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve as node %s: %w", n.Name, err)
	}
	return nil
}

// certificate makes one that nobody vouches for: an API server does not verify its kubelets' unless told to.
func (n *Node) certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the node's key: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: n.Name}, DNSNames: []string{n.Name},
		IPAddresses: []net.IP{net.ParseIP(n.IP)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the node's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// logs serves tailLines and follow; the other parameters narrow what is shown and are not needed here.
func (n *Node) logs(w http.ResponseWriter, req *http.Request) {
	c, _, err := n.Find(req.PathValue("namespace"), req.PathValue("pod"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tail := -1
	if lines, err := strconv.Atoi(req.URL.Query().Get("tailLines")); err == nil && lines >= 0 {
		tail = lines
	}
	w.Header().Set("Content-Type", "text/plain")
	flush := func() {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	c.Logs(req.Context(), w, tail, req.URL.Query().Get("follow") == "true", flush)
}

func (n *Node) forward(w http.ResponseWriter, req *http.Request) {
	namespace, pod := req.PathValue("namespace"), req.PathValue("pod")
	c, uid, err := n.Find(namespace, pod)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	opts, err := portforward.NewV4Options(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, req, forwarder{c}, pod, string(uid), opts, streamIdle, streamCreation,
		portforward.SupportedProtocols)
}

// forwarder copies between a forwarded stream and a port of a container.
type forwarder struct{ c Container }

func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := f.c.Dial(ctx, port)
	if errors.Is(err, net.ErrClosed) {
		return stream.Close() // the container has just ended
	}
	if err != nil {
		return err
	}
	in := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, stream)
		if c, ok := conn.(interface{ CloseWrite() error }); ok { // the client has gone: let the server see it
			_ = c.CloseWrite()
		}
		in <- err
	}()
	_, err = io.Copy(stream, conn)
	_ = conn.Close()
	_ = stream.Close()
	<-in
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.EOF) ||
		errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}
