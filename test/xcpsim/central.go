package xcpsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// acceptsEnv carries the accepted modes into a Central pod; the vendor's way of passing them is not documented.
const acceptsEnv = "XCPSIM_ACCEPTS"

// central is one Central pod: a TLS gRPC server on a socket of its own, with the modes that the pod was started with.
type central struct {
	sim     *Sim
	c       *container
	pod     string
	hub     string
	addr    string
	accepts map[Credential]bool
	state   *centralState
	stop    chan struct{}

	mu   sync.Mutex
	last *tls.Certificate // the last certificate that could be read
	ca   *x509.CertPool
}

// centralProgram serves until the pod ends:
//  1. open the socket, with the certificate of the pod's volume;
//  2. take part in name resolution, and be Ready;
//  3. at the end leave name resolution, then cut every stream.
func (s *Sim) centralProgram(hub *cluster) program {
	return func(ctx context.Context, c *container) {
		ct := &central{sim: s, c: c, pod: c.pod.Name, hub: hub.site.cluster(), accepts: parseModes(c.env[acceptsEnv]),
			stop: make(chan struct{})}
		ct.state = newCentralState(func() []string { return inventory(hub, c.pod.Namespace) }, s.opts.Switches.SlowSync)
		c.metrics.MustRegister(ct.state)
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			c.log.printf("error", "central", "listen: %v", err)
			<-ctx.Done()
			return
		}
		ct.addr = ln.Addr().String()
		// Client certificates are asked for and judged at the stream, not in the handshake, so that each refusal has its
		// reason.
		creds := credentials.NewTLS(&tls.Config{
			MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert,
			GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return ct.certificate() },
		})
		srv := grpc.NewServer(grpc.Creds(creds), grpc.WaitForHandlers(true))
		srv.RegisterService(serviceDesc(ct.connect), nil)
		served := make(chan struct{})
		go func() {
			defer close(served)
			_ = srv.Serve(ln)
		}()
		c.listen(grpcPort, func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", ct.addr)
		})
		s.addCentral(ct)
		c.setReady()
		<-ctx.Done()
		s.removeCentral(ct.pod)
		close(ct.stop)
		srv.Stop()
		<-served
	}
}

// certificate returns what the pod serves: the secret as it is now, or as it was at the start under CentralKeepsCert;
// an unreadable one changes nothing.
func (ct *central) certificate() (*tls.Certificate, error) {
	data := ct.c.now(centralCertSecret, !ct.sim.opts.Switches.CentralKeepsCert)
	pair, err := tls.X509KeyPair(data["tls.crt"], data["tls.key"])
	ct.mu.Lock()
	defer ct.mu.Unlock()
	if err == nil {
		ct.last = &pair
		ct.ca = x509.NewCertPool()
		ct.ca.AppendCertsFromPEM(data["ca.crt"])
	}
	if ct.last == nil {
		return nil, err
	}
	return ct.last, nil
}

func (ct *central) clientCA() *x509.CertPool {
	ct.mu.Lock()
	defer ct.mu.Unlock()
	return ct.ca
}

// connect admits or refuses one dial, records which, and then answers pushes until either side ends.
func (ct *central) connect(stream grpc.ServerStream) error {
	dial, who, p := readPresented(stream.Context())
	j := judge{
		accepts: ct.accepts, clientCA: ct.clientCA(), issuer: ct.sim.issuerOf(ct.hub),
		bound:   !ct.sim.opts.Switches.TokenUnbound,
		rejects: func(member string) bool { return ct.sim.edge(member).TokenRejected },
	}
	now := time.Now()
	v := j.admit(p, now)
	ct.sim.record.decide(dial, place{ct.hub, ct.pod}, p.kind(), v.reason, v.text, now)
	ct.sim.log.printf("central/"+ct.pod, "%s presents %s: %s %s", who, p.kind(), orAccepted(v.reason), v.text)
	if v.reason != "" {
		return status.Error(codes.Unauthenticated, v.text)
	}
	end := ct.sim.record.session(dial, Session{
		Member: p.member, Pod: who, Central: ct.pod, Hub: ct.hub, Credential: p.kind(), Since: now, TokenExpires: v.expires,
	})
	defer end()
	defer ct.state.open(p.member)()
	if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
		return err
	}
	return ct.serve(stream, p.member, v.expires)
}

// serve answers pushes until the member hangs up, the pod stops, or, under CutAtExpiry, the token expires.
func (ct *central) serve(stream grpc.ServerStream, member string, expires time.Time) error {
	var expired <-chan time.Time
	if ct.sim.opts.Switches.CutAtExpiry && !expires.IsZero() {
		t := time.NewTimer(time.Until(expires))
		defer t.Stop()
		expired = t.C
	}
	ended := make(chan error, 1)
	go func() {
		for {
			if err := stream.RecvMsg(&emptypb.Empty{}); err != nil {
				ended <- err
				return
			}
			ct.state.received(member, time.Now())
			if err := stream.SendMsg(&emptypb.Empty{}); err != nil {
				ended <- err
				return
			}
			ct.state.sent(member, time.Now())
		}
	}()
	select {
	case err := <-ended:
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-expired:
		return status.Error(codes.Unauthenticated, "token expired")
	case <-ct.stop:
		return status.Error(codes.Unavailable, "shutting down")
	}
}

func readPresented(ctx context.Context) (dial int, pod string, p presented) {
	md, _ := metadata.FromIncomingContext(ctx)
	first := func(key string) string {
		if v := md.Get(key); len(v) > 0 {
			return v[0]
		}
		return ""
	}
	dial, _ = strconv.Atoi(first(dialKey))
	p = presented{member: first(memberKey), authorization: md.Get(authorizationKey)}
	if pr, ok := peer.FromContext(ctx); ok {
		if info, ok := pr.AuthInfo.(credentials.TLSInfo); ok {
			p.chain = info.State.PeerCertificates
		}
	}
	return dial, first(podKey), p
}

func orAccepted(r Reason) string {
	if r == "" {
		return "accepted"
	}
	return string(r)
}

func parseModes(s string) map[Credential]bool {
	out := map[Credential]bool{}
	for _, m := range strings.Split(s, ",") {
		out[Credential(m)] = true
	}
	delete(out, "")
	return out
}

func formatModes(accepts map[Credential]bool) string {
	var out []string
	for _, m := range []Credential{JWT, MTLS} {
		if accepts[m] {
			out = append(out, string(m))
		}
	}
	return strings.Join(out, ",")
}
