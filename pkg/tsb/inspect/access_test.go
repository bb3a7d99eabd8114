package inspect

import (
	"slices"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/rbac"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// every is all that may be needed: a hub without its roster and with it, one whose certificate comes from files, and
// an edge without its CA.
func every(t *testing.T, migrate bool) []plan.Permission {
	t.Helper()
	var all []plan.Permission
	for _, objects := range [][]apifake.Object{tsbobjects.OpenHub("eu"), append(tsbobjects.OpenHub("eu"),
		apifake.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": apifake.Object{"name": api.Namespace}}),
		append(tsbobjects.OpenHub("eu"), apifake.Secret("tsb", state.SecretCentralCert, map[string]string{"tls.crt": "x"})),
		apifake.Edge("eu")} {
		s := &tsbfleet.Stage{Hub: tsbfleet.Keyed(objects)}
		read := s.Read(Extend(tsbfleet.PlainProvider), "x", s.Hub)
		all = append(all, migration.Permissions(read.Reads, migrate)...)
	}
	return all
}

// The files with the roles: to look, and to migrate too.
var (
	readRoles = []string{"rbac/cluster/read.yaml", "rbac/system/roles.yaml", "rbac/hub/roles.yaml", "rbac/edge/roles.yaml"}
	allRoles  = append([]string{"rbac/cluster/migrate.yaml"}, readRoles...)
)

// madeByApply are rights that nobody needs once the roles were applied, since what is to be made is there then.
var madeByApply = map[string]string{
	"create customresourcedefinitions.apiextensions.k8s.io": "it comes with the roles of the hub",
	"create namespaces": "it comes with the roles",
}

// What reaches the whole cluster is what has no namespace, or what a namespace is found by: no secret, no pod,
// nothing that runs.
func TestTheShippedRolesReachTheWholeClusterOnlyWhereTheyMust(t *testing.T) {
	boundless := map[string]string{
		"namespaces":                        "in no namespace",
		"customresourcedefinitions":         "in no namespace",
		"validatingwebhookconfigurations":   "in no namespace",
		"validatingadmissionpolicies":       "in no namespace",
		"validatingadmissionpolicybindings": "in no namespace",
		"managementplanes":                  "the namespace of a plane is found by them",
		"controlplanes":                     "the namespace of a plane is found by them",
		"edgexcps":                          "the namespace of a plane is found by them",
	}
	writable := []string{"validatingadmissionpolicies", "validatingadmissionpolicybindings"}
	for _, r := range rbac.Shipped(t, append([]string{"rbac/edge/rotate.yaml", "rbac/edge/register.yaml"},
		allRoles...)...) {
		if r.Namespace != "" {
			continue
		}
		for _, p := range r.Rules {
			for _, resource := range p.Resources {
				if boundless[resource] == "" {
					t.Errorf("a ClusterRole gives %v of %s, which belongs into a namespace", p.Verbs, resource)
				}
				for _, verb := range p.Verbs {
					if !slices.Contains([]string{"get", "list", "watch"}, verb) && !slices.Contains(writable, resource) {
						t.Errorf("a ClusterRole gives %s of %s", verb, resource)
					}
				}
			}
		}
	}
}

func TestTheShippedRolesGrantWhatIsNeeded(t *testing.T) {
	reading := rbac.Shipped(t, readRoles...)
	for _, n := range every(t, false) {
		if !rbac.Grants(reading, n) {
			t.Errorf("xcpauth-read does not grant: %s", check.Words(n))
		}
	}
	moving := rbac.Shipped(t, allRoles...)
	for _, n := range every(t, true) {
		if madeByApply[check.Words(n)] == "" && !rbac.Grants(moving, n) {
			t.Errorf("xcpauth-migrate does not grant: %s", check.Words(n))
		}
	}
}

// unasked are resources of the shipped roles that check does not ask for, each with the reason.
var unasked = map[string]string{
	"events.k8s.io/events":            "the same Events under their newer group",
	"/events":                         "why a pod does not start is read of it; and the Events of a run",
	"xcpauth.io/limits":               "the marker by which the policies xcpauth-limits-* know who has a role",
	"discovery.k8s.io/endpointslices": "webhook status looks whether anybody is behind the webhook's Service",
}

func TestTheShippedRolesGrantNothingElse(t *testing.T) {
	needs := every(t, true)
	for _, r := range rbac.Shipped(t, allRoles...) {
		for _, p := range r.Rules {
			for _, group := range p.APIGroups {
				for _, resource := range p.Resources {
					if unasked[group+"/"+resource] == "" && !slices.ContainsFunc(needs, func(n plan.Permission) bool {
						return n.Group == group && (n.Resource == resource || n.Resource+"/"+n.Subresource == resource)
					}) {
						t.Errorf("nothing needs %s of group %q", resource, group)
					}
				}
			}
			for _, name := range p.ResourceNames {
				if !slices.ContainsFunc(needs, func(n plan.Permission) bool {
					return n.Name == name &&
						slices.Contains(p.Resources, n.Resource)
				}) {
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
		given := rbac.Roles(t, []byte(check.Roles(missing)))
		for _, n := range needs {
			if want := slices.Contains(missing, n); rbac.Grants(given, n) != want {
				t.Fatalf("granted %v, want %v: %s\n%s", !want, want, check.Words(n), check.Roles(missing))
			}
		}
	}
}
