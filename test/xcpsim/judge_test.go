package xcpsim

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"testing"
	"time"
)

func testIssuer(t *testing.T, kid string) *issuer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	i, err := newIssuer(encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)), kid)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func clientChain(t *testing.T, ca *Authority) []*x509.Certificate {
	t.Helper()
	data, err := ca.Issue(Leaf{Names: []string{"edge-1"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(decode(data["tls.crt"]))
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{cert}
}

func TestCentralRefusesWithItsReason(t *testing.T) {
	now := time.Now()
	ours, theirs := testIssuer(t, "1"), testIssuer(t, "1")
	ca, err := NewAuthority("root")
	if err != nil {
		t.Fatal(err)
	}
	other, err := NewAuthority("other root")
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca.CertPEM)
	bearer := func(i *issuer, subject string, ttl time.Duration) []string {
		token, err := i.mint(subject, now, ttl)
		if err != nil {
			t.Fatal(err)
		}
		return []string{"Bearer " + token}
	}
	both := map[Credential]bool{MTLS: true, JWT: true}
	good := bearer(ours, edgeSubject("edge-1"), time.Minute)
	chain := clientChain(t, ca)
	for name, c := range map[string]struct {
		accepts map[Credential]bool
		p       presented
		unbound bool
		rejects bool
		later   time.Duration
		want    Reason
		kind    Credential
	}{
		"certificate of the root": {both, presented{chain: chain}, false, false, 0, "", MTLS},
		"certificate of another root": {both, presented{chain: clientChain(t, other)}, false, false, 0,
			ClientCertUntrusted, MTLS},
		"expired certificate": {both, presented{chain: chain}, false, false, 20 * 365 * 24 * time.Hour,
			ClientCertUntrusted, MTLS},
		"certificate, jwt only": {map[Credential]bool{JWT: true}, presented{chain: chain}, false, false, 0,
			ModeNotAccepted, MTLS},
		"certificate, nothing accepted": {nil, presented{chain: chain}, false, false, 0, ModeNotAccepted, MTLS},
		"token":                         {both, presented{authorization: good}, false, false, 0, "", JWT},
		"token, mtls only": {map[Credential]bool{MTLS: true}, presented{authorization: good}, false, false, 0,
			ModeNotAccepted, JWT},
		"token after its expiry": {both, presented{authorization: good}, false, false, 2 * time.Minute,
			TokenExpired, JWT},
		"token of another key": {both, presented{authorization: bearer(theirs, edgeSubject("edge-1"), time.Minute)},
			false, false, 0, TokenInvalid, JWT},
		"token that is none": {both, presented{authorization: []string{"Bearer x"}}, false, false, 0,
			TokenInvalid, JWT},
		"empty token": {both, presented{authorization: []string{"Bearer "}}, false, false, 0,
			TokenMissing, JWT},
		"no credential": {both, presented{}, false, false, 0, TokenMissing, None},
		"token of another cluster": {both, presented{authorization: bearer(ours, edgeSubject("edge-2"), time.Minute)},
			false, false, 0, WrongCluster, JWT},
		"token of another, not bound": {both, presented{authorization: bearer(ours, edgeSubject("edge-2"), time.Minute)},
			true, false, 0, "", JWT},
		"token rejected for this edge":   {both, presented{authorization: good}, false, true, 0, TokenInvalid, JWT},
		"certificate, its token rejects": {both, presented{chain: chain}, false, true, 0, "", MTLS},
	} {
		t.Run(name, func(t *testing.T) {
			c.p.member = "edge-1"
			j := judge{accepts: c.accepts, clientCA: pool, issuer: ours, bound: !c.unbound,
				rejects: func(string) bool { return c.rejects }}
			if got := j.admit(c.p, now.Add(c.later)); got.reason != c.want {
				t.Errorf("reason %q (%s), want %q", got.reason, got.text, c.want)
			}
			if got := c.p.kind(); got != c.kind {
				t.Errorf("presented %q, want %q", got, c.kind)
			}
		})
	}
}

func TestADialIsRecordedOnce(t *testing.T) {
	r := newRecord()
	now := time.Now()
	id := r.begin("edge-1", "edge-abc", MTLS)
	r.decide(id, place{"hub", "central-1"}, MTLS, ModeNotAccepted, "mtls is not accepted here", now)
	r.decide(id, place{}, None, Unreachable, "rpc error", now)
	if d := r.allDials(); len(d) != 1 || d[0].Reason != ModeNotAccepted || !d[0].Refused() || d[0].Central != "central-1" {
		t.Errorf("recorded %v, want Central's decision alone", d)
	}
	id = r.begin("edge-1", "edge-abc", MTLS)
	r.decide(id, place{}, None, Unreachable, "no such host", now)
	if d := r.allDials(); len(d) != 2 || d[1].Refused() {
		t.Errorf("recorded %v, want a second dial that nobody refused", d)
	}
}

func TestServiceAccountMustBelongToTheCluster(t *testing.T) {
	jwk, err := NewServiceAccountKey("k1")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		fqn, jwk string
		ok       bool
	}{
		"right":               {"organizations/example/clusters/edge-1", string(jwk), true},
		"other cluster":       {"organizations/example/clusters/edge-2", string(jwk), false},
		"name as a mere tail": {"organizations/example/clusters/my-edge-1", string(jwk), false},
		"no organization":     {"clusters/edge-1", string(jwk), false},
		"empty":               {"", string(jwk), false},
		"key is no JSON":      {"organizations/example/clusters/edge-1", "x", false},
		"key is not private": {"organizations/example/clusters/edge-1",
			`{"kty":"RSA","alg":"RS256","kid":"k1","n":"AQAB","e":"AQAB"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkServiceAccount(map[string][]byte{"clusterFqn": []byte(c.fqn), "jwk": []byte(c.jwk)}, "edge-1")
			if (err == nil) != c.ok {
				t.Errorf("error %v, want ok %v", err, c.ok)
			}
		})
	}
}
