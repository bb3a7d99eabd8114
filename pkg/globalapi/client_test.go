package globalapi

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// to connects to a server without a cluster between.
func to(t *testing.T, h http.Handler) *connection {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	k := connect(t.Context(), nil, "pod", plan.HubAPI{Base: "/"}, "the-users-own-token")
	k.base, k.again = s.URL+"/", time.Millisecond
	dial := net.Dialer{}
	k.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dial.DialContext(ctx, network, strings.TrimPrefix(s.URL, "http://"))
	}
	t.Cleanup(k.close)
	return k
}

// list asks for a list.
func list(t *testing.T, h http.Handler) ([]byte, error) {
	t.Helper()
	return Client{}.whole(t.Context(), to(t, h), plan.Read{Asked: "/zones+insights"})
}

func says(body, kind string, status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

const asJSON = "application/json"

// Whatever is not the whole list that was asked for is an error, of which nothing is believed.
func TestHalfAnAnswerIsNone(t *testing.T) {
	const one = `{"total":1,"items":[{"name":"west"}],"next":null}`
	for _, tc := range []struct {
		name string
		h    http.Handler
		says string // "" where the list is whole
	}{
		{"whole", says(one, asJSON, 200), ""},
		{"empty", says(`{"total":0,"items":[]}`, asJSON, 200), ""},
		{"HTML", says("<html>log in</html>", "text/html; charset=utf-8", 200),
			`it answered with "text/html" and not with JSON`},
		{"no kind of body", says(one, "", 200), "and not with JSON"},
		{"no JSON", says(one[:20], asJSON, 200), "is not the JSON that it documents"},
		{"no items", says(`{"total":1}`, asJSON, 200), "is no list as it documents"},
		{"no total", says(`{"items":[{"name":"west"}]}`, asJSON, 200), "is no list as it documents"},
		{"an item without a name", says(`{"total":1,"items":[{"zone":{}}]}`, asJSON, 200), "lists something without a name"},
		{"a name that a terminal obeys", says(`{"total":1,"items":[{"name":"\u001b[2Jwest"}]}`, asJSON, 200),
			"lists something without a name, or with one that is none"},
		{"a name that is a path", says(`{"total":1,"items":[{"name":"../west"}]}`, asJSON, 200),
			"lists something without a name, or with one that is none"},
		{"fewer than there are", says(`{"total":2,"items":[{"name":"west"}]}`, asJSON, 200), "changed each time"},
		{"one of them twice", says(`{"total":2,"items":[{"name":"west"},{"name":"west"}]}`, asJSON, 200),
			"changed each time that its pages were read"},
		{"a next page that does not move", says(`{"total":2,"items":[{"name":"west"}],"next":"http://elsewhere/zones"}`,
			asJSON, 200),
			"does not say where the next page begins"},
		{"cut in the middle", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", asJSON)
			w.Header().Set("Content-Length", fmt.Sprint(len(one)+100))
			fmt.Fprint(w, one)
		}), "did not answer"},
		{"elsewhere", http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound),
			"it leads elsewhere (302), which is not followed"},
		{"who is not known", says(`{"status":401,"title":"Invalid authentication data","detail":"Unauthenticated"}`, asJSON,
			401),
			"it does not know the token that it was asked with (401: Invalid authentication data: Unauthenticated)"},
		{"who may not", says(`{"status":403,"title":"Access Denied","detail":"user \"bob\" cannot access"}`, asJSON, 403),
			`user "bob" cannot access`},
		{"no such path", says("404: Page Not Found", "text/plain", 404), "it answered 404"},
		{"a conflict", says(`{"title":"Conflict"}`, asJSON, 409), "it answered 409: Conflict"},
		{"too busy", says("", "", 429), "it answered 429"},
		{"its store is away", says(`{"title":"Could not retrieve resources","detail":"Internal Server Error"}`, asJSON, 500),
			"it answered 500: Could not retrieve resources: Internal Server Error"},
	} {
		body, err := list(t, tc.h)
		if (tc.says == "") != (err == nil) || !strings.Contains(fmt.Sprint(err), tc.says) || err != nil && body != nil {
			t.Errorf("%s: %s, %v", tc.name, body, err)
		}
		if err != nil && strings.Contains(observe.Explain(err), "API server") {
			t.Errorf("%s: the API server is blamed: %s", tc.name, observe.Explain(err))
		}
	}
	_, err := list(t, says(`{"title":"Access Denied"}`, asJSON, 403))
	_, gone := list(t, says(`{"title":"Could not retrieve a resource","detail":"Not found"}`, asJSON, 404))
	_, wrong := list(t, says("404: Page Not Found", "text/plain", 404))
	_, gateway := list(t, says(`{"message":"no Route matched with those values"}`, asJSON, 404))
	if !apierrors.IsForbidden(err) || !apierrors.IsNotFound(gone) || apierrors.IsNotFound(wrong) ||
		apierrors.IsNotFound(gateway) {
		t.Errorf("denied is %v, missing %v, a path that it does not know %v, and a gateway's %v", err, gone, wrong, gateway)
	}
}

