package fleet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	_ "google.golang.org/grpc/encoding/gzip" // zones compress
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// The product's calls between a zone and its global (Kuma api/mesh/v1alpha1/kds.proto and globalcp.proto at v2.14.3).
const (
	syncMethod   = "/kuma.mesh.v1alpha1.KDSSyncService/GlobalToZoneSync"
	healthMethod = "/kuma.mesh.v1alpha1.GlobalKDSService/HealthCheck"
)

// relay is what a zone's pod reaches its global through: it passes every call on as it is, and notes what became of it.
type relay struct {
	f      *Fleet
	p      *pod
	z      *zone
	m      *member
	url    string
	global string // host and port
	srv    *grpc.Server
	served chan struct{}

	mu   sync.Mutex
	open map[int]context.CancelFunc
	next int
}

// raw passes messages on as they are.
type raw struct{}

func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}
func (raw) Name() string { return "raw" }

// newRelay starts the relay of a pod before the global at an address.
func (f *Fleet) newRelay(p *pod, global string) (*relay, error) {
	u, err := url.Parse(global)
	if err != nil {
		return nil, fmt.Errorf("read the global's address: %w", err)
	}
	cert, err := relayCertificate()
	if err != nil {
		return nil, err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(p.ip, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the relay of %s: %w", p.obj.Name, err)
	}
	r := &relay{
		f: f, p: p, global: u.Host, url: "grpcs://" + ln.Addr().String(), served: make(chan struct{}),
		open: map[int]context.CancelFunc{},
	}
	r.srv = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}})),
		grpc.ForceServerCodec(raw{}), grpc.UnknownServiceHandler(func(_ any, s grpc.ServerStream) error { return r.pass(s) }),
		grpc.MaxRecvMsgSize(1<<26), grpc.MaxSendMsgSize(1<<26))
	r.m = &member{pod: p.obj.Name, disconnect: r.disconnect}
	f.mu.Lock()
	r.z = f.zones[p.k.c.zone]
	r.m.cut = r.z.switches.CutAfterNext
	r.z.pods = append(r.z.pods, r.m)
	f.mu.Unlock()
	go func() {
		defer close(r.served)
		_ = r.srv.Serve(ln)
	}()
	return r, nil
}

func relayCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the relay's key: %w", err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make the relay's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (r *relay) close() {
	r.srv.Stop()
	<-r.served
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	r.z.pods = slices.DeleteFunc(r.z.pods, func(m *member) bool { return m == r.m })
}

// disconnect cuts every call that is open.
func (r *relay) disconnect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, cut := range r.open {
		cut()
	}
}

// kept says whether a switch keeps the pod from its global.
func (r *relay) kept() bool {
	r.f.mu.Lock()
	defer r.f.mu.Unlock()
	return r.z.switches.Asleep || r.m.cut && r.z.switches.CutAfterNext
}

// pass passes one call on:
//  1. open it at the global, with what the zone sent along;
//  2. copy both ways until the global ends it, or a switch does;
//  3. note it: accepted with the first message, or what it failed for.
func (r *relay) pass(s grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(s)
	md, _ := metadata.FromIncomingContext(s.Context())
	if r.kept() {
		return status.Error(codes.Unavailable, "no route to the global")
	}
	ctx, cut := context.WithCancel(s.Context())
	defer cut()
	r.mu.Lock()
	r.next++
	id := r.next
	r.open[id] = cut
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.open, id)
	}()
	ended := func() {}
	defer func() { ended() }()
	accepted := sync.OnceFunc(func() {
		if method == syncMethod || method == healthMethod {
			r.note(md, method, nil)
		}
		if method == syncMethod {
			ended = r.f.session(r.p, md)
		}
	})
	conn, err := dialGlobal(r.global)
	if err == nil {
		defer conn.Close()
		var up grpc.ClientStream
		up, err = conn.NewStream(metadata.NewOutgoingContext(ctx, md.Copy()), both, method)
		if err == nil {
			err = copyStreams(s, up, accepted)
		}
	}
	if err != nil && s.Context().Err() == nil && (method == syncMethod || method == healthMethod || refusal(err) != "") {
		r.note(md, method, err)
	}
	return err
}

