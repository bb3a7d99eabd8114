package live

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// fault is something that goes wrong between the hub and an edge. begin brings it about, and returns what ends it;
// the denial must hold why.
type fault struct {
	name  string
	why   string
	begin func(t *testing.T, h *fakeHub, e *fakeEdge) (heal func())
}

// answering is a fault of the edge's answers. Only reads of what ends in path are answered so; "" = everything.
func answering(name, why, path string, answer func(e *fakeEdge, w http.ResponseWriter, r *http.Request)) fault {
	return fault{name: name, why: why, begin: func(_ *testing.T, _ *fakeHub, e *fakeEdge) func() {
		e.answering(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, path) {
				return false
			}
			answer(e, w, r)
			return true
		})
		return func() { e.answering(nil) }
	}}
}

// status is a fault in which the API server answers with a code.
func status(name, why, path string, code int, reason string, headers ...string) fault {
	return answering(name, why, path, func(_ *fakeEdge, w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		apifake.Status(w, code, reason, "said with "+r.Header.Get("Authorization"))
	})
}

// changed is a fault in which one answer is another than it should be.
func changed(name, why, path string, change func(body m)) fault {
	return answering(name, why, path, func(e *fakeEdge, w http.ResponseWriter, r *http.Request) {
		var body m
		if err := json.Unmarshal(e.recorded(r).Body.Bytes(), &body); err != nil {
			e.Error(err)
		}
		change(body)
		json.NewEncoder(w).Encode(body)
	})
}

// body is a fault in which one answer is a text.
func body(name, why, path, text string) fault {
	return answering(name, why, path, func(_ *fakeEdge, w http.ResponseWriter, _ *http.Request) { w.Write([]byte(text)) })
}

// secret is a fault of what lies in the hub.
func secretFault(name, why string, data func(e *fakeEdge) m) fault {
	return fault{name: name, why: why, begin: func(_ *testing.T, h *fakeHub, e *fakeEdge) func() {
		h.put(e.name, data(e), nil)
		return func() { h.store(e) }
	}}
}

