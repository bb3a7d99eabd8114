package tsb

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// role is a Role or ClusterRole: where it holds, and its rules.
type role struct {
	namespace string // "" for everywhere
	rules     []rbacv1.PolicyRule
}

func roles(t *testing.T, text []byte) []role {
	t.Helper()
	var all []role
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var r rbacv1.Role
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		if r.Kind == "Role" && r.Namespace == "" {
			t.Errorf("a Role without a namespace:\n%s", text)
		}
		all = append(all, role{r.Namespace, r.Rules})
	}
}

// grants judges as RBAC does: one rule must match all of it.
func grants(all []role, n plan.Need) bool {
	resource := n.Resource
	if n.Subresource != "" {
		resource += "/" + n.Subresource
	}
	return slices.ContainsFunc(all, func(r role) bool {
		return (r.namespace == "" || r.namespace == n.Namespace) && slices.ContainsFunc(r.rules, func(p rbacv1.PolicyRule) bool {
			return slices.Contains(p.APIGroups, n.Group) && slices.Contains(p.Resources, resource) && slices.Contains(p.Verbs, n.Verb) &&
				(len(p.ResourceNames) == 0 || slices.Contains(p.ResourceNames, n.Name))
		})
	})
}

func shipped(t *testing.T, files ...string) []role {
	t.Helper()
	var all []role
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join("..", "..", "manifests", f))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, roles(t, b)...)
	}
	return all
}

// every is all that may be needed: a hub without its roster and with it, one whose certificate comes from files, and an edge without its CA.
func every(t *testing.T, migrate bool) []plan.Need {
	t.Helper()
	var all []plan.Need
	for _, objects := range [][]apifake.Object{openHub("eu"), append(openHub("eu"), apifake.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": apifake.Object{"name": api.Namespace}}),
		append(openHub("eu"), apifake.Secret("tsb", secretCentralCert, map[string]string{"tls.crt": "x"})), apifake.Edge("eu")} {
		s := &stage{hub: keyed(objects)}
		read := s.read("x", s.hub)
		all = append(all, Needs(read.Reads, migrate)...)
	}
	return all
}

func TestTheShippedRolesGrantWhatIsNeeded(t *testing.T) {
	reading := shipped(t, "rbac/read.yaml")
	for _, n := range every(t, false) {
		if !grants(reading, n) {
			t.Errorf("xcpauth-read does not grant: %s", check.Words(n))
		}
	}
	moving := shipped(t, "rbac/read.yaml", "rbac/migrate.yaml", "base/plugin-rbac.yaml")
	for _, n := range every(t, true) {
		if !grants(moving, n) {
			t.Errorf("xcpauth-migrate does not grant: %s", check.Words(n))
		}
	}
}

// unasked are resources of the shipped roles that check does not ask for, each with the reason.
var unasked = map[string]string{
	"events.k8s.io/events":            "the same Events under their newer group",
	"discovery.k8s.io/endpointslices": "webhook status looks whether anybody is behind the webhook's Service",
}

func TestTheShippedRolesGrantNothingElse(t *testing.T) {
	needs := every(t, true)
	for _, r := range shipped(t, "rbac/read.yaml", "rbac/migrate.yaml", "base/plugin-rbac.yaml") {
		for _, p := range r.rules {
			for _, group := range p.APIGroups {
				for _, resource := range p.Resources {
					if unasked[group+"/"+resource] == "" && !slices.ContainsFunc(needs, func(n plan.Need) bool {
						return n.Group == group && (n.Resource == resource || n.Resource+"/"+n.Subresource == resource)
					}) {
						t.Errorf("nothing needs %s of group %q", resource, group)
					}
				}
			}
			for _, name := range p.ResourceNames {
				if !slices.ContainsFunc(needs, func(n plan.Need) bool { return n.Name == name && slices.Contains(p.Resources, n.Resource) }) {
					t.Errorf("nothing needs %v %s", p.Resources, name)
				}
			}
		}
	}
}

func TestTheSmallestRolesGrantWhatIsMissingAndNothingElse(t *testing.T) {
	needs := every(t, true)
	for i := range needs {
		missing := append(slices.Clone(needs[:i]), needs[min(i+3, len(needs)):]...) // three rights are there
		given := roles(t, []byte(check.Roles(missing)))
		for _, n := range needs {
			if want := slices.Contains(missing, n); grants(given, n) != want {
				t.Fatalf("granted %v, want %v: %s\n%s", !want, want, check.Words(n), check.Roles(missing))
			}
		}
	}
}
