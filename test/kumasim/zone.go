package kumasim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// Names is which variables a zone's version reads.
type Names int

const (
	OldNames  Names = iota // until 2.14.5
	BothNames              // 2.14.6
	NewNames               // 3.0, which ends at its start while an old one is set
)

const (
	oldInline = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	oldPath   = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_PATH"
	newInline = "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE"
	newPath   = "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_PATH"
)

// ZoneOptions are of a zone.
type ZoneOptions struct {
	Name        string
	CA          []byte // PEM; nil verifies nobody, as the product does without it
	Names       Names
	Env         map[string]string
	PathReread  bool          // a file is read for every call; always so with NewNames, undocumented before
	Retry       time.Duration // the first wait before it dials again: 20 ms, 5 s in the product
	RetryMost   time.Duration // the longest one, up to which it doubles: Retry when 0, 1 min in the product
	HealthEvery time.Duration // 5 min when 0, as in the product; never when negative, as before 2.5.0
	Instance    string        // names the process in calls and subscriptions
	Config      string        // its configuration as it shows it, for subscriptions
	// which global the next session is with, none when nil; nil is always the one it was started with
	Find func() *Global
}

// Zone is a zone control plane: it connects with the token that its environment had when its process started.
type Zone struct {
	opts  ZoneOptions
	end   context.CancelFunc
	ended chan struct{}

	mu       sync.Mutex
	snapshot Snapshot
	cut      func() // ends the session
	fatal    error  // why the process ended at its start
}

// StartZone starts a zone's process; Stop ends it. With o.Find no global need be given.
func StartZone(g *Global, o ZoneOptions) *Zone {
	if o.Retry == 0 {
		o.Retry = 20 * time.Millisecond
	}
	if o.RetryMost == 0 {
		o.RetryMost = o.Retry
	}
	if o.HealthEvery == 0 {
		o.HealthEvery = 5 * time.Minute
	}
	if o.Find == nil {
		o.Find = func() *Global { return g }
	}
	z := &Zone{opts: o, cut: func() {}}
	z.start()
	return z
}

// Restart starts the process again with another environment: the only way in which a variable from a Secret changes.
func (z *Zone) Restart(env map[string]string) {
	z.Stop()
	z.opts.Env = maps.Clone(env)
	z.start()
}

// Stop ends the process.
func (z *Zone) Stop() {
	z.end()
	<-z.ended
}

// Disconnect ends the session; the next one follows as ever.
func (z *Zone) Disconnect() {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.cut()
}

// Err is why the process ended at its start, if it did.
func (z *Zone) Err() error {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.fatal
}

// Synced is what the zone was sent last.
func (z *Zone) Synced() Snapshot {
	z.mu.Lock()
	defer z.mu.Unlock()
	return z.snapshot
}

func (z *Zone) start() {
	ctx, cancel := context.WithCancel(context.Background())
	z.end, z.ended = cancel, make(chan struct{})
	token, err := z.token()
	z.mu.Lock()
	z.fatal = err
	z.mu.Unlock()
	go func() {
		defer close(z.ended)
		wait := backoff{first: z.opts.Retry, most: z.opts.RetryMost}
		for err == nil && ctx.Err() == nil {
			session, cut := context.WithCancel(ctx)
			z.mu.Lock()
			z.cut = cut
			z.mu.Unlock()
			began := time.Now()
			g := z.opts.Find()
			if g != nil {
				z.session(session, g, token)
			}
			cut()
			pause := min(z.opts.Retry, askAgain)
			if g != nil {
				pause = wait.after(time.Since(began))
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}()
}

// askAgain is how soon a zone asks again which global it is to dial, where there was none.
const askAgain = 100 * time.Millisecond

// backoff is how long a zone waits before it dials again (Kuma pkg/core/runtime/component/resilient.go at v2.14.3:
// exponential, capped, and after a session that was longer than the cap from the beginning again). The product adds
// a jitter of as much as the first wait either way; only the longer half of it is played.
type backoff struct{ first, most, next time.Duration }

// after is the wait after a session that lasted that long.
func (b *backoff) after(lasted time.Duration) time.Duration {
	if lasted > b.most || b.next == 0 {
		b.next = b.first
	}
	now := b.next
	b.next = min(2*b.next, b.most)
	if b.most > b.first {
		now += rand.N(b.first)
	}
	return now
}

// token is how the process gets its token, from then on; "" is none.
func (z *Zone) token() (func() (string, error), error) {
	var inline, path string
	reread, trim := z.opts.PathReread, false
	if z.opts.Names != NewNames {
		inline, path = z.opts.Env[oldInline], z.opts.Env[oldPath]
	} else {
		for _, name := range slices.Sorted(maps.Keys(z.opts.Env)) {
			if strings.HasPrefix(name, "KMESH_MULTIZONE_") {
				return nil, fmt.Errorf("%s is not supported any more", name)
			}
		}
	}
	if z.opts.Names != OldNames && z.opts.Env[newInline]+z.opts.Env[newPath] != "" {
		inline, path, reread, trim = z.opts.Env[newInline], z.opts.Env[newPath], true, true
	}
	clean := func(token string) string {
		if trim {
			token = strings.TrimFunc(token, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsGraphic(c) })
		}
		return token
	}
	if path == "" {
		return func() (string, error) { return clean(inline), nil }, nil
	}
	read := func() (string, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return "", err
		}
		if token := clean(string(text)); token != "" {
			return token, nil
		}
		return "", errors.New("the token file is empty")
	}
	if reread {
		return read, nil
	}
	token, err := read()
	return func() (string, error) { return token, nil }, err
}

