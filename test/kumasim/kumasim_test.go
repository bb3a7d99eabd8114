package kumasim

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// key is one for all tests: making it is what takes time.
var key = func() []byte {
	k, err := NewKey()
	if err != nil {
		panic(err)
	}
	return k
}()

// global starts one with the key under serial 1.
func global(t *testing.T, change func(*Options)) (*Global, *Memory) {
	t.Helper()
	secrets := &Memory{}
	put(t, secrets, GlobalSecret("zone-token-signing-key-1", key))
	o := Options{Source: secrets, Auth: AuthZoneToken, SyncEvery: 5 * time.Millisecond}
	if change != nil {
		change(&o)
	}
	g, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Stop)
	return g, secrets
}

func put(t *testing.T, m *Memory, s Secret) {
	t.Helper()
	if err := m.Put(s); err != nil {
		t.Fatal(err)
	}
}

func zone(t *testing.T, g *Global, o ZoneOptions) *Zone {
	t.Helper()
	o.Retry = 5 * time.Millisecond
	if o.CA == nil {
		o.CA = g.CA
	}
	z := StartZone(g, o)
	t.Cleanup(func() { z.Stop() })
	return z
}

func issue(t *testing.T, g *Global, name string, scope ...string) string {
	t.Helper()
	token, err := g.Issue(name, scope, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// await waits until something is so.
func await(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func connected(t *testing.T, g *Global, name string) Subscription {
	t.Helper()
	await(t, name+" is connected", func() bool { _, on := g.Live()[name]; return on })
	return g.Live()[name]
}

// refused waits for the zone's next refusal of a reason after the ones so far.
func refused(t *testing.T, g *Global, name string, r Reason) Call {
	t.Helper()
	before := len(g.Calls())
	var found Call
	await(t, fmt.Sprintf("%s is refused: %s", name, r), func() bool {
		for _, c := range g.Calls()[min(before, len(g.Calls())):] {
			if c.Zone == name && c.Reason == r {
				found = c
				return true
			}
		}
		return false
	})
	return found
}

// signed signs a header and a body as they are written, with the key.
func signed(header, body string) string {
	k, err := parseKey(key)
	if err != nil {
		panic(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	text := b64([]byte(header)) + "." + b64([]byte(body))
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return text + "." + b64(sig)
}

// Each check in its order, with the product's words and code.
func TestWhoIsAuthenticated(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const header = `{"alg":"RS256","kid":"1","typ":"JWT"}`
	const id = "0e120ec9-6b42-495d-9758-07b59fe86fb9"
	body := func(more string) string { return `{"Zone":"west","Scope":["cp"],"jti":"` + id + `"` + more + `}` }
	hour := fmt.Sprintf(`,"exp":%d`, now.Add(time.Hour).Unix())
	good := signed(header, body(hour))
	mac := func(secret string) string {
		text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","kid":"x"}`)) + "." +
			base64.RawURLEncoding.EncodeToString([]byte(body(hour)))
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte(text))
		return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	list := func(text string) func(*Options, *Memory) {
		return func(_ *Options, m *Memory) { put(t, m, GlobalSecret("zone-token-revocations", []byte(text))) }
	}
	for _, tc := range []struct {
		name   string
		md     metadata.MD
		change func(*Options, *Memory)
		reason Reason
		code   codes.Code
		words  string
	}{
		{"a token of the zone", metadata.Pairs("client-id", "west", "authorization", good), nil, "", codes.OK, ""},
		{"with Bearer", metadata.Pairs("client-id", "west", "authorization", "Bearer "+good), nil, "", codes.OK, ""},
		{"with bearer", metadata.Pairs("client-id", "west", "authorization", "bearer "+good), nil, "", codes.OK, ""},
		{"lower-case claims, no exp", metadata.Pairs("client-id", "west", "authorization",
			signed(header, `{"zone":"west","scope":["x","cp"]}`)), nil, "", codes.OK, ""},
		{"iat in the future", metadata.Pairs("client-id", "west", "authorization",
			signed(header, body(hour+fmt.Sprintf(`,"iat":%d`, now.Add(time.Hour).Unix())))), nil, "", codes.OK, ""},
		{"no authentication", metadata.Pairs("client-id", "west"), func(o *Options, _ *Memory) { o.Auth = AuthNone },
			"", codes.OK, ""},
		{"no name", metadata.Pairs("authorization", good), nil, NoClientID, codes.InvalidArgument,
			`"client-id" is not present in metadata`},
		{"no token", metadata.Pairs("client-id", "west"), nil, TokenMissing, codes.Unauthenticated,
			"Zone CP did not provide a zone token. 1) Generate the token using `kumactl generate zone-token --zone=west --scope=cp` on Global CP."},
		{"two tokens", metadata.Pairs("client-id", "west", "authorization", good, "authorization", good), nil, TokenRepeated,
			codes.Unauthenticated, "authorization header has 2 values. Expected 1 value"},
		{"no kid", metadata.Pairs("client-id", "west", "authorization", signed(`{"alg":"RS256"}`, body(hour))), nil,
			TokenInvalid, codes.Unauthenticated,
			"invalid zone token: could not parse token: token is unverifiable: error while executing keyfunc: JWT token must have kid header"},
		{"a numeric kid", metadata.Pairs("client-id", "west", "authorization", signed(`{"alg":"RS256","kid":1}`, body(hour))),
			nil, TokenInvalid, codes.Unauthenticated, "JWT token kid header must be a string"},
		{"an unknown kid", metadata.Pairs("client-id", "west", "authorization",
			signed(`{"alg":"RS256","kid":"7"}`, body(hour))), nil, KeyUnknown, codes.Unauthenticated,
			`invalid zone token: there is no signing key with KID 7. GlobalSecret of name "zone-token-signing-key-7" is not found. If signing key was rotated, regenerate the token`},
		{"a padded key by the kid that it signs with", metadata.Pairs("client-id", "west", "authorization",
			signed(`{"alg":"RS256","kid":"2"}`, body(hour))), func(_ *Options, m *Memory) {
			put(t, m,
				GlobalSecret("zone-token-signing-key-0002", key))
		}, KeyUnknown, codes.Unauthenticated, `"zone-token-signing-key-2" is not found`},
		{"a key that is not global", metadata.Pairs("client-id", "west", "authorization",
			signed(`{"alg":"RS256","kid":"2"}`, body(hour))), func(_ *Options, m *Memory) {
			put(t, m, Secret{Namespace: namespace, Name: "zone-token-signing-key-2", Type: "Opaque",
				Data: map[string][]byte{"value": key}})
		}, KeyUnknown, codes.Unauthenticated, "is not found"},
		{"a key in another namespace", metadata.Pairs("client-id", "west", "authorization",
			signed(`{"alg":"RS256","kid":"2"}`, body(hour))), func(_ *Options, m *Memory) {
			put(t, m, Secret{Namespace: "kuma-system", Name: "zone-token-signing-key-2", Type: globalSecret,
				Data: map[string][]byte{"value": key}})
		}, KeyUnknown, codes.Unauthenticated, "is not found"},
		{"a wrong signature", metadata.Pairs("client-id", "west", "authorization", good[:len(good)-8]+"AAAAAAAA"), nil,
			TokenInvalid, codes.Unauthenticated,
			"invalid zone token: could not parse token: token signature is invalid: crypto/rsa: verification error"},
		{"expired, no leeway", metadata.Pairs("client-id", "west", "authorization",
			signed(header, body(fmt.Sprintf(`,"exp":%d`, now.Unix())))), nil, TokenExpired, codes.Unauthenticated,
			"could not parse token: token has invalid claims: token is expired"},
		{"not yet valid", metadata.Pairs("client-id", "west", "authorization",
			signed(header, body(fmt.Sprintf(`,"nbf":%d`, now.Unix()+1)))), nil, TokenNotYet, codes.Unauthenticated,
			"token is not yet valid: 'valid_from' date is in the future."},
		{"not yet valid, before 2.14", metadata.Pairs("client-id", "west", "authorization",
			signed(header, body(fmt.Sprintf(`,"nbf":%d`, now.Unix()+1)))), func(o *Options, _ *Memory) { o.Switches.TerseNotYet = true }, TokenNotYet, codes.Unauthenticated,
			"invalid zone token: could not parse token: token has invalid claims: token is not valid yet"},
		{"RS512", metadata.Pairs("client-id", "west", "authorization", signed(`{"alg":"RS512","kid":"1"}`, body(hour))), nil,
			TokenInvalid, codes.Unauthenticated,
			"unsupported token alg RS512. Allowed algorithms are RS256 and &{HS256 SHA-256}"},
		{"HS256 without its secret", metadata.Pairs("client-id", "west", "authorization", mac("s")), nil, KeyUnknown,
			codes.Unauthenticated, "there is no signing key with KID 0"},
		{"HS256", metadata.Pairs("client-id", "west", "authorization", mac("s")),
			func(_ *Options, m *Memory) { put(t, m, GlobalSecret("zone-token-signing-key", []byte("s"))) }, "", codes.OK, ""},
		{"HS256 on 3.0", metadata.Pairs("client-id", "west", "authorization", mac("s")), func(o *Options, m *Memory) {
			o.Switches.NoHMAC = true
			put(t, m, GlobalSecret("zone-token-signing-key", []byte("s")))
		}, TokenInvalid, codes.Unauthenticated, "unsupported token alg HS256. Allowed algorithm is RS256"},
		{"revoked", metadata.Pairs("client-id", "west", "authorization", good), list("x," + id + "\n"), TokenRevoked,
			codes.Unauthenticated, "invalid zone token: token is revoked"},
		{"a space in the list", metadata.Pairs("client-id", "west", "authorization", good), list("x, " + id),
			"", codes.OK, ""},
		{"two newlines", metadata.Pairs("client-id", "west", "authorization", good), list(id + "\n\n"), "", codes.OK, ""},
		{"CR LF", metadata.Pairs("client-id", "west", "authorization", good), list(id + "\r\n"), "", codes.OK, ""},
		{"lines", metadata.Pairs("client-id", "west", "authorization", good), list("x\n" + id), "", codes.OK, ""},
		{"upper case", metadata.Pairs("client-id", "west", "authorization", good), list(strings.ToUpper(id)),
			"", codes.OK, ""},
		{"no jti and a trailing comma", metadata.Pairs("client-id", "west", "authorization",
			signed(header, `{"Zone":"west","Scope":["cp"]}`)), list("x,"), TokenRevoked, codes.Unauthenticated,
			"token is revoked"},
		{"another zone", metadata.Pairs("client-id", "east", "authorization", good), nil, WrongZone, codes.PermissionDenied,
			`token is signed for "west" zone, but connected CP advertised as "east"`},
		{"another zone and another scope: the zone comes first", metadata.Pairs("client-id", "east", "authorization",
			signed(header, `{"Zone":"west","Scope":[]}`)), nil, WrongZone, codes.PermissionDenied, "token is signed for"},
		{"another scope", metadata.Pairs("client-id", "west", "authorization",
			signed(header, `{"Zone":"west","Scope":["ingress","egress"]}`)), nil, OutOfScope, codes.PermissionDenied,
			"token cannot be used to authenticate zone CP (cp is out of token's scope: [ingress egress])"},
		{"revoked and of another zone: the list comes first", metadata.Pairs("client-id", "east", "authorization", good),
			list(id), TokenRevoked, codes.Unauthenticated, "token is revoked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			secrets := &Memory{}
			put(t, secrets, GlobalSecret("zone-token-signing-key-1", key))
			g := &Global{opts: Options{Source: secrets, Auth: AuthZoneToken}}
			if tc.change != nil {
				tc.change(&g.opts, secrets)
			}
			reason, err := g.authenticate(tc.md, now)
			if reason != tc.reason || status.Code(err) != tc.code || !strings.Contains(status.Convert(err).Message(), tc.words) {
				t.Errorf("%q, %v; want %q, %s, %q", reason, err, tc.reason, tc.code, tc.words)
			}
		})
	}
}

// From none to tokens: a zone connects without one while nobody asks; once asked, it is refused until its process has
// one.
func TestAZoneNeedsARestartForAToken(t *testing.T) {
	g, _ := global(t, func(o *Options) { o.Auth = "" })
	z := zone(t, g, ZoneOptions{Name: "west"})
	if connected(t, g, "west").AuthTokenProvided {
		t.Error("a token is said to be provided, and none is")
	}
	env := map[string]string{oldInline: issue(t, g, "west", "cp")} // in the Secret; the process does not know
	if err := g.Restart(func(o *Options) { o.Auth = AuthZoneToken }); err != nil {
		t.Fatal(err)
	}
	if c := refused(t, g, "west", TokenMissing); c.Code != codes.Unauthenticated {
		t.Errorf("%v", c)
	}
	z.Restart(env)
	if !connected(t, g, "west").AuthTokenProvided {
		t.Error("no token is said to be provided")
	}
}

// A stream that is open outlives the expiry, the revocation and the key of its token, until a health check looks at
// it: that one fails and ends the session, and the next stream is refused. Without checks, as before 2.5.0, nobody
// looks.
func TestTokensAreLookedAtWhenAStreamOpensAndByHealthChecks(t *testing.T) {
	deleteKey := func(m *Memory, _ string) { m.Delete("zone-token-signing-key-1") }
	for name, c := range map[string]struct {
		spoil func(*Memory, string)
		want  Reason
		every time.Duration
	}{
		"revoked":                      {revoke, TokenRevoked, 5 * time.Millisecond},
		"its key deleted":              {deleteKey, KeyUnknown, 5 * time.Millisecond},
		"revoked, no health checks":    {revoke, TokenRevoked, -1},
		"revoked, long before a check": {revoke, TokenRevoked, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g, secrets := global(t, nil)
			token := issue(t, g, "west", "cp")
			zone(t, g, ZoneOptions{Name: "west", Env: map[string]string{oldInline: token}, HealthEvery: c.every})
			since := connected(t, g, "west").Since
			passed := func() int {
				n := 0
				for _, call := range g.Calls() {
					if call.Health && call.Accepted {
						n++
					}
				}
				return n
			}
			if c.every >= 0 {
				await(t, "the first health check passes", func() bool { return passed() > 0 })
			}
			c.spoil(secrets, token)
			if c.every > 0 {
				await(t, "a health check and then a stream are refused", func() bool {
					all := g.Refused()
					return len(all) > 1 && all[0].Health && !all[1].Health && all[0].Reason == c.want && all[1].Reason == c.want
				})
				await(t, "no stream is open", func() bool { return len(g.Live()) == 0 })
				return
			}
			want := 0
			if c.every == 0 {
				want = 1 // the first one; the next is five minutes away
			}
			if passed() != want {
				t.Errorf("%d health checks, want %d", passed(), want)
			}
			if s, on := g.Live()["west"]; !on || !s.Since.Equal(since) || len(g.Refused()) > 0 {
				t.Errorf("the stream was cut: %+v", s)
			}
			if err := g.Restart(nil); err != nil {
				t.Fatal(err)
			}
			refused(t, g, "west", c.want)
		})
	}
}

// revoke has the list say a token's id.
func revoke(m *Memory, token string) {
	var claims struct{ JTI string }
	body, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err := json.Unmarshal(body, &claims); err != nil {
		panic(err)
	}
	if err := m.Put(GlobalSecret("zone-token-revocations", []byte(claims.JTI))); err != nil {
		panic(err)
	}
}

// A zone dials again after waits that double up to the longest one, and begins with the first one after a session that
// lasted longer.
func TestAZoneBacksOff(t *testing.T) {
	const first, most = 5 * time.Second, time.Minute
	b := backoff{first: first, most: most}
	for i, want := range []time.Duration{first, 2 * first, 4 * first, 8 * first, most, most} {
		if got := b.after(time.Millisecond); got < want || got >= want+first {
			t.Errorf("wait %d is %s, want %s and less than %s more", i, got, want, first)
		}
	}
	if got := b.after(most + 1); got >= 2*first {
		t.Errorf("after a long session the wait is %s", got)
	}
	if got := b.after(0); got < 2*first {
		t.Errorf("the wait after that is %s", got)
	}
	constant := backoff{first: first, most: first}
	for range 3 {
		if got := constant.after(0); got != first {
			t.Errorf("a wait that does not grow is %s", got)
		}
	}
}

// Rotation as documented: the highest serial signs at once, both verify, and the old one's tokens end with it.
func TestKeysRotate(t *testing.T) {
	g, secrets := global(t, nil)
	second, err := NewKey()
	if err != nil {
		t.Fatal(err)
	}
	old := issue(t, g, "west", "cp")
	put(t, secrets, GlobalSecret("zone-token-signing-key-10", second))
	put(t, secrets, GlobalSecret("zone-token-signing-key-9", second))
	put(t, secrets, GlobalSecret("zone-token-signing-key-old", second))
	fresh := issue(t, g, "east", "cp")
	if header, _ := base64.RawURLEncoding.DecodeString(strings.Split(fresh,
		".")[0]); string(header) != `{"alg":"RS256","kid":"10","typ":"JWT"}` {
		t.Errorf("%s", header)
	}
	west := zone(t, g, ZoneOptions{Name: "west", Env: map[string]string{oldInline: old}})
	zone(t, g, ZoneOptions{Name: "east", Env: map[string]string{oldInline: fresh}})
	connected(t, g, "west")
	connected(t, g, "east")
	secrets.Delete("zone-token-signing-key-1")
	west.Restart(map[string]string{oldInline: old})
	refused(t, g, "west", KeyUnknown)
	for _, name := range []string{"zone-token-signing-key-10", "zone-token-signing-key-9", "zone-token-signing-key-old"} {
		secrets.Delete(name)
	}
	if _, err := g.Issue("west", []string{"cp"}, time.Hour); err == nil ||
		!strings.HasPrefix(err.Error(), "there is no signing key with KID 1.") {
		t.Errorf("issued without a key: %v", err)
	}
	put(t, secrets, GlobalSecret("zone-token-signing-key-0002", second))
	if _, err := g.validate(issue(t, g, "west", "cp"), time.Now()); err == nil ||
		!strings.Contains(err.Error(), `"zone-token-signing-key-2" is not found`) {
		t.Errorf("a padded key verifies its own token: %v", err)
	}
}

// What zones get; and how one key that is not PKCS#1 PEM ends the sync of everything, until it is gone.
func TestSecretsAreSynced(t *testing.T) {
	g, secrets := global(t, nil)
	kept := GlobalSecret("xcpauth-kept", []byte("secret"))
	kept.Labels = map[string]string{syncLabel: "disabled"}
	for _, s := range []Secret{GlobalSecret("xcpauth-inventory", []byte("in clear")), kept,
		GlobalSecret("user-token-signing-key-1", key), GlobalSecret("admin-user-token", []byte("x")),
		GlobalSecret("control-plane-signing-key-0002", key), {Namespace: namespace, Name: "opaque", Type: "Opaque",
			Data: map[string][]byte{"value": []byte("x")}}} {
		put(t, secrets, s)
	}
	z := zone(t, g, ZoneOptions{Name: "west", Env: map[string]string{oldInline: issue(t, g, "west", "cp")}})
	await(t, "secrets arrive", func() bool { return len(z.Synced().Secrets) > 0 })
	s := z.Synced().Secrets
	if got := slices.Sorted(maps.Keys(s)); !slices.Equal(got, []string{"control-plane-signing-key-0002",
		"xcpauth-inventory", "zone-token-signing-public-key-1"}) || string(s["xcpauth-inventory"]) != "in clear" ||
		!bytes.HasPrefix(s["zone-token-signing-public-key-1"], []byte("-----BEGIN RSA PUBLIC KEY-----")) ||
		!bytes.Equal(s["control-plane-signing-key-0002"], key) {
		t.Errorf("%v", got)
	}
	private, err := parseKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	for i, tc := range []struct {
		name, why string
		value     []byte
	}{
		{"PKCS#8", `invalid key encoding "PRIVATE KEY"`, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})},
		{"DER", "nil pointer dereference", x509.MarshalPKCS1PrivateKey(private)},
		{"encoded twice", "nil pointer dereference", []byte(base64.StdEncoding.EncodeToString(key))},
	} {
		put(t, secrets, GlobalSecret("zone-token-signing-key-3", tc.value))
		await(t, tc.name+" stops the sync", func() bool { return strings.Contains(g.SyncError(), tc.why) })
		mesh := fmt.Sprintf("mesh-%d", i)
		g.PutMesh(mesh)
		if _, err := g.snapshot(); err == nil || slices.Contains(z.Synced().Meshes, mesh) || g.Down() {
			t.Errorf("%s: the sync goes on, or the global is down: %v", tc.name, err)
		}
		secrets.Delete("zone-token-signing-key-3")
		await(t, "the sync goes on without it", func() bool { return slices.Contains(z.Synced().Meshes, mesh) })
	}
	connected(t, g, "west") // all the while
	if n := len(g.Refused()); n > 0 {
		t.Errorf("%d refused: %v", n, g.Refused())
	}
}

// What was read is believed for the cache's time: a revocation bites after that, and no sooner.
func TestARevocationBitesOnceTheCacheIsOver(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	secrets := &Memory{}
	put(t, secrets, GlobalSecret("zone-token-signing-key-1", key))
	g, err := New(Options{Source: secrets, Auth: AuthZoneToken, CacheFor: time.Second,
		Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	token := signed(`{"alg":"RS256","kid":"1"}`, `{"Zone":"west","Scope":["cp"],"jti":"x"}`)
	if err := g.Ask("west", token); err != nil {
		t.Fatal(err)
	}
	put(t, secrets, GlobalSecret("zone-token-revocations", []byte("x")))
	if at = at.Add(999 * time.Millisecond); g.Ask("west", token) != nil {
		t.Error("it bites within the cache's time")
	}
	if at = at.Add(time.Millisecond); g.Ask("west", token) == nil {
		t.Error("it does not bite once the cache is over")
	}
}

func TestANumericKidEndsAnOldGlobal(t *testing.T) {
	g, _ := global(t, func(o *Options) { o.Switches.KidPanics = true })
	zone(t, g, ZoneOptions{Name: "west", Env: map[string]string{oldInline: signed(`{"alg":"RS256","kid":1}`,
		`{"Zone":"west","Scope":["cp"]}`)}})
	await(t, "the process ends", g.Down)
	if c := g.Refused(); len(c) == 0 || c[0].Reason != Panicked {
		t.Errorf("%v", c)
	}
}

// How a zone finds its token, by the names of its version.
func TestWhereAZoneFindsItsToken(t *testing.T) {
	g, _ := global(t, nil)
	good := issue(t, g, "west", "cp")
	path, empty := filepath.Join(t.TempDir(), "token"), filepath.Join(t.TempDir(), "empty")
	for name, text := range map[string]string{path: good + "\n", empty: "\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name   string
		names  Names
		env    map[string]string
		reason Reason // "" when it connects
		ends   bool   // at its start
	}{
		{"until 2.14.5", OldNames, map[string]string{oldInline: good}, "", false},
		{"until 2.14.5, the new name", OldNames, map[string]string{newInline: good}, TokenMissing, false},
		{"until 2.14.5, with a newline", OldNames, map[string]string{oldInline: good + "\n"}, TokenUnreadable, false},
		{"2.14.6, the old name", BothNames, map[string]string{oldInline: good}, "", false},
		{"2.14.6, the new name", BothNames, map[string]string{newInline: good}, "", false},
		{"3.0", NewNames, map[string]string{newInline: good}, "", false},
		{"3.0, a file with a newline", NewNames, map[string]string{newPath: path, newInline: "x"}, "", false},
		{"3.0, an empty file", NewNames, map[string]string{newPath: empty}, TokenUnreadable, false},
		{"3.0, an old name besides", NewNames, map[string]string{newInline: good, oldInline: good}, "", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			z := zone(t, g, ZoneOptions{Name: "west", Names: tc.names, Env: tc.env})
			defer z.Stop()
			switch {
			case (z.Err() != nil) != tc.ends:
				t.Errorf("ended: %v", z.Err())
			case tc.ends:
			case tc.reason != "":
				refused(t, g, "west", tc.reason)
			default:
				connected(t, g, "west")
			}
			z.Stop()
			await(t, "it is gone", func() bool { _, on := g.Live()["west"]; return !on })
		})
	}
	other, _ := global(t, nil)
	zone(t, g, ZoneOptions{Name: "north", CA: other.CA, Env: map[string]string{oldInline: good}})
	refused(t, g, "north", ServerNotTrusted)
}

// The API looks at who asks before what is asked, and at little of that.
func TestTheAPIThatIssuesTokens(t *testing.T) {
	g, secrets := global(t, nil)
	users, issued := map[string]User{"admin-token": Admin, "bob-token": {"bob", []string{"team"}}}, []Issued{}
	user := func(token string) (User, bool) { u, known := users[token]; return u, known }
	access := Access{User: user, Issued: func(i Issued) { issued = append(issued, i) },
		Issuers: Admins}
	api := g.ServeAPI(access)
	t.Cleanup(api.Close)
	ask := func(who, body string) (int, string, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, api.URL+"/tokens/zone", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if who != "" {
			req.Header.Set("Authorization", "Bearer "+who)
		}
		res, err := api.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header.Get("Content-Type"), string(text)
	}
	for _, tc := range []struct {
		name, who, body string
		status          int
		says            string
	}{
		{"anybody", "", `{"zone":"west","scope":["cp"]}`, 403,
			`user \"mesh-system:anonymous/mesh-system:unauthenticated\" cannot access generate zone token for zone 'west'`},
		{"a token that nobody has", "mallory", `{"zone":"west","scope":["cp"]}`, 401, "Invalid authentication data"},
		{"somebody else", "bob-token", `{"zone":"west"}`, 403, "Access Denied"},
		{"no scope", "admin-token", `{"zone":"west","validFor":"1h"}`, 400, `"field":"scope","reason":"cannot be empty"`},
		{"an odd duration", "admin-token", `{"zone":"west","scope":["cp"],"validFor":"soon"}`, 400,
			"is invalid: time: invalid duration"},
		{"no JSON", "admin-token", `west`, 400, ""},
	} {
		if code, _, text := ask(tc.who, tc.body); code != tc.status || !strings.Contains(text, tc.says) {
			t.Errorf("%s: %d %s", tc.name, code, text)
		}
	}
	for body, want := range map[string]time.Duration{`{"zone":"west","scope":["cp"],"validFor":"720h"}`: 720 * time.Hour,
		`{"zone":"west","scope":["cp"]}`:                            87600 * time.Hour,
		`{"zone":"west","scope":["anything","cp"],"validFor":"1h"}`: time.Hour} {
		code, kind, token := ask("admin-token", body)
		claims, err := g.validate(token, time.Now())
		if code != 200 || kind != "text/plain" || err != nil || claims.Zone != "west" ||
			claims.ExpiresAt.Sub(claims.NotBefore.Time) != want+5*time.Second || strings.HasSuffix(token, "\n") {
			t.Errorf("%s: %d %s %v %+v", body, code, kind, err, claims)
		}
	}
	if len(issued) != 3 || issued[0].By != "mesh-system:admin" || issued[0].Zone != "west" {
		t.Errorf("the audit log says %+v", issued)
	}
	secrets.Delete("zone-token-signing-key-1")
	if code, _, text := ask("admin-token", `{"zone":"west","scope":["cp"]}`); code != 404 ||
		!strings.Contains(text, "Signing Key not found") {
		t.Errorf("%d %s", code, text)
	}
	off := g.ServeAPI(Access{User: user, Issuers: Allowed{Groups: []string{"team"}}, NoIssuer: true})
	t.Cleanup(off.Close)
	api = off
	if code, _, text := ask("bob-token", `{"zone":"west","scope":["cp"]}`); code != 400 ||
		!strings.Contains(text, "issuing tokens using the control plane is disabled.") {
		t.Errorf("%d %s", code, text)
	}
}

func TestWhatTheStandInItselfRefuses(t *testing.T) {
	var m Memory
	meshed := GlobalSecret("x", []byte("x"))
	meshed.Labels = map[string]string{meshLabel: "default"}
	for name, s := range map[string]Secret{"an empty value": GlobalSecret("zone-token-revocations", nil),
		"a mesh": meshed} {
		if m.Put(s) == nil {
			t.Errorf("%s is stored", name)
		}
	}
	put(t, &m, Secret{Namespace: namespace, Name: "x", Type: "Opaque"})
	if m.Put(GlobalSecret("x", []byte("x"))) == nil {
		t.Error("the type of a secret is changed")
	}
	if g, err := Start(Options{Source: &m, Auth: "zonetoken"}); err == nil {
		g.Stop()
		t.Error("an unknown type of authentication is taken")
	}
}
