package observe

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// Where no WebSocket is to be had, SPDY is asked for, and only then; whatever comes of it is a reason and no panic.
func TestPortForwardFallsBackToSPDY(t *testing.T) {
	for name, tc := range map[string]struct {
		code int
		want []string // methods
	}{
		"an API server that knows no WebSockets": {http.StatusBadRequest, []string{"GET", "POST"}},
		"forbidden":                              {http.StatusForbidden, []string{"GET", "POST"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := apifake.Start()
			t.Cleanup(s.Close)
			s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				apifake.Status(w, tc.code, "Refused", "refused by the test")
				return true
			}
			f := fleetOf(t, s)
			r := plan.Read{Version: "v1", Resource: "pods", Namespace: "istio-system", Name: "edge-1-a", Port: 8080}
			o := Observer{Fleet: f, Now: time.Now, Limit: 1, RequestTimeout: time.Minute, MemberTimeout: time.Minute,
				Reads: func(soFar map[plan.Read]plan.Result, _ bool) []plan.Read {
					if len(soFar) > 0 {
						return nil
					}
					return []plan.Read{r}
				}}
			res := o.All(t.Context(), f.Contexts())[0].Reads[r]
			var got []string
			for _, request := range s.Requests() {
				got = append(got, request[:len(request)-len(" "+Path(r)+"/portforward")])
			}
			if res.Err == "" || !slices.Equal(got, tc.want) {
				t.Errorf("asked with %v, want %v; said %q", got, tc.want, res.Err)
			}
		})
	}
}