// A slow answer ends with the time that there is for it.
func TestASlowAnswerIsNone(t *testing.T) {
	hold := make(chan struct{})
	defer close(hold)
	k := to(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (Client{}).read(ctx, k, plan.Read{Asked: "/config"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// A pod that takes a connection and says nothing leaves half of the time for the next one. An answer that has begun has
// all of it.
func TestASilentPodLeavesTimeForTheNext(t *testing.T) {
	for _, tc := range []struct {
		name         string
		begins, ends time.Duration // of the answer
		takes        time.Duration
		unanswered   bool
	}{
		{"silent", time.Hour, time.Hour, 5 * time.Second, true},
		{"slow to begin", 4 * time.Second, 4 * time.Second, 4 * time.Second, false},
		{"long", time.Second, 9 * time.Second, 9 * time.Second, false},
		{"too long", time.Second, time.Hour, 10 * time.Second, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := connect(t.Context(), nil, "pod", plan.HubAPI{Base: "/"}, "")
				k.client.Transport.(*http.Transport).DialContext = func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() {
						defer theirs.Close()
						if _, err := http.ReadRequest(bufio.NewReader(theirs)); err != nil {
							return
						}
						wait := func(d time.Duration) bool {
							select {
							case <-time.After(d):
								return true
							case <-t.Context().Done():
								return false
							}
						}
						if !wait(tc.begins) {
							return
						}
						fmt.Fprint(theirs, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{")
						if wait(tc.ends - tc.begins) {
							fmt.Fprint(theirs, "}")
						}
					}()
					return ours, nil
				}
				defer k.close()
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				began := time.Now()
				_, err := k.get(ctx, "config")
				var other *unreached
				if took := time.Since(began); took != tc.takes || errors.As(err, &other) != tc.unanswered {
					t.Errorf("it took %s, and %v", took, err)
				}
			})
		})
	}
}

// What the API is too busy for is asked again; and a list that changed while it was read is read again as a whole.
func TestWhatIsOnlyReadIsAskedAgain(t *testing.T) {
	var n atomic.Int32
	body, err := list(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) < tries {
			says("", "", 503)(w, r)
			return
		}
		says(`{"total":0,"items":[]}`, asJSON, 200)(w, r)
	}))
	if err != nil || n.Load() != tries {
		t.Errorf("%s, %v after %d", body, err, n.Load())
	}
}

// A thousand zones are read by pages of a hundred, each trimmed before the next is asked for.
func TestAThousandZonesAreReadByPages(t *testing.T) {
	store := &kumasim.Store{}
	for i := range 1000 {
		store.Tell(fmt.Sprintf("zone-%04d", i), func([]any) []any {
			config := fmt.Sprintf(`{"environment":"universal","rest":%q}`, strings.Repeat("x", 12<<10)) // as large as in life
			var sessions []any
			for n := range 5 {
				sessions = append(sessions, map[string]any{"id": fmt.Sprint(n), "connectTime": time.Unix(int64(n), 0),
					"config": config})
			}
			return sessions
		})
	}
	g, err := kumasim.New(kumasim.Options{Source: store})
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int32
	api := g.API(kumasim.Access{Resources: kumasim.Admins, Rest: &kumasim.Rest{Store: store, LocalhostIsAdmin: true},
		User: func(string) (kumasim.User, bool) {
			return kumasim.Admin, true
		}})
	largest, all := 0, 0
	c := Client{Trim: func(r plan.Read, page []byte) []byte {
		largest, all = max(largest, len(page)), all+len(page)
		return state.Trim(r, page)
	}}
	body, err := c.read(t.Context(), to(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		api.ServeHTTP(w, r)
	})), plan.Read{Asked: "/zones+insights"})
	t.Logf("of %d KiB in %d requests, the largest page %d KiB, %d KiB are kept", all>>10, asked.Load(), largest>>10,
		len(body)>>10)
	if err != nil || strings.Count(string(body), `"name":"zone-`) != 1000 || asked.Load() != 10 || largest > all/9 ||
		len(body) > 1000*600 {
		t.Errorf("%d bytes of %d in %d requests, the largest page %d: %v", len(body), all, asked.Load(), largest, err)
	}
}

