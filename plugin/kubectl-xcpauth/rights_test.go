package main

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// reader may look, and may not migrate, nor read secrets.
func reader(verb, resource, _, _ string) bool {
	return slices.Contains([]string{"get", "list"}, verb) && resource != "secrets" || resource == "pods/portforward"
}

func rightsFindings(t *testing.T, kubeconfig string, args ...string) map[string]reported {
	t.Helper()
	r := xcpauth(t, kubeconfig, append([]string{"check", "-o", "json"}, args...)...)
	var report checkReport
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("%v\n%s%s", err, r.out, r.err)
	}
	found := map[string]reported{}
	for _, x := range report.Findings {
		if x.Rule == "XA002" {
			if _, twice := found[x.Context]; twice {
				t.Errorf("context %s has two findings about rights", x.Context)
			}
			found[x.Context] = x
		}
	}
	return found
}

func TestCheckNamesEveryMissingRightAtOnce(t *testing.T) {
	hub, eu := apifake.Start(apifake.Hub("eu")...), apifake.Start(apifake.Edge("eu")...)
	eu.Allows = reader
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": hub, "eu": eu}, nil)
	for name, tc := range map[string]struct {
		args     []string
		manifest string
	}{
		"to migrate": {nil, `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: xcpauth-missing
rules:
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingadmissionpolicies, validatingadmissionpolicybindings]
  verbs: [create]
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingadmissionpolicies]
  resourceNames: [xcpauth-fence]
  verbs: [delete, patch]
- apiGroups: [admissionregistration.k8s.io]
  resources: [validatingadmissionpolicybindings]
  resourceNames: [xcpauth-fence]
  verbs: [delete, patch]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: xcpauth-missing
  namespace: istio-system
rules:
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [cluster-service-account, mp-certs, oap-token, otel-token, xcp-central-ca-bundle, xcp-edge-central-auth-token, xcp-edge-cert]
  verbs: [get]
- apiGroups: [install.tetrate.io]
  resources: [controlplanes]
  resourceNames: [controlplane]
  verbs: [patch]
`},
		"to look": {[]string{"--read-only"}, `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: xcpauth-missing
  namespace: istio-system
rules:
- apiGroups: [""]
  resources: [secrets]
  resourceNames: [cluster-service-account, mp-certs, oap-token, otel-token, xcp-central-ca-bundle, xcp-edge-central-auth-token, xcp-edge-cert]
  verbs: [get]
`},
	} {
		t.Run(name, func(t *testing.T) {
			found := rightsFindings(t, kubeconfig, tc.args...)
			if x := found["eu"]; len(found) != 1 || x.Member != "eu" || x.Manifest != tc.manifest {
				t.Errorf("found %+v\n%s", found, x.Manifest)
			}
			if r := xcpauth(t, kubeconfig, append([]string{"check"}, tc.args...)...); r.code != 5 ||
				!strings.Contains(r.out, "\n"+tc.manifest) {
				t.Errorf("exit code %d, and the role is not in the table to be pasted:\n%s", r.code, r.out)
			}
		})
	}
}

func TestCheckOfSomebodyWithoutAnyRight(t *testing.T) {
	none := apifake.Start(apifake.Edge("eu")...)
	none.Allows = func(_, _, _, _ string) bool { return false }
	none.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			apifake.Status(w, http.StatusForbidden, "Forbidden", `User "alice" cannot get`)
		}
		return r.Method == http.MethodGet
	}
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "eu": none}, nil)
	x, ok := rightsFindings(t, kubeconfig)["eu"]
	if !ok || !strings.Contains(x.Saw,
		"4 rights missing: get namespaces/kube-system; list controlplanes.install.tetrate.io; list managementplanes.install.tetrate.io; list edgexcps.install.xcp.tetrate.io") || !strings.Contains(x.Remedy, "all of them are in: kubectl xcpauth install rbac") {
		t.Errorf("%+v", x)
	}
	if r := xcpauth(t, kubeconfig, "check"); r.code != 4 {
		t.Errorf("exit code %d, want 4: the context could not be looked at", r.code)
	}
}

