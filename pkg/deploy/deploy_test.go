package deploy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/deploy"
	"github.com/xcpauth/kubectl-xcpauth/pkg/install"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// Who is bound to a role is not known where the binding may not be read, so it is not replaced. Anything else is
// applied.
func TestABindingThatMayNotBeReadIsNotReplaced(t *testing.T) {
	var patched []string
	s := apifake.Start()
	t.Cleanup(s.Close)
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			apifake.Status(w, http.StatusForbidden, "Forbidden", "forbidden")
			return true
		}
		patched = append(patched, r.URL.Path)
		body, err := io.ReadAll(r.Body)
		s.Written(w, r, body)
		return err == nil
	}
	c := connect(t, s)
	all, err := install.Roles{Place: install.Hub, Bind: []string{"read"}, Users: []string{"ann"}}.Objects()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if o["kind"] == "CustomResourceDefinition" { // it is waited for
			continue
		}
		patched = nil
		err := c.Apply(t.Context(), []install.Object{o})
		binds := strings.HasSuffix(o["kind"].(string), "RoleBinding")
		if binds != (err != nil) || binds != (len(patched) == 0) ||
			binds && !strings.Contains(err.Error(), "not known who is bound already") {
			t.Errorf("%s: %v, written: %v", o["kind"], err, patched)
		}
	}
}

// connect connects to a server as the context hub.
func connect(t *testing.T, s *apifake.Server) deploy.Cluster {
	t.Helper()
	c, err := bed.Fleet(t, map[string]*apifake.Server{"hub": s}).Connect(t.Context(), "hub", func(bool) {})
	if err != nil {
		t.Fatal(err)
	}
	return deploy.Cluster{Cluster: c, Say: func(plan.Ref, string) {}}
}

// Something in front of the API server that answers everything with 200 has applied and deleted nothing.
func TestAnObjectIsAppliedOrDeletedOnceTheAPIServerSaysSo(t *testing.T) {
	s := apifake.Start()
	t.Cleanup(s.Close)
	s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"ok":true}`)
		return true
	}
	c := connect(t, s)
	role := []install.Object{{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
		"metadata": map[string]any{"name": "reader"}}}
	const answer = " in hub: the API server's answer "
	for says, err := range map[string]error{
		"applying ClusterRole reader" + answer + "is not ClusterRole reader":        c.Apply(t.Context(), role),
		"deleting ClusterRole reader" + answer + "does not say that ClusterRole re": c.Delete(t.Context(), role),
	} {
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