var both = &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}

func dialGlobal(at string) (*grpc.ClientConn, error) {
	return grpc.NewClient(at, grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(raw{}), grpc.MaxCallRecvMsgSize(1<<26), grpc.MaxCallSendMsgSize(1<<26)))
}

// copyStreams copies until the global ends the call, whose error is returned.
func copyStreams(zone grpc.ServerStream, global grpc.ClientStream, first func()) error {
	go func() {
		for {
			var message []byte
			if err := zone.RecvMsg(&message); err != nil {
				_ = global.CloseSend()
				return
			}
			if global.SendMsg(&message) != nil {
				return
			}
		}
	}()
	for {
		var message []byte
		if err := global.RecvMsg(&message); err != nil {
			zone.SetTrailer(global.Trailer())
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		first()
		if err := zone.SendMsg(&message); err != nil {
			return err
		}
	}
}

// note records a call.
func (r *relay) note(md metadata.MD, method string, err error) {
	c := kumasim.Call{
		Time: time.Now(), Instance: r.p.instance(), Health: method == healthMethod,
		Accepted: err == nil, Code: status.Code(err),
	}
	if ids := md.Get("client-id"); len(ids) > 0 {
		c.Zone = ids[0]
	}
	if err != nil {
		if c.Reason = refusal(err); c.Reason == "" {
			c.Reason = kumasim.Unreachable
		}
		c.Text = status.Convert(err).Message()
	}
	r.f.logf("relay of "+r.p.obj.Name, "%s", c)
	r.f.noted("", c)
}

// session records a zone's session until the returned function is called.
func (f *Fleet) session(p *pod, md metadata.MD) (ended func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	n := f.next
	f.live[n] = Stream{Pod: p.obj.Name, Subscription: kumasim.Subscription{
		Zone: md.Get("client-id")[0], Since: time.Now(), Instance: p.instance(),
		AuthTokenProvided: len(md.Get("authorization")) == 1,
	}}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.live, n)
	}
}

// refusal is why a global refused a call, by its words; "" where it did not.
func refusal(err error) kumasim.Reason {
	code, text := status.Code(err), status.Convert(err).Message()
	if code != codes.Unauthenticated && code != codes.PermissionDenied && code != codes.InvalidArgument {
		return ""
	}
	for _, of := range []struct {
		words  string
		reason kumasim.Reason
	}{
		{"did not provide", kumasim.TokenMissing}, {"token is revoked", kumasim.TokenRevoked},
		{"there is no signing key", kumasim.KeyUnknown}, {"token is expired", kumasim.TokenExpired},
		{"not yet valid", kumasim.TokenNotYet}, {"not valid yet", kumasim.TokenNotYet},
		{"but connected CP advertised as", kumasim.WrongZone}, {"out of token's scope", kumasim.OutOfScope},
		{"Expected 1 value", kumasim.TokenRepeated}, {"client-id", kumasim.NoClientID},
	} {
		if strings.Contains(text, of.words) {
			return of.reason
		}
	}
	return kumasim.TokenInvalid
}

// ask asks a real global by a health check, which authenticates as every call does.
func (f *Fleet) ask(zone string, tokens ...string) error {
	ctx, cancel := context.WithTimeout(f.ctx, requestLimit)
	defer cancel()
	k := f.runners[0]
	at := ""
	k.mu.Lock()
	for _, p := range k.pods {
		if p.isReady() && p.life.Err() == nil {
			at = net.JoinHostPort(p.ip, fmt.Sprint(syncPort))
		}
	}
	k.mu.Unlock()
	if at == "" {
		return errors.New("no global is ready")
	}
	conn, err := dialGlobal(at)
	if err != nil {
		return err
	}
	defer conn.Close()
	md := metadata.Pairs("client-id", zone)
	for _, token := range tokens {
		if token != "" {
			md.Append("authorization", token)
		}
	}
	var request, response []byte
	return conn.Invoke(metadata.NewOutgoingContext(ctx, md), healthMethod, &request, &response)
}
