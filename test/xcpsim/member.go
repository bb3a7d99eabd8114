package xcpsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/types/known/emptypb"
)

// member is the client side of one pod, an edge or MPC: it dials, holds one session, pushes, and dials again when the
// session ends.
type member struct {
	sim  *Sim
	c    *container
	name string
	hub  string // whose Central it dials; the active one's if empty
	mode Credential
	host string // "host:port"

	tls     func() (*tls.Config, error)
	token   func() (string, error) // nil unless mode is JWT
	blocked func() bool            // the network is down for this pod

	state *edgeState
}

const (
	dialDeadline  = 5 * time.Second
	closeDeadline = 2 * time.Second
)

// run keeps the pod connected until ctx ends, waiting longer after each failure.
func (m *member) run(ctx context.Context) {
	wait := m.sim.opts.Cadence.RetryMin
	for ctx.Err() == nil {
		connected, err := m.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if connected {
			wait = m.sim.opts.Cadence.RetryMin
		}
		m.c.log.printf("warn", "stream", "error getting stream. retrying in %s: %v", wait, err)
		pause(ctx, wait)
		wait = min(2*wait, m.sim.opts.Cadence.RetryMax)
	}
}

// session makes one dial and, if it is accepted, holds the stream until it ends; connected says whether it was. Every
// dial is recorded once: by Central if it got there, else here.
func (m *member) session(ctx context.Context) (connected bool, err error) {
	dial := m.sim.record.begin(m.name, m.c.pod.Name, m.mode)
	fail := func(reason Reason, err error) (bool, error) {
		m.sim.record.decide(dial, place{}, None, reason, err.Error(), time.Now())
		return false, err
	}
	host, _, err := net.SplitHostPort(m.host)
	if err != nil {
		return fail(Unreachable, err)
	}
	if m.blocked() {
		return fail(Unreachable, fmt.Errorf("dial tcp %s: connect: network is unreachable", m.host))
	}
	cfg, err := m.tls()
	if err != nil {
		return fail(ClientUnconfigured, err)
	}
	bearer := ""
	if m.token != nil {
		if bearer, err = m.token(); err != nil {
			return fail(TokenMissing, err)
		}
		if strings.ContainsFunc(bearer, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			return fail(TokenInvalid, errors.New("token has characters that a header cannot carry"))
		}
	}
	failed := &handshakeFailure{}
	conn, err := grpc.NewClient("passthrough:///"+m.host,
		grpc.WithTransportCredentials(watchedTLS{credentials.NewTLS(cfg), failed}),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			addr, err := m.sim.resolve(m.hub, host)
			if err != nil {
				return nil, err
			}
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		}))
	if err != nil {
		return fail(Unreachable, err)
	}
	defer conn.Close()
	streamCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	deadline := time.AfterFunc(dialDeadline, cancel)
	defer deadline.Stop()
	stopDialling := context.AfterFunc(ctx, cancel)
	stream, err := openStream(streamCtx, conn, dial, m.name, m.c.pod.Name, bearer)
	if err == nil {
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	if err != nil {
		stopDialling()
		if notTrusted(failed.err) {
			return fail(ServerNotTrusted, failed.err)
		}
		return fail(Unreachable, err) // changes nothing where Central has decided
	}
	if !stopDialling() || !deadline.Stop() {
		return true, errors.New("stream ended while it was being opened")
	}
	m.state.connected()
	defer m.state.closed()
	m.c.setReady()
	return true, m.hold(ctx, stream, cancel)
}

// hold pushes at once and then at every cadence until the stream ends; at the end of ctx it closes the stream and
// waits for Central's answer, so that the session is over when the pod is.
func (m *member) hold(ctx context.Context, stream grpc.ClientStream, cancel func()) error {
	ended := make(chan error, 1)
	go func() {
		for {
			if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
				ended <- err
				return
			}
		}
	}()
	every := m.sim.opts.Cadence.Push
	if m.sim.opts.Switches.SlowSync && m.name != MPCMember {
		every *= clusterStateEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := stream.SendMsg(&emptypb.Empty{}); err == nil {
			m.state.pushed(time.Now())
		}
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			_ = stream.CloseSend()
			stop := time.AfterFunc(closeDeadline, cancel)
			defer stop.Stop()
			<-ended
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// notTrusted says whether a handshake failed because the client refused the server's certificate.
func notTrusted(err error) bool {
	var verification *tls.CertificateVerificationError
	var own untrustedError
	return errors.As(err, &verification) || errors.As(err, &own)
}

// untrustedError is the refusal of a server certificate by a check of ours.
type untrustedError struct{ err error }

func (e untrustedError) Error() string {
	return "tls: failed to verify certificate: " + e.err.Error()
}
func (e untrustedError) Unwrap() error { return e.err }

// verifyIdentity returns TLS settings that trust Central by its chain and one of its identities (a URI or DNS SAN),
// not by the name that was dialled; cert is presented, if any.
func verifyIdentity(roots *x509.CertPool, cert *tls.Certificate, identities ...string) *tls.Config {
	cfg := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // only the host name check: the chain and the identity are verified below
		VerifyConnection: func(state tls.ConnectionState) error {
			if err := checkIdentity(state.PeerCertificates, roots, identities); err != nil {
				return untrustedError{err}
			}
			return nil
		},
	}
	if cert != nil {
		cfg.Certificates = []tls.Certificate{*cert}
	}
	return cfg
}

func checkIdentity(chain []*x509.Certificate, roots *x509.CertPool, identities []string) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	inter := x509.NewCertPool()
	for _, c := range chain[1:] {
		inter.AddCert(c)
	}
	leaf := chain[0]
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: inter,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
		return err
	}
	has := append([]string(nil), leaf.DNSNames...)
	for _, u := range leaf.URIs {
		has = append(has, u.String())
	}
	for _, want := range identities {
		for _, h := range has {
			if h == want {
				return nil
			}
		}
	}
	return fmt.Errorf("x509: certificate is valid for %s, not %s", strings.Join(has, ", "), identities[0])
}

// keyPair reads tls.crt, tls.key and ca.crt of a secret volume.
func keyPair(data map[string][]byte) (*tls.Certificate, *x509.CertPool, error) {
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	if err != nil {
		return nil, nil, fmt.Errorf("read client certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data["ca.crt"]) {
		return nil, nil, errors.New("read client certificate: ca.crt holds no certificate")
	}
	return &pair, roots, nil
}
