package observe

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// A metrics page comes over one connection, whole or not at all, and a failure in the words of the node. Where no
// WebSocket is to be had, SPDY is asked for, and only then.
func TestAMetricsPageComesThroughAPortForward(t *testing.T) {
	const page = "# TYPE up gauge\nup 1\n"
	whole := func(to io.Writer) error {
		_, err := io.WriteString(to, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+page)
		return err
	}
	cut := func(to io.Writer) error {
		_, err := io.WriteString(to, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"+page)
		return err
	}
	refused := func(io.Writer) error { return errors.New("connection refused") }
	const webSocket, spdy = "GET", "POST"
	for name, tc := range map[string]struct {
		pod       func(to io.Writer) error
		no        int // what a WebSocket is answered with; 0: it is had
		asked     []string
		body, err string
	}{
		"over WebSocket":         {whole, 0, []string{webSocket}, page, ""},
		"cut":                    {cut, 0, []string{webSocket}, "", "was cut before"},
		"refused by the pod":     {refused, 0, []string{webSocket}, "", "connection refused"},
		"no WebSocket is known":  {whole, http.StatusBadRequest, []string{webSocket, spdy}, page, ""},
		"no WebSocket is let by": {whole, http.StatusForbidden, []string{webSocket, spdy}, page, ""},
		"over SPDY, cut":         {cut, http.StatusBadRequest, []string{webSocket, spdy}, "", "was cut before"},
		"over SPDY, refused by the pod": {refused, http.StatusBadRequest, []string{webSocket, spdy}, "",
			"connection refused"},
		"neither is had": {nil, http.StatusForbidden, []string{webSocket, spdy}, "", "refused by the test"},
	} {
		t.Run(name, func(t *testing.T) {
			s := apifake.Start()
			t.Cleanup(s.Close)
			s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				if tc.no != 0 && r.Method == webSocket || tc.pod == nil {
					apifake.Status(w, tc.no, "Refused", "refused by the test")
					return true
				}
				apifake.Forward(w, r, tc.pod)
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
			var asked []string
			for _, request := range s.Requests() {
				method, path, _ := strings.Cut(request, " ")
				if path, _, _ = strings.Cut(path, "?"); path != Path(r)+"/portforward" {
					t.Errorf("asked for %s", path)
				}
				asked = append(asked, method)
			}
			if !slices.Equal(asked, tc.asked) {
				t.Errorf("asked with %v, want %v", asked, tc.asked)
			}
			if string(res.Body) != tc.body || (res.Err == "") != (tc.err == "") || !strings.Contains(res.Err, tc.err) {
				t.Errorf("got %q, %q; want %q, %q", res.Body, res.Err, tc.body, tc.err)
			}
		})
	}
}
