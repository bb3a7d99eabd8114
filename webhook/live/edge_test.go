package live

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// canary is in every token; nothing that anybody reads may hold it.
const canary = "c4n4ry-of-a-token"

// identity is a certificate for 127.0.0.1, and the CA to trust it by.
type identity struct {
	cert tls.Certificate
	ca   []byte
}

func newIdentity(t testing.TB, until time.Time) identity {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	self := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edge"},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, self, self, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
}

// fakeEdge is the API server of an edge, at one address for as long as the test runs.
type fakeEdge struct {
	testing.TB
	name, address string
	own           identity
	http1         bool
	delay         time.Duration // of every answer

	mu      sync.Mutex
	objects []apifake.Object
	token   string // that is taken
	issued  int
	answer  func(w http.ResponseWriter, r *http.Request) bool // true: it has answered
	end     func()                                            // of the server that listens now

	reads, connections atomic.Int64
}

// startEdge starts an edge on mutual TLS. It ends with the test.
func startEdge(t testing.TB, name string) *fakeEdge {
	t.Helper()
	e := &fakeEdge{TB: t, name: name, own: newIdentity(t, time.Now().Add(24*time.Hour)), objects: apifake.Edge(name),
		token: canary + ".first"}
	e.serve(e.own)
	t.Cleanup(e.stop)
	return e
}

// serve listens at its address, with a certificate.
func (e *fakeEdge) serve(as identity) {
	e.Helper()
	e.serveOn(tls.NewListener(e.listen(), &tls.Config{Certificates: []tls.Certificate{as.cert},
		NextProtos: e.protocols()}))
}

func (e *fakeEdge) protocols() []string {
	if e.http1 {
		return []string{"http/1.1"}
	}
	return []string{"h2", "http/1.1"}
}

// listen takes the address: any free one at first, then always the same.
func (e *fakeEdge) listen() net.Listener {
	e.Helper()
	at := e.address
	if at == "" {
		at = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp4", at)
	if err != nil {
		e.Fatal(err)
	}
	e.address = l.Addr().String()
	return l
}

func (e *fakeEdge) serveOn(l net.Listener) {
	s := &http.Server{Handler: http.HandlerFunc(e.handle), ErrorLog: log.New(io.Discard, "", 0),
		Protocols: new(http.Protocols),
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				e.connections.Add(1)
			}
		}}
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(!e.http1)
	s.TLSConfig = &tls.Config{NextProtos: e.protocols()}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(l)
	}()
	e.end = func() { l.Close(); s.Close(); <-served }
}

// stop closes everything; its address then refuses.
func (e *fakeEdge) stop() { e.end() }

// mode has the edge declare, be told and present a mode.
func (e *fakeEdge) mode(jwt bool) {
	word, secret := "MUTUAL_TLS", "xcp-edge-cert"
	if jwt {
		word, secret = "JWT", "xcp-edge-central-auth-token"
	}
	e.change(func() {
		e.objects = apifake.Edge(e.name)
		for _, o := range e.objects {
			switch o["kind"] {
			case "ControlPlane":
				o["spec"].(apifake.Object)["components"] = apifake.Object{"xcp": apifake.Object{"centralAuthMode": word}}
			case "EdgeXcp":
				o["spec"] = apifake.Object{"centralAuthMode": word}
			case "Pod":
				o["spec"] = apifake.Object{"volumes": []any{apifake.Object{"name": "v",
					"secret": apifake.Object{"secretName": secret}}}}
			}
		}
	})
}

// change does something to the edge while it answers nobody.
func (e *fakeEdge) change(do func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	do()
}

// answering answers otherwise, nil = as it should.
func (e *fakeEdge) answering(with func(w http.ResponseWriter, r *http.Request) bool) {
	e.change(func() { e.answer = with })
}

func (e *fakeEdge) handle(w http.ResponseWriter, r *http.Request) {
	if e.delay > 0 {
		select {
		case <-time.After(e.delay):
		case <-r.Context().Done():
			return
		}
	}
	e.mu.Lock()
	objects, token, answer := e.objects, e.token, e.answer
	e.mu.Unlock()
	if r.Method == http.MethodGet && r.URL.Path != "/version" {
		e.reads.Add(1)
	}
	if answer != nil && answer(w, r) {
		return
	}
	if !strings.HasPrefix(r.UserAgent(), "xcpauth-webhook/") {
		apifake.Status(w, http.StatusTeapot, "NotTheWebhook", r.UserAgent())
		return
	}
	if r.Header.Get("Authorization") != "Bearer "+token {
		apifake.Status(w, http.StatusUnauthorized, "Unauthorized", "who is "+r.Header.Get("Authorization"))
		return
	}
	if r.URL.Path == edgereader.TokenPath("istio-system") && r.Method == http.MethodPost {
		e.mu.Lock()
		e.issued++
		next := fmt.Sprintf("%s.%d", canary, e.issued)
		e.mu.Unlock()
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(map[string]any{"spec": map[string]any{"expirationSeconds": 3600},
			"status": map[string]any{"token": next, "expirationTimestamp": time.Now().Add(time.Hour).UTC()}})
		return
	}
	apifake.Handler(objects...).ServeHTTP(w, r)
}

// kubeconfig is the one that leads to the edge now.
func (e *fakeEdge) kubeconfig() []byte {
	e.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	text, err := edgereader.Kubeconfig{Server: "https://" + e.address, CA: e.own.ca, Namespace: "istio-system",
		Token: plan.NewSecret([]byte(e.token))}.Encode()
	if err != nil {
		e.Fatal(err)
	}
	return text
}

// mute takes the edge's place with a listener that accepts and never says a word, until the returned function is
// called.
func (e *fakeEdge) mute() (unmute func()) {
	e.Helper()
	e.stop()
	l := e.listen()
	var accepting sync.WaitGroup
	var held []net.Conn
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
		}
	})
	return sync.OnceFunc(func() {
		l.Close()
		accepting.Wait()
		for _, c := range held {
			c.Close()
		}
	})
}

// recorded is what the edge would answer.
func (e *fakeEdge) recorded(r *http.Request) *httptest.ResponseRecorder {
	e.mu.Lock()
	objects := e.objects
	e.mu.Unlock()
	rec := httptest.NewRecorder()
	apifake.Handler(objects...).ServeHTTP(rec, r)
	return rec
}