// session dials once, and holds the stream until it ends.
func (z *Zone) session(ctx context.Context, g *Global, token func() (string, error)) {
	// as the product does without a CA
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: z.opts.CA == nil}
	if z.opts.CA != nil {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM(z.opts.CA)
	}
	conn, err := grpc.NewClient(g.Addr, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		z.failed(ctx, g, Unreachable, err)
		return
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var health sync.WaitGroup
	defer health.Wait()
	defer cancel()
	call, err := z.outgoing(ctx, token)
	if err != nil {
		z.failed(ctx, g, TokenUnreadable, err)
		return
	}
	stream, err := conn.NewStream(call, &grpc.StreamDesc{ClientStreams: true, ServerStreams: true},
		"/"+serviceName+"/"+streamName)
	if err != nil {
		z.failed(ctx, g, z.reason(err), err)
		return
	}
	begin := sync.OnceFunc(func() {
		if z.opts.HealthEvery > 0 {
			health.Go(func() {
				defer cancel()
				z.checkHealth(ctx, conn, token)
			})
		}
	})
	for {
		var message wrapperspb.BytesValue
		if err := stream.RecvMsg(&message); err != nil {
			if status.Code(err) == codes.Internal || status.Code(err) == codes.Unavailable {
				z.failed(ctx, g, z.reason(err), err)
			}
			return
		}
		begin()
		var s Snapshot
		if err := json.Unmarshal(message.Value, &s); err != nil {
			return
		}
		z.mu.Lock()
		z.snapshot = s
		z.mu.Unlock()
	}
}

// outgoing names the zone, and adds its token.
func (z *Zone) outgoing(ctx context.Context, token func() (string, error)) (context.Context, error) {
	text, err := token()
	if err != nil {
		return nil, err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, clientIDKey, z.opts.Name)
	if z.opts.Instance != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, instanceKey, z.opts.Instance)
	}
	if z.opts.Config != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, configKey, z.opts.Config)
	}
	if text != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, authorizationKey, text)
	}
	return ctx, nil
}

// checkHealth checks at once and then every so often, until one check fails; that ends the session (Kuma
// pkg/kds/mux/client.go at v2.14.3, since 2.5.0). Here the first one waits for the stream to be accepted, so that a
// dial that is refused is one call; there all begin together.
func (z *Zone) checkHealth(ctx context.Context, conn *grpc.ClientConn, token func() (string, error)) {
	tick := time.NewTicker(z.opts.HealthEvery)
	defer tick.Stop()
	for {
		call, err := z.outgoing(ctx, token)
		if err == nil {
			err = conn.Invoke(call, "/"+serviceName+"/"+healthName, &emptypb.Empty{}, &emptypb.Empty{}) // the global records it
		}
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// reason tells why a call did not reach the global.
func (z *Zone) reason(err error) Reason {
	switch text := err.Error(); {
	case strings.Contains(text, "non-printable"):
		return TokenUnreadable
	case strings.Contains(text, "x509:"):
		return ServerNotTrusted
	}
	return Unreachable
}

// failed records a dial that did not reach the global's evaluation.
func (z *Zone) failed(ctx context.Context, g *Global, r Reason, err error) {
	if ctx.Err() == nil {
		g.note(Call{Time: time.Now(), Zone: z.opts.Name, Instance: z.opts.Instance, Code: status.Code(err), Reason: r,
			Text: err.Error()})
	}
}
