package kubeconfig_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

const version = "/version"

// answered is a server that answers by answer, and a fleet whose context eu it is.
func answered(t *testing.T, answer func(http.ResponseWriter, *http.Request) bool) (*kubeconfig.Fleet, *apifake.Server) {
	t.Helper()
	s := apifake.Start()
	t.Cleanup(s.Close)
	s.Answer = answer
	path, err := apifake.Kubeconfig(t.TempDir(), map[string]*apifake.Server{"eu": s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	return f, s
}

func read(t *testing.T, f *kubeconfig.Fleet) (string, error) {
	t.Helper()
	c, err := f.Cluster("eu")
	if err != nil {
		t.Fatal(err)
	}
	var got string
	err = kubeconfig.Read(t.Context(), c.REST.Get().AbsPath(version), func(body []byte) { got = string(body) })
	return got, err
}

// A context that is released has no connection left, and is used again over another; one that is kept has one all the
// time.
func TestAReleasedContextConnectsAgain(t *testing.T) {
	for name, tc := range map[string]struct {
		keep bool
		want int
	}{"released": {want: 3}, "kept": {true, 1}} {
		t.Run(name, func(t *testing.T) {
			f, s := answered(t, func(w http.ResponseWriter, _ *http.Request) bool {
				fmt.Fprint(w, `{"major":"1"}`)
				return true
			})
			if tc.keep {
				f.KeepConnections()
			}
			for range 3 {
				if got, err := read(t, f); err != nil || got != `{"major":"1"}` {
					t.Fatalf("%q, %v", got, err)
				}
				f.Release("eu")
				f.Release("never used")
			}
			if got := s.Connections(); got != tc.want {
				t.Errorf("%d connections, want %d", got, tc.want)
			}
		})
	}
}

// What was released is not kept in memory: a thousand clusters are looked at in what a few take.
func TestReleasedContextsAreForgotten(t *testing.T) {
	f, _ := answered(t, func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, `{}`)
		return true
	})
	if _, err := read(t, f); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	func() {
		c, err := f.Cluster("eu")
		if err != nil {
			t.Fatal(err)
		}
		runtime.AddCleanup(c, func(gone chan struct{}) { close(gone) }, gone)
	}()
	f.Release("eu")
	for {
		runtime.GC() // until it is gone; the test's own limit ends this
		select {
		case <-gone:
			return
		default:
		}
	}
}

// An answer that begins and does not end is said to be cut, and none of it is used; what the API server says of a
// failure is its own words.
func TestAReadIsWholeOrAnError(t *testing.T) {
	for name, tc := range map[string]struct {
		answer func(w http.ResponseWriter)
		is     error
		says   string
	}{
		"cut": {answer: func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, `{"half":`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, is: kubeconfig.ErrCut},
		"cut after more than a small answer": {answer: func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", "10000")
			fmt.Fprint(w, strings.Repeat("x", 5000))
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, is: kubeconfig.ErrCut},
		"forbidden": {answer: func(w http.ResponseWriter) {
			apifake.Status(w, http.StatusForbidden, "Forbidden", "ann may not")
		}, says: "ann may not"},
	} {
		t.Run(name, func(t *testing.T) {
			f, _ := answered(t, func(w http.ResponseWriter, _ *http.Request) bool {
				tc.answer(w)
				return true
			})
			got, err := read(t, f)
			if got != "" || err == nil || tc.is != nil && !errors.Is(err, tc.is) || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%q was used; the error is %v", got, err)
			}
		})
	}
}

// An answer of any length is read whole, and nothing of another is in it.
func TestAnAnswerOfAnyLengthIsReadWhole(t *testing.T) {
	lengths := []int{0, 1, 4095, 4096, 4097, 1 << 20, 3 << 20, 4097, 1, 4096}
	asked := 0
	text := func(i int) string { return strings.Repeat(string(rune('a'+i)), lengths[i]) }
	f, _ := answered(t, func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, text(asked))
		asked++
		return true
	})
	for i, n := range lengths {
		if got, err := read(t, f); err != nil || got != text(i) {
			t.Errorf("of %d bytes: %d were read, %v", n, len(got), err)
		}
	}
}

// A client that is for one look has no health check, so it serves nothing that lasts longer.
func TestAClientForOneLookServesNothingElse(t *testing.T) {
	f, _ := answered(t, nil)
	use := func(get func() (*kubeconfig.Cluster, error)) *kubeconfig.Cluster {
		t.Helper()
		c, err := get()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	look := func() (*kubeconfig.Cluster, error) { return f.Look(t.Context(), "eu", nil) }
	lasting := func() (*kubeconfig.Cluster, error) { return f.Cluster("eu") }

	first := use(look)
	if use(look) != first {
		t.Error("a second look at the same time has a client of its own")
	}
	second := use(lasting)
	if second == first {
		t.Error("the client for one look is used on")
	}
	if use(look) != second {
		t.Error("a look does not use the client that is there")
	}
	f.Release("eu")
	third := use(look)
	f.KeepConnections()
	fourth := use(look)
	if fourth == third {
		t.Error("the client for one look is kept")
	}
	f.Release("eu")
	if use(look) != fourth || use(lasting) != fourth {
		t.Error("the client is not kept")
	}
}

// A connection that ends before an answer began is made again, twice and no more.
func TestAReadIsTriedAgainOverAnotherConnection(t *testing.T) {
	for _, tc := range []struct {
		ends int // how many connections end
		want int // how many are made
		ok   bool
	}{{0, 1, true}, {1, 2, true}, {2, 3, true}, {9, 3, false}} {
		made := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if made++; made <= tc.ends {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				conn.Close()
				return
			}
			fmt.Fprint(w, `{}`)
		}))
		defer server.Close()
		path := filepath.Join(t.TempDir(), "kubeconfig")
		if err := os.WriteFile(path, fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config",
			"clusters":[{"name":"eu","cluster":{"server":%q}}],
			"contexts":[{"name":"eu","context":{"cluster":"eu","user":"eu"}}],"users":[{"name":"eu","user":{}}]}`,
			server.URL), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(t, f); (err == nil) != tc.ok || made != tc.want || tc.ok && got != `{}` {
			t.Errorf("%d ended: %d made, want %d; %q, %v", tc.ends, made, tc.want, got, err)
		}
	}
}
