package xcpsim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// kubeletServer answers what an API server asks of a node for `kubectl logs` and `kubectl port-forward`.
type kubeletServer struct {
	k    *kubelet
	cert tls.Certificate
}

const (
	streamIdle     = 4 * time.Hour
	streamCreation = 30 * time.Second
)

// newKubeletServer makes a certificate of its own: an API server does not verify its kubelets' unless told to.
func newKubeletServer(k *kubelet) (*kubeletServer, error) {
	ca, err := NewAuthority("xcpsim-kubelet")
	if err != nil {
		return nil, err
	}
	data, err := ca.Issue(Leaf{Names: []string{k.c.site.KubeletIP, nodeName}})
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		return nil, fmt.Errorf("read kubelet certificate: %w", err)
	}
	return &kubeletServer{k: k, cert: pair}, nil
}

// serve answers on ln until ctx ends.
func (s *kubeletServer) serve(ctx context.Context, ln net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", s.logs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", s.forward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", s.forward)
	srv := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0),
		BaseContext: func(net.Listener) context.Context { return ctx },
		TLSConfig:   &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{s.cert}, NextProtos: []string{"http/1.1"}},
	}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	_ = srv.ServeTLS(ln, "", "")
}

// logs serves tailLines and follow; the other parameters narrow what is shown and are not needed here.
func (s *kubeletServer) logs(w http.ResponseWriter, req *http.Request) {
	c, err := s.k.find(req.PathValue("namespace"), req.PathValue("pod"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	tail := -1
	if n, err := strconv.Atoi(req.URL.Query().Get("tailLines")); err == nil && n >= 0 {
		tail = n
	}
	w.Header().Set("Content-Type", "text/plain")
	flush := func() {
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
	c.log.copyTo(req.Context(), w, tail, req.URL.Query().Get("follow") == "true", flush)
}

func (s *kubeletServer) forward(w http.ResponseWriter, req *http.Request) {
	namespace, pod := req.PathValue("namespace"), req.PathValue("pod")
	c, err := s.k.find(namespace, pod)
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	opts, err := portforward.NewV4Options(req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, req, forwarder{c}, pod, string(c.pod.UID), opts, streamIdle, streamCreation, portforward.SupportedProtocols)
}

// forwarder copies between a forwarded stream and a port of a container.
type forwarder struct{ c *container }

func (f forwarder) PortForward(ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	conn, err := f.c.dial(ctx, port)
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
	if errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe) || errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return nil
	}
	return err
}
