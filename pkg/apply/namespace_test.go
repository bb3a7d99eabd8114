package apply_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// The lock is in the namespace that the roster's kind names. Where that could not be read at the first look, nothing is
// locked, although it can be read by then: what was seen so far rests on that look.
func TestTheLockIsWhereTheKindSaysOrNowhere(t *testing.T) {
	kind := func(namespace string) bed.Object {
		return bed.Object{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
			"metadata": bed.Object{"name": "edgeclusters.xcpauth.io",
				"annotations": bed.Object{"xcpauth.io/namespace": namespace}}}
	}
	for name, tc := range map[string]struct {
		unread int // how many looks at the kind fail
		named  string
		lease  string // "" = nothing is written
		says   string
	}{
		"it names another":       {0, "mesh-auth", "/namespaces/mesh-auth/leases", ""},
		"it cannot be read once": {1, "mesh-auth", "", "could not be read, so it is not known which namespace holds"},
		"it cannot be read":      {9, "mesh-auth", "", "run the command again"},
		"it names what cannot be": {0, "a/../b", "",
			"the annotation xcpauth.io/namespace of the CustomResourceDefinition"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), kind(tc.named))})
			var looks, writes atomic.Int32
			var wrote atomic.Value
			wrote.Store("")
			hub := b.Servers["hub"]
			answer := hub.Answer
			hub.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				switch {
				case r.Method != http.MethodGet:
					writes.Add(1)
					wrote.Store(r.URL.Path)
				case strings.HasSuffix(r.URL.Path, "/edgeclusters.xcpauth.io") && int(looks.Add(1)) <= tc.unread:
					apifake.Status(w, http.StatusForbidden, "Forbidden", "forbidden")
					return true
				}
				return answer(w, r)
			}
			b.Observe(t.Context())
			lock, err := b.Live.Lock(t.Context(), "hub", "ann")
			if err == nil {
				defer lock.Unlock()
			}
			if tc.lease == "" && (err == nil || !strings.Contains(err.Error(), tc.says) || writes.Load() > 0) {
				t.Errorf("%v, want %q; %d writes", err, tc.says, writes.Load())
			}
			if path := wrote.Load().(string); tc.lease != "" && !strings.Contains(path, tc.lease) {
				t.Errorf("wrote %q, want %q: %v", path, tc.lease, err)
			}
		})
	}
}