// The faults between a hub and an edge, R1 to R14 of the catalogue as far as a loopback has them.
func faults() []fault {
	return []fault{
		{name: "R1 stopped", why: "refused the connection", begin: func(_ *testing.T, _ *fakeHub, e *fakeEdge) func() {
			e.stop()
			return func() { e.serve(e.own) }
		}},
		{name: "R2 accepts and never speaks", why: "did not answer within", begin: func(_ *testing.T, _ *fakeHub,
			e *fakeEdge) func() {
			unmute := e.mute()
			return func() { unmute(); e.serve(e.own) }
		}},
		answering("R2 takes the request and never answers", "did not answer within", "",
			func(_ *fakeEdge, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		answering("R2 answers all but one read", "did not answer within", "/pods",
			func(_ *fakeEdge, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
		answering("R3 drips", "did not answer within", "/pods", func(e *fakeEdge, w http.ResponseWriter, r *http.Request) {
			for _, b := range e.recorded(r).Body.Bytes() {
				w.Write([]byte{b})
				w.(http.Flusher).Flush()
				select {
				case <-time.After(50 * time.Millisecond):
				case <-r.Context().Done():
					return
				}
			}
		}),
		{name: "R4 another certificate", why: "signed by another CA", begin: func(t *testing.T, _ *fakeHub,
			e *fakeEdge) func() {
			e.stop()
			e.serve(newIdentity(t, time.Now().Add(time.Hour)))
			return func() { e.stop(); e.serve(e.own) }
		}},
		{name: "R4 another CA, which the next kubeconfig has", why: "edge register eu",
			begin: func(t *testing.T, h *fakeHub, e *fakeEdge) func() {
				e.stop()
				next := newIdentity(t, time.Now().Add(time.Hour))
				e.serve(next)
				return func() { e.own = next; h.store(e) }
			}},
		{name: "R4 an expired certificate", why: "has expired", begin: func(t *testing.T, h *fakeHub, e *fakeEdge) func() {
			was := e.own
			e.stop()
			e.own = newIdentity(t, time.Now().Add(-time.Hour))
			e.serve(e.own)
			h.store(e)
			return func() { e.stop(); e.own = was; e.serve(was); h.store(e) }
		}},
		{name: "R4 a certificate for another name", why: "for another name",
			begin: func(_ *testing.T, h *fakeHub, e *fakeEdge) func() {
				k := h.kubeconfig(e.name)
				k.ServerName = "elsewhere.example.test"
				text, err := k.Encode()
				if err != nil {
					e.Fatal(err)
				}
				h.put(e.name, m{"kubeconfig": text}, nil)
				return func() { h.store(e) }
			}},
		{name: "R4 no TLS", why: "does not speak TLS", begin: func(_ *testing.T, _ *fakeHub, e *fakeEdge) func() {
			e.stop()
			e.serveOn(e.listen())
			return func() { e.stop(); e.serve(e.own) }
		}},
		{name: "R4 only an old TLS", why: "does not speak TLS", begin: func(_ *testing.T, _ *fakeHub, e *fakeEdge) func() {
			e.stop()
			e.serveOn(tls.NewListener(e.listen(), &tls.Config{Certificates: []tls.Certificate{e.own.cert},
				MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}))
			return func() { e.stop(); e.serve(e.own) }
		}},
		{name: "R5 the token is revoked, and the Secret has a new one", why: "refused the token (401)",
			begin: func(_ *testing.T, h *fakeHub, e *fakeEdge) func() {
				e.change(func() { e.token += ".next" })
				return func() { h.store(e) }
			}},
		status("R6 may read nothing", "may not read", "", http.StatusForbidden, "Forbidden"),
		status("R6 may not list pods", "may not read pods there (403)", "/pods", http.StatusForbidden, "Forbidden"),
		status("R7 no more requests", "takes no more requests for now (429)", "", http.StatusTooManyRequests,
			"TooManyRequests"),
		status("R7 to be asked in a minute", "takes no more requests for now (429)", "", http.StatusTooManyRequests,
			"TooManyRequests", "Retry-After", "60"),
		status("R7 to be asked again and again", "429", "", http.StatusTooManyRequests, "TooManyRequests",
			"Retry-After", "0"),
		status("R9 no ControlPlanes are served", "ControlPlane istio-system/controlplane is not there",
			"/controlplanes/controlplane", http.StatusNotFound, "NotFound"),
		status("R9 no EdgeXcps are served", "do not say one documented mode", "/edgexcps", http.StatusNotFound, "NotFound"),
		status("R9 no Deployment", "its Deployment is not there", "/deployments/edge", http.StatusNotFound, "NotFound"),
		status("R9 no pods are served", "knows no pods", "/pods", http.StatusNotFound, "NotFound"),
		body("R9 somebody else's 404", "", "", "404 page not found"),
		answering("R9 a page that is not there", "failed (404)", "/pods", func(_ *fakeEdge, w http.ResponseWriter,
			_ *http.Request) {
			http.Error(w, "<html>", http.StatusNotFound)
		}),
		changed("R11 re-created", "was re-created", "/controlplanes/controlplane",
			func(o m) { o["metadata"].(m)["uid"] = "uid-2" }),
		changed("R10 in another namespace", "not the object that was asked for", "/controlplanes/controlplane",
			func(o m) { o["metadata"].(m)["namespace"] = "elsewhere" }),
		changed("a ControlPlane of no documented mode", "declares no documented mode",
			"/controlplanes/controlplane", func(o m) {
				o["spec"].(m)["components"].(m)["xcp"] = m{"centralAuthMode": "jwt"}
			}),
		changed("an old pod left over", "old presents mtls", "/pods", func(l m) {
			l["items"] = append(l["items"].([]any), m{"metadata": m{"name": "old", "namespace": "istio-system",
				"uid": "uid-old"}, "spec": m{"volumes": []any{m{"name": "c", "secret": m{"secretName": "xcp-edge-cert"}}}}})
		}),
		changed("a part of a list", "is a part of a list", "/pods",
			func(l m) { l["metadata"] = m{"continue": "x"}; l["items"] = []any{} }),
		changed("a list of another namespace", "a list of something else", "/pods",
			func(l m) { l["items"] = []any{m{"metadata": m{"name": "p", "namespace": "elsewhere", "uid": "u"}}} }),
		changed("a list of another kind", "not the list that was asked for", "/pods",
			func(l m) { l["kind"] = "ConfigMapList" }),
		changed("a list without items", "not the list that was asked for", "/pods", func(l m) { delete(l, "items") }),
		changed("a list of nothings", "a list of something else", "/pods", func(l m) { l["items"] = []any{nil} }),
		body("garbage", "no object as the API has them", "/pods", "\x00\x01 "+canary),
		body("an empty body", "no object as the API has them", "/pods", ""),
		body("an empty object", "not the list that was asked for", "/pods", "{}"),
		body("a body of nested lists", "no object as the API has them", "/pods", strings.Repeat("[", 100_000)),
		answering("a body without end", "larger than 8 MiB", "/pods", func(_ *fakeEdge, w http.ResponseWriter,
			r *http.Request) {
			for chunk := []byte(strings.Repeat(" ", 1<<16)); r.Context().Err() == nil; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		}),
		answering("cut in the middle of a body", "was cut", "/pods", func(e *fakeEdge, w http.ResponseWriter,
			r *http.Request) {
			whole := e.recorded(r).Body.Bytes()
			w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
			w.Write(whole[:len(whole)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}),
		status("failing", "failed (500, InternalError)", "", http.StatusInternalServerError, "InternalError"),
		status("not ready", "failed (503)", "", http.StatusServiceUnavailable, "reason with "+canary),
		{name: "a redirect", why: "answered with a redirect (307), which is not followed", begin: redirected},
		secretFault("the Secret is gone", "edge register eu", func(*fakeEdge) m { return nil }),
		secretFault("the Secret is empty", "the kubeconfig is empty", func(*fakeEdge) m { return m{} }),
		secretFault("the Secret is no text", "the kubeconfig is empty", func(*fakeEdge) m { return m{"kubeconfig": "%"} }),
		secretFault("the kubeconfig runs a program", "users[0].user.exec would run a program", func(e *fakeEdge) m {
			return m{"kubeconfig": []byte(strings.Replace(string(e.kubeconfig()), "token:",
				"exec: {command: "+canary+"}\n    token:", 1))}
		}),
		{name: "the kubeconfig of another edge", why: "was re-created", begin: func(t *testing.T, h *fakeHub,
			e *fakeEdge) func() {
			other := startEdge(t, "us")
			other.mode(true)
			h.put(e.name, m{"kubeconfig": other.kubeconfig()}, nil)
			return func() { h.store(e) }
		}},
		hubFault("the hub's Secrets may not be read", "could not be read: secrets is forbidden",
			func(w http.ResponseWriter, r *http.Request) {
				apifake.Status(w, http.StatusForbidden, "Forbidden", "secrets is forbidden")
			}),
		hubFault("the hub's Secrets do not come", "could not be read", func(_ http.ResponseWriter,
			r *http.Request) {
			<-r.Context().Done()
		}),
	}
}

// redirected leads to a server that would say JWT to everything; nobody may come there.
func redirected(t *testing.T, _ *fakeHub, e *fakeEdge) func() {
	var followed atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { followed.Add(1) }))
	e.answering(func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
		return true
	})
	return func() {
		elsewhere.Close()
		if followed.Load() != 0 {
			t.Errorf("%d redirects were followed", followed.Load())
		}
		e.answering(nil)
	}
}

// hubFault is a fault of the hub's own API server about Secrets.
func hubFault(name, why string, answer func(w http.ResponseWriter, r *http.Request)) fault {
	return fault{name: name, why: why, begin: func(_ *testing.T, h *fakeHub, _ *fakeEdge) func() {
		set := func(to func(http.ResponseWriter, *http.Request) bool) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.answer = to
		}
		set(func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, secretsPath) {
				return false
			}
			answer(w, r)
			return true
		})
		return func() { set(nil) }
	}}
}