// secrets is the API of a global with these secrets.
func secrets(t *testing.T, all map[string]string, before func(r *http.Request,
	s *kumasim.Store)) (*connection, *kumasim.Store, *[]string) {
	t.Helper()
	store := &kumasim.Store{}
	for name, value := range all {
		if _, err := store.Put(kumasim.GlobalSecret(name, []byte(value))); err != nil {
			t.Fatal(err)
		}
	}
	g, err := kumasim.New(kumasim.Options{Source: store})
	if err != nil {
		t.Fatal(err)
	}
	api := g.API(kumasim.Access{Resources: kumasim.Admins, Rest: &kumasim.Rest{Store: store},
		User: func(string) (kumasim.User, bool) { return kumasim.Admin, true }})
	var asked []string
	return to(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method)
		if before != nil {
			before(r, store)
		}
		api.ServeHTTP(w, r)
	})), store, &asked
}

func value(s *kumasim.Store, name string) string {
	all, _ := s.Secrets()
	for _, o := range all {
		if o.Name == name {
			return string(o.Data["value"])
		}
	}
	return ""
}

// A write carries what was read: what is not as it was seen is not written, and what was written is seen again.
func TestAWriteComparesBeforeAndAfter(t *testing.T) {
	const name = "zone-token-revocations"
	data := func(text string) map[string]any {
		return map[string]any{"data": base64.StdEncoding.EncodeToString([]byte(text))}
	}
	ref := plan.Ref{Resource: "global-secrets", Kind: "GlobalSecret", Name: name}
	create := data("a,b")
	create["type"], create["name"] = "GlobalSecret", name
	put := func(text string) func(*http.Request, *kumasim.Store) {
		return func(r *http.Request, s *kumasim.Store) {
			if r.Method == http.MethodPut {
				_, _ = s.Put(kumasim.GlobalSecret(name, []byte(text)))
			}
		}
	}
	for _, tc := range []struct {
		name   string
		there  map[string]string
		write  plan.Write
		before func(*http.Request, *kumasim.Store)
		uid    string // "" for that which it has
		wrote  bool
		left   string
		says   string // of the error; "" for none
		asked  string
	}{
		{name: "made", write: plan.Write{Op: plan.OpCreate, After: create}, wrote: true, left: "a,b", asked: "GET PUT GET"},
		{name: "made by somebody before", there: map[string]string{name: "x"},
			write: plan.Write{Op: plan.OpCreate, After: create},
			left:  "x", asked: "GET"},
		{name: "changed", there: map[string]string{name: "a"}, write: plan.Write{Before: data("a"), After: data("a,b")},
			wrote: true,
			left:  "a,b", asked: "GET PUT GET"},
		{name: "changed already", there: map[string]string{name: "a,b"}, write: plan.Write{Before: data("a"),
			After: data("a,b")},
			left: "a,b", asked: "GET"},
		{name: "not as it was seen", there: map[string]string{name: "z"}, write: plan.Write{Before: data("a"),
			After: data("a,b")},
			left: "z", says: "was changed since it was read", asked: "GET"},
		{name: "gone", write: plan.Write{Before: data("a"), After: data("a,b")}, says: "being deleted", asked: "GET"},
		{name: "made again", there: map[string]string{name: "a"}, uid: "2020-01-01T00:00:00Z",
			write: plan.Write{Before: data("a"), After: data("a,b")}, left: "a", says: "being re-created", asked: "GET"},
		{name: "deleted", there: map[string]string{name: "a"}, write: plan.Write{Op: plan.OpDelete}, wrote: true,
			asked: "GET DELETE GET"},
		{name: "deleted already", write: plan.Write{Op: plan.OpDelete}, asked: "GET"},
		{name: "to be deleted, and made again", there: map[string]string{name: "a"}, uid: "2020-01-01T00:00:00Z",
			write: plan.Write{Op: plan.OpDelete}, left: "a", says: "being re-created", asked: "GET"},
		{name: "another writer right before ours, whom the API does not see", there: map[string]string{name: "a"},
			before: put("c"),
			write:  plan.Write{Before: data("a"), After: data("a,b")}, wrote: true, left: "a,b", asked: "GET PUT GET"},
		{name: "another writer right after ours", there: map[string]string{name: "a"},
			before: func(r *http.Request, s *kumasim.Store) {
				if r.Method == http.MethodGet && value(s, name) == "a,b" {
					_, _ = s.Put(kumasim.GlobalSecret(name, []byte("c")))
				}
			}, write: plan.Write{Before: data("a"), After: data("a,b")}, wrote: true, left: "c",
			says:  "right after it was written",
			asked: "GET PUT GET GET GET GET GET"},
	} {
		k, store, asked := secrets(t, tc.there, tc.before)
		w := tc.write
		w.Object = ref
		if live, err := (writing{Write: w, k: k}).live(t.Context(), k.get); err == nil && live != nil {
			w.Object.UID, _ = live["creationTime"].(string)
		} else {
			w.Object.UID = tc.uid
		}
		if tc.uid != "" {
			w.Object.UID = tc.uid
		}
		*asked = nil
		wrote, err := writing{Write: w, k: k}.run(t.Context())
		if wrote != tc.wrote || value(store, name) != tc.left || (err == nil) != (tc.says == "") ||
			!strings.Contains(fmt.Sprint(err), tc.says) || strings.Join(*asked, " ") != tc.asked {
			t.Errorf("%s: wrote %v, left %q, asked %v: %v", tc.name, wrote, value(store, name), *asked, err)
		}
	}
}

