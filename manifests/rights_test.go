package manifests_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
)

// rights are what the roles that are bound to an account allow, one "where group/resource name verb" each.
func rights(t *testing.T, overlay, account string) map[string]bool {
	t.Helper()
	roles := map[string][]rbacv1.PolicyRule{}
	for _, r := range objects[rbacv1.Role](t, reviewed(t, overlay), "Role") {
		roles[r.Namespace+" "+r.Name] = r.Rules
	}
	for _, r := range objects[rbacv1.ClusterRole](t, reviewed(t, overlay), "ClusterRole") {
		roles[" "+r.Name] = r.Rules
	}
	may := map[string]bool{}
	add := func(ns string, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
		if !slices.Contains(subjects, rbacv1.Subject{Kind: "ServiceAccount", Name: account, Namespace: api.Namespace}) {
			return
		}
		if len(subjects) != 1 {
			t.Errorf("%s %s is bound to others beside %s: %v", ref.Kind, ref.Name, account, subjects)
		}
		for _, rule := range roles[ns+" "+ref.Name] {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, name := range append([]string{""}, rule.ResourceNames...)[min(1, len(rule.ResourceNames)):] {
						for _, verb := range rule.Verbs {
							may[strings.Join([]string{ns, group + "/" + resource, name, verb}, " ")] = true
						}
					}
				}
			}
		}
	}
	for _, b := range objects[rbacv1.RoleBinding](t, reviewed(t, overlay), "RoleBinding") {
		add(b.Namespace, b.RoleRef, b.Subjects)
	}
	for _, b := range objects[rbacv1.ClusterRoleBinding](t, reviewed(t, overlay), "ClusterRoleBinding") {
		add("", b.RoleRef, b.Subjects)
	}
	return may
}

// TestTheAuditorAloneMayWhatAuditingNeeds and what guards is the webhook's alone; reading the members is of both.
func TestTheAuditorAloneMayWhatAuditingNeeds(t *testing.T) {
	only := map[string][]string{
		"xcpauth-auditor": {
			" install.tetrate.io/managementplanes  list",
			"xcpauth-system coordination.k8s.io/leases  create",
			"xcpauth-system coordination.k8s.io/leases xcpauth-webhook-auditor get",
			"xcpauth-system coordination.k8s.io/leases xcpauth-webhook-auditor update",
			"xcpauth-system xcpauth.io/edgeclusters/status  patch",
		},
		"xcpauth-webhook": {
			" /namespaces  get",
			" admissionregistration.k8s.io/validatingwebhookconfigurations xcpauth-webhook get",
			" admissionregistration.k8s.io/validatingwebhookconfigurations xcpauth-webhook update",
			"xcpauth-system discovery.k8s.io/endpointslices  list",
			" authorization.k8s.io/subjectaccessreviews  create",
			" events.k8s.io/events  patch",
			" install.tetrate.io/managementplanes  get",
			"xcpauth-edges /secrets  update",
		},
	}
	both := []string{
		" /pods  list",
		" admissionregistration.k8s.io/validatingadmissionpolicies xcpauth-fence get",
		" admissionregistration.k8s.io/validatingadmissionpolicybindings xcpauth-fence get",
		" events.k8s.io/events  create",
		" install.tetrate.io/controlplanes  list",
		" install.xcp.tetrate.io/centralxcps  list",
		" install.xcp.tetrate.io/edgexcps  list",
		" xcp.tetrate.io/clusters  list",
		"xcpauth-edges /secrets  get",
		"xcpauth-edges /secrets  list",
		"xcpauth-system xcpauth.io/edgeclusters  list",
	}
	for _, overlay := range overlays {
		for account, own := range only {
			want := slices.Concat(own, both)
			if overlay == "self-signed" && account == "xcpauth-webhook" {
				want = append(want, "xcpauth-system /secrets xcpauth-webhook-cert get",
					"xcpauth-system /secrets xcpauth-webhook-cert update")
			}
			slices.Sort(want)
			if d := cmp.Diff(want, slices.Sorted(maps.Keys(rights(t, overlay, account)))); d != "" {
				t.Errorf("%s: what %s may (-want +got):\n%s", overlay, account, d)
			}
		}
	}
}
