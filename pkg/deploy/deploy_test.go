package deploy_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/deploy"
	"github.com/xcpauth/kubectl-xcpauth/pkg/install"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
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
		apifake.Status(w, http.StatusOK, "", "")
		return true
	}
	path, err := apifake.Kubeconfig(t.TempDir(), map[string]*apifake.Server{"hub": s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
	if err != nil {
		t.Fatal(err)
	}
	c, err := fleet.Connect(t.Context(), "hub", func(bool) {})
	if err != nil {
		t.Fatal(err)
	}
	all, err := install.Roles{Place: install.Hub, Bind: []string{"read"}, Users: []string{"ann"}}.Objects()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range all {
		if o["kind"] == "CustomResourceDefinition" { // it is waited for
			continue
		}
		patched = nil
		err := deploy.Cluster{Cluster: c, Say: func(plan.Ref, string) {}}.Apply(t.Context(), []install.Object{o})
		binds := strings.HasSuffix(o["kind"].(string), "RoleBinding")
		if binds != (err != nil) || binds != (len(patched) == 0) ||
			binds && !strings.Contains(err.Error(), "not known who is bound already") {
			t.Errorf("%s: %v, written: %v", o["kind"], err, patched)
		}
	}
}
