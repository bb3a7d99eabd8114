package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// documents decodes what install prints, or what kustomize rendered.
func documents(t *testing.T, text string) (all []map[string]any) {
	t.Helper()
	for doc := range bytes.SplitSeq([]byte(text), []byte("\n---\n")) {
		var o map[string]any
		if err := yaml.Unmarshal(doc, &o); err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		all = append(all, o)
	}
	return all
}

// Without --apply, install prints the reviewed manifests with what the flags chose, and asks no cluster.
func TestWhatInstallPrintsIsWhatIsShipped(t *testing.T) {
	none := filepath.Join(t.TempDir(), "no-kubeconfig")
	printed := func(args string) string {
		t.Helper()
		r := xcpauth(t, none, strings.Fields(args)...)
		if r.code != 0 || r.err != "" {
			t.Fatalf("%s ends with %d: %s", args, r.code, r.err)
		}
		return r.out
	}
	for certificates, shipped := range map[string][]byte{"self-signed": manifests.SelfSigned,
		"cert-manager": manifests.CertManager} {
		want := documents(t, strings.ReplaceAll(strings.Replace(string(shipped), "replicas: 2", "replicas: 3", 1),
			"ghcr.io/xcpauth/xcpauth-webhook:devel", "example.test/hook@sha256:0"))
		got := documents(t, printed("install webhook --replicas 3 --image example.test/hook@sha256:0 --certificates "+
			certificates))
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-shipped +printed):\n%s", certificates, d)
		}
	}
	if d := cmp.Diff(documents(t, string(manifests.EdgeFence)), documents(t, printed("install fence"))); d != "" {
		t.Errorf("fence (-shipped +printed):\n%s", d)
	}
	if d := cmp.Diff(documents(t, string(manifests.EdgeClusterCRD)), documents(t, printed("install crds"))); d != "" {
		t.Errorf("crds (-shipped +printed):\n%s", d)
	}
	names := strings.Fields(printed("install rbac hub -o name"))
	for _, want := range []string{"clusterrole.rbac.authorization.k8s.io/xcpauth-read", "namespace/xcpauth-system",
		"customresourcedefinition.apiextensions.k8s.io/edgeclusters.xcpauth.io"} {
		if !slices.Contains(names, want) {
			t.Errorf("the roles of a hub lack %s: %v", want, names)
		}
	}
	if slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "binding.rbac") }) {
		t.Errorf("something is bound: %v", names)
	}
	edge := printed("install rbac edge --plane-namespace mesh")
	if strings.Contains(edge, "namespace: istio-system") || !strings.Contains(edge, "namespace: mesh") {
		t.Error("the roles of an edge are not in the namespace that was named")
	}
	if mesh := printed("install rbac mesh --role read --group ops"); !strings.Contains(mesh, "kind: Group\n  name: ops") {
		t.Errorf("the group is not bound:\n%s", mesh)
	}
	gone := strings.Fields(printed("uninstall webhook -o name"))
	if gone[0] != "validatingwebhookconfiguration.admissionregistration.k8s.io/xcpauth-webhook" ||
		slices.Contains(gone, "namespace/xcpauth-system") ||
		slices.Contains(gone, "customresourcedefinition.apiextensions.k8s.io/edgeclusters.xcpauth.io") {
		t.Errorf("uninstall would delete, in this order, %v", gone)
	}
}

