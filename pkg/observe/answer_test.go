package observe

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// What stands in front of an API server may answer anything. Unless it can be what was asked for, nothing is known of
// that: it is neither empty nor missing.
func TestOnlyAnAnswerToWhatWasAskedIsOne(t *testing.T) {
	list := plan.Read{Version: "v1", Resource: "pods", Namespace: "istio-system"}
	one := plan.Read{Version: "v1", Resource: "configmaps", Namespace: "istio-system", Name: "a"}
	const asJSON, asText, asHTML = "application/json", "text/plain; charset=utf-8", "text/html"
	status := `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404,` +
		`"details":{"name":"a","kind":"configmaps"}}`
	const is, missing = "", "MISSING"
	for name, tc := range map[string]struct {
		code       int
		kind, body string
		list, one  string // what comes of each: that it is what was asked for, missing, or a piece of the reason
	}{
		"a list":                 {200, asJSON, `{"kind":"PodList","metadata":{},"items":[]}`, is, "is not that object"},
		"an object":              {200, asJSON, `{"metadata":{"name":"a"}}`, "is no list", is},
		"another object":         {200, asJSON, `{"metadata":{"name":"b"}}`, "is no list", "is not that object"},
		"an empty object":        {200, asJSON, `{}`, "is no list", "is not that object"},
		"nothing":                {200, asJSON, ``, "is no list", "is not that object"},
		"null":                   {200, asJSON, `null`, "is no list", "is not that object"},
		"a page to log in":       {200, asHTML, `<html>log in</html>`, "is no list", "is not that object"},
		"a 404 of an API server": {404, asJSON, status, missing, missing},
		"a 404 of a mux":         {404, asText, "404 page not found\n", "in front of", "in front of"}, // core is served
		"a 404 of a proxy":       {404, asHTML, `<h1>404 Not Found</h1>`, "in front of the API", "answered 404"},
		"a 404 of a gateway":     {404, asJSON, `{"message":"no Route matched"}`, "in front of", "in front of"},
		"a 404 without a word":   {404, asText, ``, "in front of", "in front of"},
	} {
		t.Run(name, func(t *testing.T) {
			s := apifake.Start()
			t.Cleanup(s.Close)
			s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", tc.kind)
				w.WriteHeader(tc.code)
				fmt.Fprint(w, tc.body)
				return true
			}
			f := fleetOf(t, s)
			o := Observer{Fleet: f, Now: time.Now, Limit: 1, RequestTimeout: time.Minute, MemberTimeout: time.Minute,
				Reads: func(soFar map[plan.Read]plan.Result, _ bool) []plan.Read {
					if len(soFar) > 0 {
						return nil
					}
					return []plan.Read{list, one}
				}}
			reads := o.All(t.Context(), f.Contexts())[0].Reads
			for r, want := range map[plan.Read]string{list: tc.list, one: tc.one} {
				switch got := reads[r]; {
				case want == is && !got.OK(), want == missing && !got.Missing,
					want != is && want != missing && !strings.Contains(got.Err, want):
					t.Errorf("%s: %+v, want %q", r.Path(), got, want)
				}
			}
		})
	}
}

// fleetOf is a fleet of one context, "eu", on a server.
func fleetOf(t *testing.T, s *apifake.Server) *kubeconfig.Fleet {
	t.Helper()
	path, err := apifake.Kubeconfig(t.TempDir(), map[string]*apifake.Server{"eu": s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	return f
}
