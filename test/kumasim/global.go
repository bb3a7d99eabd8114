package kumasim

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Auth is whom a global authenticates.
type Auth string

const (
	AuthNone      Auth = "none"
	AuthZoneToken Auth = "zoneToken"
)

// Switches are what versions do differently; all false is 2.14.3.
type Switches struct {
	KidPanics   bool // before 2.14.2: a kid that is no text ends the process
	NoHMAC      bool // 3.0: HS256 is gone
	TerseNotYet bool // before 2.14: nbf in the future has no words of its own
	SyncsLabels bool // before 2.10: the label that keeps a secret on the global is not known
}

// Options are of a global.
type Options struct {
	Source     Source
	Auth       Auth                      // "" is none, as in the product
	PublicKeys map[string]*rsa.PublicKey // of its configuration, by kid
	SecretsOff bool                      // validator.useSecrets is false: tokens are verified with PublicKeys alone
	Switches   Switches
	SyncEvery  time.Duration // 20 ms
	CacheFor   time.Duration // how long secrets that were read are believed; 1 s in the product, 0 here
	Now        func() time.Time
	Log        func(format string, args ...any)
	Noted      func(Call)                        // hears every call, as Calls keeps it
	Opened     func(Subscription) (ended func()) // hears of every stream, and what it returns of the stream's end
}

// Global is a global control plane: a TLS gRPC server that zones connect to.
type Global struct {
	opts Options
	cert tls.Certificate
	CA   []byte // PEM; verifies the global
	Addr string // host:port, the same after a restart

	mu      sync.Mutex
	server  *grpc.Server // nil while it is down
	served  chan struct{}
	stop    chan struct{} // closed when the process ends
	calls   []Call
	live    map[int]Subscription
	next    int
	meshes  []string
	syncErr string
}

// Subscription is a zone's stream, as ZoneInsight has it.
type Subscription struct {
	Zone              string
	Since             time.Time
	AuthTokenProvided bool   // the stream brought exactly one authorization value; not that it was verified
	Instance          string // the zone's process, "" where it was given no name
	Config            string // its configuration as it shows it, "" where it was given none
}

// Start starts a global. An auth type that nothing authenticates with is an error, as in the product.
func Start(o Options) (*Global, error) {
	g, err := New(o)
	if err != nil {
		return nil, err
	}
	if g.cert, g.CA, err = serverCertificate(); err != nil {
		return nil, err
	}
	return g, g.run("127.0.0.1:0")
}

// New makes a global that is down, and can be asked without a call.
func New(o Options) (*Global, error) {
	if o.Auth == "" {
		o.Auth = AuthNone
	}
	if o.Auth != AuthNone && o.Auth != AuthZoneToken {
		return nil, fmt.Errorf("authentication type %q is not supported by this control plane. Supported types: none, zoneToken", o.Auth)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Noted == nil {
		o.Noted = func(Call) {}
	}
	if o.Opened == nil {
		o.Opened = func(Subscription) func() { return func() {} }
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = 20 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.CacheFor > 0 {
		o.Source = &cached{from: o.Source, ttl: o.CacheFor, now: o.Now}
	}
	return &Global{opts: o, live: map[int]Subscription{}}, nil
}

// run serves until the process ends.
func (g *Global) run(addr string) error {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("start the global: %w", err)
	}
	if g.opts.Auth == AuthNone {
		g.opts.Log("authentication of Zone CPs is disabled")
	}
	srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12,
		Certificates: []tls.Certificate{g.cert}})), grpc.WaitForHandlers(true))
	srv.RegisterService(&grpc.ServiceDesc{
		ServiceName: serviceName, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: streamName, ClientStreams: true, ServerStreams: true,
			Handler: func(_ any, s grpc.ServerStream) error { return g.stream(s) }}},
		Methods: []grpc.MethodDesc{{MethodName: healthName, Handler: func(_ any, ctx context.Context, decode func(any) error,
			_ grpc.UnaryServerInterceptor) (any, error) {
			if err := decode(&emptypb.Empty{}); err != nil {
				return nil, err
			}
			return &emptypb.Empty{}, g.admit(ctx, true)
		}}},
	}, nil)
	g.mu.Lock()
	g.server, g.served, g.stop = srv, make(chan struct{}), make(chan struct{})
	if g.Addr == "" {
		g.Addr = ln.Addr().String()
	}
	served := g.served
	g.mu.Unlock()
	go func() {
		defer close(served)
		_ = srv.Serve(ln)
	}()
	return nil
}