func TestInstallRefusesWhatCannotBeMeant(t *testing.T) {
	for args, says := range map[string]string{
		"install webhook":                                       "this build is of no release, so it names no image",
		"install webhook --image hook":                          `image "hook" has neither a tag nor a digest`,
		"install webhook --image registry.example.test:5/hook":  "has neither a tag nor a digest",
		"install webhook --image x:1 --replicas 0":              "at least 1 must run",
		"install webhook --image x:1 --certificates acme":       `the source of certificates "acme" is not known`,
		"install webhook --image x:1 --wait":                    "--wait goes with --apply",
		"install webhook --image x:1 --wait --apply --dry-run":  "--wait goes with --apply",
		"install rbac moon":                                     `invalid argument "moon"`,
		"install rbac --role read":                              "nobody is named who gets the roles",
		"install rbac --user ann":                               "no role is named",
		"install rbac --user ann --role rotate":                 `no role "rotate" for a cluster of kind hub; there are:`,
		"install rbac edge --user ann --role nonsense":          "migrate, read, register, rotate",
		"install nonsense":                                      "unknown command",
		"uninstall fence":                                       "rollback removes a fence after it has taken that back",
		"uninstall crds --apply":                                "it takes the whole roster with it",
		"install webhook --image x:1 --apply --context nowhere": "nowhere",
	} {
		r := xcpauth(t, fleetOfTwo(t), strings.Fields(args)...)
		if r.code == 0 || r.out != "" || !strings.Contains(r.err, says) {
			t.Errorf("%s ends with %d, want %q:\n%s%s", args, r.code, says, r.out, r.err)
		}
	}
}

// Roles are applied to each cluster that is named and to no other, with the bindings; a dry run stores nothing.
func TestRolesAreAppliedToEachClusterAndBound(t *testing.T) {
	kubeconfig, w := watch(t, map[string][]apifake.Object{"hub": apifake.Hub("edge-1", "edge-2", "edge-3"),
		"edge-1": apifake.Edge("edge-1"), "edge-2": apifake.Edge("edge-2"), "edge-3": apifake.Edge("edge-3")})
	args := strings.Fields("install rbac edge --contexts edge-1,edge-2 --role read,migrate --group mesh-admins --apply")
	for _, dry := range []bool{true, false} {
		more := args
		if dry {
			more = append(slices.Clone(args), "--dry-run=server")
		}
		r := xcpauth(t, kubeconfig, more...)
		if r.code != 0 || !strings.Contains(r.err, "In context edge-1:\n") ||
			!strings.Contains(r.err, "In context edge-2:\n") ||
			strings.Contains(r.err, "edge-3") || strings.Contains(r.err, "hub") ||
			strings.Count(r.out, "rolebinding.rbac.authorization.k8s.io/xcpauth-migrate ") != 6 {
			t.Errorf("dry run %v: exit code %d\n%s%s", dry, r.code, r.out, r.err)
		}
		stored, tried := w.taken()
		if dry && len(stored) > 0 || !dry && (len(tried) > 0 || len(stored) != strings.Count(r.out, "\n")) {
			t.Errorf("dry run %v: stored %v, tried %v", dry, stored, tried)
		}
	}
}

func TestInstalledManifestsCanBeKeptInGit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "xcpauth-webhook.yaml")
	r := xcpauth(t, "none", "install", "webhook", "--image", "x:1")
	if err := os.WriteFile(file, []byte(r.out), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range documents(t, r.out) {
		if conf := o["webhooks"]; o["kind"] == "ValidatingWebhookConfiguration" && conf != nil {
			t.Errorf("it has entries, which would take the place of the webhook's when it is applied again: %v", conf)
		}
		if _, served := o["status"]; served {
			t.Errorf("%v has a status", o["kind"])
		}
	}
}

func TestAReleaseNamesItsImageAndAnotherBuildNone(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3":                               "ghcr.io/xcpauth/xcpauth-webhook:v1.2.3",
		"v1.2.3-rc.1":                          "ghcr.io/xcpauth/xcpauth-webhook:v1.2.3-rc.1",
		"v0.0.0-dev":                           "",
		"v1.2.3+dirty":                         "",
		"v0.1.0-snapshot.g0bbd45c98db2":        "",
		"v0.1.1-0.20261201102030-0bbd45c98db2": "",
	} {
		if got := publishedImage(version); got != want {
			t.Errorf("%s names %q, want %q", version, got, want)
		}
	}
}
