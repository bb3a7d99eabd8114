package inventory

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/rest"
)

// hubWith is an API server with a roster of n entries that answers pages as a real one does; fail is answered in
// place of the page from there.
func hubWith(t *testing.T, n int, fail func(w http.ResponseWriter, from int) bool) *Reader {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("continue"))
		limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
		if err != nil || r.URL.Path != "/apis/xcpauth.io/v1alpha1/namespaces/xcpauth-system/edgeclusters" {
			t.Errorf("asked for %s", r.URL)
		}
		w.Header().Set("Content-Type", "application/json")
		if fail != nil && fail(w, from) {
			return
		}
		list := m{"apiVersion": "xcpauth.io/v1alpha1", "kind": "EdgeClusterList", "metadata": m{"resourceVersion": "9"}}
		var items []m
		for i := from; i < min(n, from+limit); i++ {
			items = append(items, m{"metadata": m{"name": fmt.Sprintf("edge-%04d", i), "uid": "u", "resourceVersion": "7",
				"generation": 2, "managedFields": []m{{"manager": "x"}}},
				"spec": m{"role": "Edge", "clusterName": "c"}, "status": m{"presents": []string{"jwt"}}})
		}
		if list["items"] = items; from+limit < n {
			list["metadata"].(m)["continue"] = strconv.Itoa(from + limit)
		}
		json.NewEncoder(w).Encode(list)
	}))
	t.Cleanup(server.Close)
	r, err := NewReader(&rest.Config{Host: server.URL}, "xcpauth-system", false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheRosterIsReadToItsEnd(t *testing.T) {
	for _, n := range []int{0, 1, pageSize, pageSize + 1, 5*pageSize - 1} {
		all, err := hubWith(t, n, nil).Roster(t.Context())
		if err != nil || len(all) != n {
			t.Fatalf("%d entries: %d read, %v", n, len(all), err)
		}
		for i, e := range all {
			if e.Name != fmt.Sprintf("edge-%04d", i) || e.Namespace != "xcpauth-system" || e.UID != "u" ||
				e.ResourceVersion != "7" || e.Generation != 2 || e.Spec.ClusterName != "c" || e.Status.Presents[0] != "jwt" ||
				e.ManagedFields != nil {
				t.Fatalf("entry %d: %+v", i, e)
			}
		}
	}
}

// A part of a roster is no roster: the members on the page that is missing would be nobody's.
func TestARosterThatCannotBeReadToItsEndIsAnError(t *testing.T) {
	answers := map[string]struct {
		code int
		body string
		err  string
	}{
		"the list expired": {410,
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","code":410,"message":"the provided continue parameter is too old"}`, "too old"},
		"forbidden": {403,
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":"edgeclusters.xcpauth.io is forbidden"}`, "forbidden"},
		"an entry of another type": {200,
			`{"kind":"EdgeClusterList","items":[{"metadata":{"name":"a"},"spec":{"role":7}}]}`, "not as its kind says"},
		"no list":                      {200, `{"kind":"Status","apiVersion":"v1"}`, `a "Status", and no list`},
		"an empty answer":              {200, ``, "not as its kind says"},
		"a page of a proxy in its way": {200, `<html>`, "not as its kind says"},
	}
	for name, tc := range answers {
		for _, from := range []int{0, pageSize} {
			t.Run(fmt.Sprintf("%s/from %d", name, from), func(t *testing.T) {
				r := hubWith(t, 3*pageSize, func(w http.ResponseWriter, at int) bool {
					if at != from {
						return false
					}
					w.WriteHeader(tc.code)
					fmt.Fprint(w, tc.body)
					return true
				})
				all, err := r.Roster(t.Context())
				if all != nil || err == nil || !strings.Contains(err.Error(), tc.err) ||
					!strings.Contains(err.Error(), "reading the roster (edgeclusters.xcpauth.io in namespace xcpauth-system)") {
					t.Errorf("%d entries, %v; want an error with %q", len(all), err, tc.err)
				}
			})
		}
	}
}