const (
	serviceName = "kumasim.Global"
	streamName  = "Sync"
	healthName  = "HealthCheck"
)

// Stop ends the process: every stream is cut.
func (g *Global) Stop() {
	g.mu.Lock()
	srv, served, stop := g.server, g.served, g.stop
	g.server = nil
	g.mu.Unlock()
	if srv == nil {
		return
	}
	close(stop)
	srv.Stop()
	<-served
}

// Restart ends the process and starts it again at the same address, with another configuration if change is not nil.
func (g *Global) Restart(change func(*Options)) error {
	g.Stop()
	if change != nil {
		change(&g.opts)
	}
	return g.run(g.Addr)
}

// Ended is closed when the process that runs now has ended, by Stop or by itself.
func (g *Global) Ended() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.served
}

// Down says whether the process has ended.
func (g *Global) Down() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.server == nil
}

// admit authenticates a call and records what became of it.
func (g *Global) admit(ctx context.Context, health bool) error {
	md, _ := metadata.FromIncomingContext(ctx)
	now := g.opts.Now()
	reason, err := g.authenticate(md, now)
	c := Call{Time: now, Health: health, Accepted: err == nil, Code: status.Code(err), Reason: reason}
	if ids := md.Get(clientIDKey); len(ids) > 0 {
		c.Zone = ids[0]
	}
	c.Instance = first(md, instanceKey)
	if err != nil {
		c.Text = status.Convert(err).Message()
	}
	g.note(c)
	if reason == Panicked {
		go g.Stop() // which waits for this very call
		return status.Error(codes.Unavailable, "the process ended")
	}
	return err
}

func (g *Global) note(c Call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls = append(g.calls, c)
	g.opts.Log("%s", c)
	g.opts.Noted(c)
}

// stream authenticates at its opening and never again, then sends what is to be synced whenever that changed.
func (g *Global) stream(s grpc.ServerStream) error {
	if err := g.admit(s.Context(), false); err != nil {
		return err
	}
	md, _ := metadata.FromIncomingContext(s.Context())
	g.mu.Lock()
	g.next++
	id, stop := g.next, g.stop
	sub := Subscription{
		Zone: md.Get(clientIDKey)[0], Since: g.opts.Now(), AuthTokenProvided: len(md.Get(authorizationKey)) == 1,
		Instance: first(md, instanceKey), Config: first(md, configKey),
	}
	g.live[id] = sub
	g.mu.Unlock()
	defer g.opts.Opened(sub)()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.live, id)
	}()
	tick := time.NewTicker(g.opts.SyncEvery)
	defer tick.Stop()
	sent := ""
	for {
		if snapshot, err := g.snapshot(); err == nil && string(snapshot) != sent {
			if err := s.SendMsg(&wrapperspb.BytesValue{Value: snapshot}); err != nil {
				return err
			}
			sent = string(snapshot)
		}
		select {
		case <-tick.C:
		case <-stop:
			return status.Error(codes.Unavailable, "shutting down")
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
}

// Calls are all authentications so far.
func (g *Global) Calls() []Call {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.calls)
}

// Refused are those that failed for a credential.
func (g *Global) Refused() []Call {
	return slices.DeleteFunc(g.Calls(), func(c Call) bool { return !c.Refused() })
}

// Live are the streams that are open, by zone.
func (g *Global) Live() map[string]Subscription {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := map[string]Subscription{}
	for _, s := range g.live {
		all[s.Zone] = s
	}
	return all
}
