package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// What is written down of who did it is the user that the cluster knows; where it does not say, the kubeconfig's name
// for it, marked.
func TestWhoDidItIsTheUserThatTheClusterKnows(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		code      int
		user, who string
	}{
		"a person":                  {201, "ann@example.com", "ann@example.com@" + host},
		"a service account":         {201, "system:serviceaccount:ci:mesh", "system:serviceaccount:ci:mesh@" + host},
		"a name that is no text":    {201, "x\x1b[2J\n", "x?[2J?@" + host},
		"a very long name":          {201, strings.Repeat("x", 1000), strings.Repeat("x", longestUser) + "@" + host},
		"no name":                   {201, "", "kubeconfig:hub@" + host},
		"an API server of 1.27":     {404, "", "kubeconfig:hub@" + host},
		"one that does not say who": {403, "", "kubeconfig:hub@" + host},
	} {
		t.Run(name, func(t *testing.T) {
			var mu sync.Mutex
			var asked int
			bodies := map[string]string{} // the first, by the last part of the path
			hub := apifake.Start(append(apifake.Hub("eu"), apifake.Object{"apiVersion": api.GroupVersion.String(),
				"kind":     "EdgeCluster",
				"metadata": apifake.Object{"name": "gone", "namespace": api.Namespace, "uid": "uid-gone"},
				"spec":     apifake.Object{"clusterName": "gone"}})...)
			hub.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				mu.Lock()
				defer mu.Unlock()
				switch at := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; {
				case at == "selfsubjectreviews" && tc.code == 201:
					asked++
					b, err := json.Marshal(apifake.Object{"status": apifake.Object{"userInfo": apifake.Object{"username": tc.user}}})
					if err != nil {
						t.Error(err)
					}
					w.Write(b)
				case at == "selfsubjectreviews":
					asked++
					apifake.Status(w, tc.code, map[int]string{404: "NotFound", 403: "Forbidden"}[tc.code], "no")
				case at == "selfsubjectaccessreviews" || r.Method == http.MethodGet:
					return false
				default:
					b, err := io.ReadAll(r.Body)
					if err != nil {
						t.Error(err)
					}
					if bodies[at] == "" { // the lock is let go in the end
						bodies[at] = string(b)
					}
					hub.Written(w, r, b)
				}
				return true
			}
			r := xcpauth(t, serve(t, map[string]*apifake.Server{"hub": hub}, nil), "edge", "forget", "gone", "--alive",
				"--reason", "CHG-1")
			mu.Lock()
			defer mu.Unlock()
			var event struct{ Message string }
			if err := json.Unmarshal([]byte(bodies["events"]), &event); err != nil ||
				event.Message != "forgotten by "+tc.who+": CHG-1" {
				t.Errorf("the Event says %q (%v), want %q; exit code %d\n%s", event.Message, err, tc.who, r.code, r.err)
			}
			var lease struct {
				Spec struct{ HolderIdentity string }
			}
			if err := json.Unmarshal([]byte(bodies["leases"]), &lease); err != nil ||
				!strings.HasPrefix(lease.Spec.HolderIdentity, tc.who) {
				t.Errorf("the lock is held by %q (%v), want %q", lease.Spec.HolderIdentity, err, tc.who)
			}
			if asked != 1 {
				t.Errorf("the API server was asked %d times who asks, want once", asked)
			}
		})
	}
}
