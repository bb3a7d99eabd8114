package inventory

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// What is stored is told apart from what is missing and from what cannot be read, in whatever version the kind is
// served.
func TestWhatIsStoredIsIdentified(t *testing.T) {
	status := func(code int, reason, name string) (int, m) {
		return code, m{"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
			"details": m{"name": name}}
	}
	object := m{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": m{"name": "mp",
		"namespace": "tsb", "uid": "u-1", "resourceVersion": "7"}}
	found := verdict.Identity{UID: "u-1", ResourceVersion: "7"}
	for name, tc := range map[string]struct {
		served string // the version of the kind
		answer func() (int, m)
		want   verdict.Identity
		fails  bool
	}{
		"it is there": {"v1alpha1", func() (int, m) { return http.StatusOK, object }, found, false},
		"it is missing": {"v1alpha1", func() (int, m) { return status(404, "NotFound", "mp") },
			verdict.Identity{}, false},
		"it may not be read": {"v1alpha1", func() (int, m) { return status(403, "Forbidden", "mp") },
			verdict.Identity{}, true},
		"the API server fails": {"v1alpha1", func() (int, m) { return status(500, "InternalError", "mp") },
			verdict.Identity{}, true},
		"there in another version": {"v2", func() (int, m) { return http.StatusOK, object }, found, false},
		"missing in another version": {"v2", func() (int, m) { return status(404, "NotFound", "mp") },
			verdict.Identity{}, false},
		"the kind is not served at all": {"", nil, verdict.Identity{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				reply := func(code int, body m) {
					w.Header().Set("Content-Type", "application/json")
					w.WriteHeader(code)
					json.NewEncoder(w).Encode(body)
				}
				group := "install.tetrate.io/" + tc.served
				switch r.URL.Path {
				case "/apis/" + group + "/namespaces/tsb/managementplanes/mp":
					reply(tc.answer())
				case "/apis/" + group:
					reply(http.StatusOK, m{"kind": "APIResourceList", "groupVersion": group,
						"resources": []m{{"name": "managementplanes", "namespaced": true, "kind": "ManagementPlane"}}})
				case "/apis":
					groups := []m{}
					if tc.served != "" {
						version := m{"groupVersion": group, "version": tc.served}
						groups = append(groups, m{"name": "install.tetrate.io", "versions": []m{version}, "preferredVersion": version})
					}
					reply(http.StatusOK, m{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
				case "/api":
					reply(http.StatusOK, m{"kind": "APIVersions", "versions": []string{"v1"}})
				default:
					http.Error(w, "404 page not found", http.StatusNotFound)
				}
			}))
			defer server.Close()
			r, err := NewReader(&rest.Config{Host: server.URL}, "xcpauth-system", false)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.Stored(t.Context(), "tsb", "mp"); got != tc.want || (err != nil) != tc.fails {
				t.Errorf("%+v, %v; want %+v, failing: %v", got, err, tc.want, tc.fails)
			}
		})
	}
}