func TestRightsThatCannotBeAskedForAreAFinding(t *testing.T) {
	hub := apifake.Start(apifake.Hub()...)
	hub.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			apifake.Status(w, http.StatusForbidden, "Forbidden", "selfsubjectaccessreviews is forbidden")
		}
		return r.Method == http.MethodPost
	}
	r := xcpauth(t, serve(t, map[string]*apifake.Server{"hub": hub}, nil), "check")
	if !strings.Contains(r.out, "XA003 warning hub") || !strings.Contains(strings.Join(strings.Fields(r.out), " "),
		"rights could not be asked for: forbidden (403): selfsubjectaccessreviews is forbidden") {
		t.Errorf("%s", r.out)
	}
}

func TestLookingAsksForNoRights(t *testing.T) {
	hub, eu := apifake.Start(apifake.Hub("eu")...), apifake.Start(apifake.Edge("eu")...)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": hub, "eu": eu}, nil)
	posts := func() (n int) {
		for _, s := range []*apifake.Server{hub, eu} {
			for _, r := range s.Requests() {
				if strings.HasPrefix(r, "POST ") && !strings.HasSuffix(r, "/portforward") {
					n++
				}
			}
		}
		return n
	}
	for _, verb := range []string{"status", "plan"} {
		if r := xcpauth(t, kubeconfig, verb); r.code == 1 || posts() != 0 {
			t.Errorf("%s: exit code %d, %d posts", verb, r.code, posts())
		}
	}
	xcpauth(t, kubeconfig, "check", "--read-only")
	looking := posts()
	xcpauth(t, kubeconfig, "check")
	if moving := posts() - looking; looking != 42 || moving != 65 {
		t.Errorf("check asks for %d rights to look and %d to migrate; want 42 and 65: one question each", looking, moving)
	}
}

// Of a mesh the rights that its own product needs are asked for, and the smallest roles are printed for what is
// missing.
func TestCheckNamesTheMissingRightsOfAMesh(t *testing.T) {
	global, west := apifake.Start(apifake.Global("2.13.10", map[string]bool{"west": false})...),
		apifake.Start(apifake.Zone("2.13.10", "west")...)
	global.Allows = func(verb, _, _, _ string) bool { return slices.Contains([]string{"get", "list"}, verb) }
	west.Allows = global.Allows
	kubeconfig := serve(t, map[string]*apifake.Server{"global": global, "west": west}, nil)
	const header = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata:\n  name: xcpauth-missing\n  namespace: "
	deployments := "- apiGroups: [apps]\n  resources: [deployments]\n  resourceNames: [kong-mesh-control-plane]\n  verbs: [patch]\n"
	want := map[string]string{
		"global": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: xcpauth-missing\nrules:\n- apiGroups: [\"\"]\n  resources: [namespaces]\n  verbs: [create]\n---\n" +
			header + "kong-mesh-system\nrules:\n- apiGroups: [\"\"]\n  resources: [pods/portforward]\n  verbs: [create]\n- apiGroups: [\"\"]\n  resources: [secrets]\n  verbs: [create, delete]\n- apiGroups: [\"\"]\n  resources: [secrets]\n  resourceNames: [zone-token-revocations]\n  verbs: [patch]\n" + deployments +
			"---\n" + header + "xcpauth-system\nrules:\n- apiGroups: [\"\"]\n  resources: [configmaps]\n  verbs: [create]\n- apiGroups: [\"\"]\n  resources: [configmaps]\n  resourceNames: [xcpauth-journal]\n  verbs: [patch]\n" +
			"- apiGroups: [coordination.k8s.io]\n  resources: [leases]\n  verbs: [create]\n- apiGroups: [coordination.k8s.io]\n  resources: [leases]\n  resourceNames: [xcpauth]\n  verbs: [update]\n",
		"west": header + "kong-mesh-system\nrules:\n- apiGroups: [\"\"]\n  resources: [secrets]\n  verbs: [create, delete]\n" + deployments,
	}
	found := rightsFindings(t, kubeconfig)
	for context, manifest := range want {
		if x := found[context]; len(found) != len(want) || x.Member != map[string]string{"global": "hub",
			"west": "west"}[context] || x.Manifest != manifest {
			t.Errorf("%s: found %+v with\n%s\nwant\n%s", context, x, x.Manifest, manifest)
		}
	}
	if found := rightsFindings(t, kubeconfig, "--read-only"); len(found) != 0 {
		t.Errorf("to look: %+v", found)
	}
}