// decisionTime is what the API server gives a decision here.
const decisionTime = 2 * time.Second

// No fault turns a denial into an admission: while it lasts the edit is denied, whatever the edge presents and
// whatever was once stated; once it is over the same replica answers as the edge is, without a restart.
func TestNoFaultTurnsADenialIntoAnAdmission(t *testing.T) {
	slots := make(chan struct{}, 16) // most of them wait for an end that is theirs alone
	var trying sync.WaitGroup
	defer trying.Wait()
	for _, f := range faults() {
		for _, http1 := range []bool{false, true} {
			name := f.name + " over " + map[bool]string{true: "HTTP/1", false: "HTTP/2"}[http1]
			slots <- struct{}{}
			trying.Go(func() {
				defer func() { <-slots }()
				t.Run(name, func(t *testing.T) {
					h, e := startHub(t), startEdge(t, "eu")
					if http1 {
						e.stop()
						e.http1 = true
						e.serve(e.own)
					}
					h.register(e)
					d := h.decider(decisionTime)
					d.denies("on mTLS", "eu: mtls", "read in its cluster at")
					heal := f.begin(t, h, e)
					d.denies("on mTLS and faulty", "eu: mtls")
					e.mode(true)
					d.denies("on JWT and faulty", "eu: mtls", f.why)
					heal()
					d.admits("on JWT and healed")
					heal = f.begin(t, h, e)
					d.denies("faulty again", "eu: mtls")
					e.mode(false)
					heal()
					d.denies("on mTLS again and healed", "eu: mtls", "read in its cluster at")
					if strings.Contains(d.log.String(), canary) {
						t.Error("a token is in the log")
					}
				})
			})
		}
	}
}
