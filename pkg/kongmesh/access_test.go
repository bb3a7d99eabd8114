package kongmesh_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/rbac"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// look is what check reads of a cluster with these objects.
func look(context string, objects []apifake.Object) plan.Snapshot {
	h, d := apifake.Handler(objects...), kongmesh.CheckProvider()
	s := plan.Snapshot{Context: context, At: noon, Reads: map[plan.Read]plan.Result{}}
	for next := d.Reads(s.Reads, true); len(next) > 0; next = d.Reads(s.Reads, true) {
		for _, r := range next {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, r.Path(), nil))
			var err error
			if rec.Code != http.StatusOK {
				err = apierrors.NewNotFound(schema.GroupResource{Resource: r.Resource}, r.Name)
			}
			s.Reads[r] = observe.Result(rec.Body.Bytes(), err)
		}
	}
	return s
}

// every is all that may be needed: of a global without the journal's namespace and with it, of a zone, and of a
// cluster with neither.
func every(t *testing.T, migrate bool) []plan.Permission {
	t.Helper()
	journal := apifake.Object{"apiVersion": "v1", "kind": "Namespace",
		"metadata": apifake.Object{"name": "xcpauth-system"}}
	var all []plan.Permission
	for _, objects := range [][]apifake.Object{mesh("")["global"], append(mesh("")["global"], journal), mesh("")["west"],
		{apifake.KubeSystem("none")}} {
		all = append(all, migration.Permissions(look("x", objects).Reads, migrate)...)
	}
	return all
}

const meshRoles = "rbac/mesh.yaml"

// The roles of mesh.yaml come in pairs, to look and to migrate.
func TestTheShippedRolesOfAMeshGrantWhatIsNeeded(t *testing.T) {
	shipped := rbac.Shipped(t, meshRoles)
	for what, tc := range map[string]struct {
		roles   []rbac.Role
		migrate bool
	}{"read": {shipped[:2], false}, "read and migrate": {shipped, true}} {
		for _, n := range every(t, tc.migrate) {
			if !rbac.Grants(tc.roles, n) {
				t.Errorf("to %s, nothing grants: %s", what, check.Words(n))
			}
		}
	}
}

// unasked are rights of the shipped roles that check does not ask for, each with the reason.
var unasked = map[string]string{
	"apply limits":                       "the marker by which the policies xcpauth-limits-* know who has the role",
	"get secrets zone-token-revocations": "check looks whether the list lies in a namespace where the control plane does not see it, and nothing rests on that",
}

func TestTheShippedRolesOfAMeshGrantNothingElse(t *testing.T) {
	for i, r := range rbac.Shipped(t, meshRoles) {
		needs := every(t, i >= 2)
		for _, p := range r.Rules {
			for _, group := range p.APIGroups {
				for _, resource := range p.Resources {
					for _, verb := range p.Verbs {
						if unasked[strings.Join(append([]string{verb, resource}, p.ResourceNames...), " ")] != "" {
							continue
						}
						of := func(n plan.Permission) bool {
							return n.Group == group && strings.TrimSuffix(n.Resource+"/"+n.Subresource, "/") == resource && n.Verb == verb
						}
						if !slices.ContainsFunc(needs, of) {
							t.Errorf("nothing needs to %s %s of group %q", verb, resource, group)
						}
						for _, name := range p.ResourceNames {
							if !slices.ContainsFunc(needs, func(n plan.Permission) bool { return of(n) && n.Name == name }) {
								t.Errorf("nothing needs to %s %s %s", verb, resource, name)
							}
						}
					}
				}
			}
		}
	}
}

// What is missing is said of each context by what this product needs there, and nothing that another product's
// provider asked for counts.
func TestTheRightsThatAMeshLacksAreFound(t *testing.T) {
	s := look("west", mesh("")["west"])
	s.AccessReviews = map[plan.Permission]plan.AccessReview{{Verb: "list", Group: "install.tetrate.io",
		Resource: "controlplanes"}: {}}
	for _, n := range migration.Permissions(s.Reads, true) {
		s.AccessReviews[n] = plan.AccessReview{Allowed: n.Verb != "patch"}
	}
	f := kongmesh.CheckProvider().ReadState([]plan.Snapshot{look("global", mesh("")["global"]), s}, plan.Selection{}, noon)
	found := map[string]string{}
	for _, x := range check.Run(check.Rules(), f, check.Options{}) {
		if x.Rule == "XA002" {
			found[x.Context] = x.Found
		}
	}
	if want := "1 right missing: patch deployments.apps/kong-mesh-control-plane in kong-mesh-system"; len(found) != 1 ||
		found["west"] != want {
		t.Errorf("found %v, want %q", found, want)
	}
}

// Nothing tells of what could not be looked at by a provider of another product.
func TestWhatAnotherDialectCouldNotReadIsNoMatterOfAMesh(t *testing.T) {
	s := look("west", mesh("")["west"])
	s.Reads[plan.Read{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "controlplanes"}] = plan.Result{Err: "forbidden (403)"}
	s.Reads[plan.Read{Version: "v1", Resource: "pods", Namespace: "kong-mesh-system",
		Labels: "!xcpauth.io/none"}] = plan.Result{Err: "forbidden (403)"}
	f := kongmesh.CheckProvider().ReadState([]plan.Snapshot{s}, plan.Selection{}, noon)
	if got := f.Contexts[0].Unread; len(got) != 1 || got[0].What != "pods kong-mesh-system" {
		t.Errorf("unread: %+v", got)
	}
}

// A mesh's journal and lock are in the namespace that the roster's kind names in the global's cluster.
func TestAMeshKeepsItsStateInTheNamespaceThatIsNamed(t *testing.T) {
	kind := apifake.Object{"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": apifake.Object{"name": "edgeclusters.xcpauth.io",
			"annotations": apifake.Object{"xcpauth.io/namespace": "mesh-auth"}}}
	s := look("global", append(mesh("")["global"], kind))
	f := kongmesh.Provider().ReadState([]plan.Snapshot{s}, plan.Selection{}, noon)
	if f.Hub.Roster.In != "mesh-auth" {
		t.Errorf("it is in %q: %s", f.Hub.Roster.In, f.Hub.Err)
	}
	for _, p := range migration.Permissions(s.Reads, true) {
		if p.Namespace == "xcpauth-system" || p.Resource == "leases" && p.Namespace != "mesh-auth" {
			t.Errorf("it asks for %v", p)
		}
	}
}
