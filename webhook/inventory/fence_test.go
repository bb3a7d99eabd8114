package inventory

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// The fence of the hub's own cluster is named as a statement names it: its binding, then its policy. Half a fence is
// none.
func TestTheFenceOfThisClusterIsIdentified(t *testing.T) {
	const root = "/apis/admissionregistration.k8s.io/v1/"
	for name, tc := range map[string]struct {
		there map[string]string // the UID of each
		fails string
		want  string
	}{
		"both are there": {map[string]string{"validatingadmissionpolicybindings": "b",
			"validatingadmissionpolicies": "p"}, "", "b/p"},
		"no binding": {map[string]string{"validatingadmissionpolicies": "p"}, "", ""},
		"no policy":  {map[string]string{"validatingadmissionpolicybindings": "b"}, "", ""},
		"neither":    {nil, "", ""},
		"one cannot be read": {map[string]string{"validatingadmissionpolicybindings": "b"}, "validatingadmissionpolicies",
			""},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				resource := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, root), "/xcpauth-fence")
				uid, there := tc.there[resource]
				w.Header().Set("Content-Type", "application/json")
				switch {
				case resource == tc.fails:
					w.WriteHeader(http.StatusForbidden)
				case !there:
					w.WriteHeader(http.StatusNotFound)
				}
				json.NewEncoder(w).Encode(m{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
					"metadata": m{"name": "xcpauth-fence", "uid": uid}})
			}))
			defer server.Close()
			r, err := NewReader(&rest.Config{Host: server.URL}, "xcpauth-system", false)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.fence(t.Context()); got != tc.want || (err != nil) != (tc.fails != "") {
				t.Errorf("%q, %v; want %q", got, err, tc.want)
			}
		})
	}
}