// What was written is looked for at another pod where the one that took it is gone, and for a while where the store is;
// in the end that is said, and nothing is written again.
func TestWhatWasWrittenIsLookedForElsewhere(t *testing.T) {
	gone := func() error { return &unreached{"pod", errors.New("it is not there")} }
	for _, tc := range []struct {
		name  string
		fails int // how many readings fail
		says  string
	}{
		{"at once", 0, ""},
		{"after a while", seenTries - 1, ""},
		{"never", seenTries, "was written, and could not be read again"},
	} {
		k, store, asked := secrets(t, map[string]string{"zone-token-signing-key-1": "the key"}, nil)
		w := writing{Write: plan.Write{Op: plan.OpDelete, Object: plan.Ref{Resource: "global-secrets", Kind: "GlobalSecret",
			Name: "zone-token-signing-key-1"}}, k: k}
		read := 0
		w.again = func(ctx context.Context, name string) ([]byte, error) {
			if read++; read <= tc.fails {
				return nil, gone()
			}
			return k.get(ctx, name)
		}
		wrote, err := w.run(t.Context())
		var other *unreached
		if !wrote || value(store, w.Object.Name) != "" || (err == nil) != (tc.says == "") || errors.As(err, &other) ||
			!strings.Contains(fmt.Sprint(err), tc.says) || strings.Count(strings.Join(*asked, " "), "DELETE") != 1 {
			t.Errorf("%s: wrote %v, asked %v: %v", tc.name, wrote, *asked, err)
		}
	}
}

// A key that somebody has given another value meanwhile is not the one that was to be deleted.
func TestAKeyIsDeletedAsItWasSeen(t *testing.T) {
	k, store, _ := secrets(t, map[string]string{"zone-token-signing-key-1": "the key"}, nil)
	w := writing{Write: plan.Write{Op: plan.OpDelete, Object: plan.Ref{Resource: "global-secrets", Kind: "GlobalSecret",
		Name: "zone-token-signing-key-1", ResourceVersion: "of another value"}}, k: k}
	var changed *engine.ChangedError
	if wrote, err := w.run(t.Context()); wrote || !errors.As(err, &changed) || value(store, w.Object.Name) == "" {
		t.Errorf("%v, %v", wrote, err)
	}
}

// A write whose answer is lost may have been done: nothing is sent again, by this pod or another.
func TestWhatMakesSomethingIsSentOnce(t *testing.T) {
	var sent []string
	k := to(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = append(sent, r.Method)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		sent = nil
		_, err := k.send(t.Context(), method, "tokens/zone", []byte(`{}`))
		var lost *Lost
		if !errors.As(err, &lost) || !slices.Equal(sent, []string{method}) {
			t.Errorf("%s was sent %v: %v", method, sent, err)
		}
	}
	var other *unreached
	if _, err := k.send(t.Context(), http.MethodGet, "config", nil); !errors.As(err, &other) {
		t.Errorf("of what is only read another pod may be asked: %v", err)
	}
}
