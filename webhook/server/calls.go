package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"time"
)

const (
	connectionsMax = 1024             // open at one time
	helloWithin    = 5 * time.Second  // for the TLS handshake, and again for the headers of a request
	answerWithin   = 10 * time.Second // to take the answer
	idleFor        = 90 * time.Second // as an API server keeps connections
	headersMax     = 32 << 10
	lastCalls      = time.Minute // to finish calls in flight at the end
)

// calls serves admission calls over TLS. It is controller-runtime's server but for its bounds: a caller that does not
// go on is let go within seconds, and there are never more connections than the process has room for.
type calls struct {
	o           Options
	handler     http.Handler
	certificate certificate
	log         *slog.Logger
}

// NeedLeaderElection says that every replica serves.
func (calls) NeedLeaderElection() bool { return false }

// Start serves once there is a certificate, until ctx ends; then it finishes the calls in flight.
func (c calls) Start(ctx context.Context) error {
	select {
	case <-c.certificate.Ready():
	case <-ctx.Done():
		return nil
	}
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}, // the API server calls services by HTTP/1.1
		GetCertificate: c.certificate.GetCertificate,
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(c.o.Address, strconv.Itoa(c.o.Port)))
	if err != nil {
		return fmt.Errorf("listening for admission calls: %w", err)
	}
	server := &http.Server{
		Handler:           answering(c.o, c.handler),
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: helloWithin,
		WriteTimeout:      c.o.CallTimeout + answerWithin,
		IdleTimeout:       idleFor,
		MaxHeaderBytes:    headersMax,
		ConnState:         newCrowd(connectionsMax).moved,
		ErrorLog:          slog.NewLogLogger(c.log.Handler(), slog.LevelDebug), // anybody can cause a line of it
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		within, cancel := context.WithTimeout(context.Background(), lastCalls)
		defer cancel()
		stopped <- server.Shutdown(within)
	}()
	if err := server.Serve(tls.NewListener(listener, verifying(c.o, config))); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving admission calls: %w", err)
	}
	if err := <-stopped; err != nil {
		c.log.Warn("calls were in flight when the process ended", "error", err.Error())
	}
	return nil
}

// verifying is config as it asks for the certificates of clients, where their CA is configured.
func verifying(o Options, config *tls.Config) *tls.Config {
	if o.ClientCA == "" {
		return config
	}
	asking := config.Clone()
	asking.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return withClients(config, o.ClientCA) }
	return asking
}

// answering is next, where the CA of clients is configured for those alone that showed a certificate.
func answering(o Options, next http.Handler) http.Handler {
	if o.ClientCA == "" {
		return next
	}
	return known(o.ClientNames, next)
}

// withClients is config for a handshake that verifies a client's certificate by the CAs in a file, as it is now. A
// caller may show none: our own probe of the port does not. Its request is refused by known.
func withClients(config *tls.Config, file string) (*tls.Config, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the CA of clients: %w", err)
	}
	with := config.Clone()
	with.ClientAuth, with.ClientCAs = tls.VerifyClientCertIfGiven, x509.NewCertPool()
	if !with.ClientCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("the CA of clients: %s holds no certificate", file)
	}
	return with, nil
}

// known refuses a request without a verified client certificate, or with one of another name where names are given.
func known(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
			w.Header().Set("Connection", "close")
			http.Error(w, "a client certificate of the API server is needed", http.StatusUnauthorized)
			return
		}
		leaf := r.TLS.VerifiedChains[0][0]
		if len(names) > 0 && !slices.Contains(names, leaf.Subject.CommonName) &&
			!slices.ContainsFunc(leaf.DNSNames, func(name string) bool { return slices.Contains(names, name) }) {
			w.Header().Set("Connection", "close")
			http.Error(w, "the client certificate is not that of an API server", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// crowd bounds how many connections are open. One too many costs the one that has waited longest: of those that never
// sent a request, else of those that are idle, else of all.
type crowd struct {
	mu   sync.Mutex
	most int
	tick uint64
	open map[net.Conn]waiting
}

// waiting is the state of a connection, and its place in the order of changes.
type waiting struct {
	state http.ConnState
	since uint64
}

func newCrowd(most int) *crowd { return &crowd{most: most, open: map[net.Conn]waiting{}} }

// moved takes note of a connection's state.
func (c *crowd) moved(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if state == http.StateClosed || state == http.StateHijacked {
		delete(c.open, conn)
		return
	}
	c.tick++
	c.open[conn] = waiting{state, c.tick}
	if state != http.StateNew || len(c.open) <= c.most {
		return
	}
	for _, of := range []http.ConnState{http.StateNew, http.StateIdle, http.StateActive} {
		var oldest net.Conn
		for other, w := range c.open {
			if other != conn && w.state == of && (oldest == nil || w.since < c.open[oldest].since) {
				oldest = other
			}
		}
		if oldest != nil {
			delete(c.open, oldest)
			go oldest.Close() // TLS says goodbye, which may wait
			return
		}
	}
}
