package manifests_test

import (
	"bufio"
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
)

var rewrite = flag.Bool("rewrite", false, "write what is rendered over rendered, to be reviewed as a diff")

var overlays = []string{"self-signed", "cert-manager"}

// render builds an overlay with the real kubectl.
func render(t *testing.T, overlay string) []byte {
	t.Helper()
	return renderDir(t, filepath.Join("overlays", overlay))
}

func renderDir(t *testing.T, dir string) []byte {
	t.Helper()
	var errs bytes.Buffer
	find := exec.Command("go", "run", ".")
	find.Dir, find.Stderr = filepath.Join("..", "test", "k8s"), &errs
	bin, err := find.Output()
	if err != nil {
		t.Fatalf("finding kubectl: %v\n%s", err, errs.String())
	}
	build := exec.Command(filepath.Join(strings.TrimSpace(string(bin)), "kubectl"), "kustomize", dir)
	build.Stderr = &errs
	out, err := build.Output()
	if err != nil {
		t.Fatalf("rendering %s: %v\n%s", dir, err, errs.String())
	}
	return out
}

// An overlay is a base for a kustomization elsewhere, by the address of the repository and a tag, and what that changes
// is all that changes.
func TestAnOverlayIsABaseByTheRepositorysAddress(t *testing.T) {
	repository, elsewhere := filepath.Join(t.TempDir(), "repository"), t.TempDir()
	if err := os.CopyFS(filepath.Join(repository, "manifests"), os.DirFS(".")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."},
		{"-c", "user.name=t", "-c", "user.email=t@example.test", "commit", "-q", "-m", "release"}, {"tag", "v0.1.0"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = repository
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	for _, overlay := range overlays {
		text := "resources:\n- file://" + repository + "//manifests/overlays/" + overlay + "?ref=v0.1.0\n" +
			"images:\n- name: ghcr.io/xcpauth/xcpauth-webhook\n  newName: mirror.example.test/webhook\n  newTag: v0.1.0\n"
		if err := os.WriteFile(filepath.Join(elsewhere, "kustomization.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		want := strings.ReplaceAll(string(reviewed(t, overlay)), "ghcr.io/xcpauth/xcpauth-webhook:devel",
			"mirror.example.test/webhook:v0.1.0")
		if d := cmp.Diff(want, string(renderDir(t, elsewhere))); d != "" {
			t.Errorf("%s:\n%s", overlay, d)
		}
	}
}

// reviewed is an overlay as it was last reviewed; TestOverlaysRenderAsReviewed holds it to what is rendered.
func reviewed(t *testing.T, overlay string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("rendered", overlay+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// objects decodes every document of the kind of T.
func objects[T any](t *testing.T, manifest []byte, kind string) []T {
	t.Helper()
	var all []T
	docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifest)))
	for {
		doc, err := docs.Read()
		if err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		var head struct{ Kind string }
		if err := yaml.Unmarshal(doc, &head); err != nil {
			t.Fatal(err)
		}
		if head.Kind != kind {
			continue
		}
		var o T
		if err := yaml.UnmarshalStrict(doc, &o); err != nil {
			t.Fatalf("%s is not what its kind says: %v", kind, err)
		}
		all = append(all, o)
	}
}

func TestOverlaysRenderAsReviewed(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			got := render(t, overlay)
			if *rewrite {
				if err := os.WriteFile(filepath.Join("rendered", overlay+".yaml"), got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if d := cmp.Diff(string(reviewed(t, overlay)), string(got)); d != "" {
				t.Errorf("rendered otherwise than reviewed (go test ./manifests -rewrite, then review the diff; -reviewed +rendered):\n%s", d)
			}
		})
	}
}

// What is applied has no entry: the webhook writes those that are shipped, once its pods are ready.
func TestWhatIsAppliedRefusesNobodyBeforeThePodsAreReady(t *testing.T) {
	for _, overlay := range overlays {
		confs := objects[admissionregistrationv1.ValidatingWebhookConfiguration](t, reviewed(t, overlay),
			"ValidatingWebhookConfiguration")
		if len(confs) != 1 || len(confs[0].Webhooks) != 0 || confs[0].Name != "xcpauth-webhook" ||
			confs[0].Annotations["admissions.enforcer/disabled"] != "true" {
			t.Errorf("%s: want one configuration, without entries, that AKS leaves alone: %+v", overlay, confs)
		}
	}
}

func TestTheWebhookGuardsOnlyManagementPlanesAndFailsClosedForThose(t *testing.T) {
	type op = admissionregistrationv1.OperationType
	confs := objects[admissionregistrationv1.ValidatingWebhookConfiguration](t, manifests.WebhookConfiguration,
		"ValidatingWebhookConfiguration")
	if len(confs) != 1 || len(confs[0].Webhooks) != 2 {
		t.Fatalf("want one configuration with two webhooks: %v", confs)
	}
	for i, want := range []struct {
		policy     admissionregistrationv1.FailurePolicyType
		operations []op
		conditions []string
		effects    admissionregistrationv1.SideEffectClass // an Event where something is denied
	}{
		{"Fail", []op{"CREATE", "UPDATE"}, []string{"not-being-deleted", "changes-xcp", "not-surely-both-modes"},
			"NoneOnDryRun"},
		{"Fail", []op{"UPDATE", "DELETE"}, []string{"not-being-deleted", "not-with-its-namespace",
			"deletes-or-adds-an-owner"}, "NoneOnDryRun"},
	} {
		w := confs[0].Webhooks[i]
		rule := admissionregistrationv1.RuleWithOperations{Operations: want.operations, Rule: admissionregistrationv1.Rule{
			APIGroups: []string{"install.tetrate.io"}, APIVersions: []string{"*"}, Resources: []string{"managementplanes"},
			Scope: w.Rules[0].Scope}}
		if d := cmp.Diff([]admissionregistrationv1.RuleWithOperations{rule}, w.Rules); d != "" {
			t.Errorf("%s: rules (-want +got):\n%s", w.Name, d)
		}
		if *w.FailurePolicy != want.policy || *w.TimeoutSeconds != 5 || *w.SideEffects != want.effects ||
			*w.MatchPolicy != "Equivalent" {
			t.Errorf("%s: failurePolicy %s, timeoutSeconds %d, sideEffects %s, matchPolicy %s", w.Name, *w.FailurePolicy,
				*w.TimeoutSeconds, *w.SideEffects, *w.MatchPolicy)
		}
		if w.ObjectSelector != nil || w.NamespaceSelector != nil {
			t.Errorf("%s: a selector is something that a user can step around", w.Name)
		}
		var names []string
		for _, c := range w.MatchConditions {
			names = append(names, c.Name)
		}
		if !slices.Equal(names, want.conditions) {
			t.Errorf("%s: matchConditions %v, want %v", w.Name, names, want.conditions)
		}
	}
}

func TestTheRightToOverrideIsShippedAndBoundToNobody(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			roles := objects[rbacv1.ClusterRole](t, reviewed(t, overlay), "ClusterRole")
			i := slices.IndexFunc(roles, func(r rbacv1.ClusterRole) bool { return r.Name == "xcpauth-override" })
			if i < 0 {
				t.Fatal("there is no ClusterRole xcpauth-override")
			}
			want := []rbacv1.PolicyRule{{APIGroups: []string{"install.tetrate.io"}, Resources: []string{"managementplanes"},
				Verbs: []string{"override"}}}
			if d := cmp.Diff(want, roles[i].Rules); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			for _, b := range objects[rbacv1.ClusterRoleBinding](t, reviewed(t, overlay), "ClusterRoleBinding") {
				if b.RoleRef.Name == "xcpauth-override" {
					t.Errorf("it is bound by %s", b.Name)
				}
			}
			for _, r := range roles {
				for _, rule := range r.Rules {
					if r.Name != "xcpauth-override" && slices.Contains(rule.Verbs, "override") {
						t.Errorf("%s has it too", r.Name)
					}
				}
			}
		})
	}
}

// writesUnnamed are what the webhook may write that no name limits: a question that is not stored, and Events. And
// what the auditor may: the conditions of the roster's entries, in our own namespace; its Lease, whose creation has
// no name yet; and Events.
var writesUnnamed = []string{
	"ClusterRole/xcpauth-webhook authorization.k8s.io/subjectaccessreviews create",
	"ClusterRole/xcpauth-webhook events.k8s.io/events create,patch",
	"Role/xcpauth-auditor xcpauth.io/edgeclusters/status patch",
	"Role/xcpauth-auditor coordination.k8s.io/leases create",
	"ClusterRole/xcpauth-auditor events.k8s.io/events create",
}

// programs are the names of the two accounts, and what their roles begin with.
var programs = []string{"xcpauth-webhook", "xcpauth-auditor"}

// edgeSecrets are the kubeconfigs of registered edges, in a namespace that holds nothing else.
const edgeSecrets = "Role/xcpauth-edges/xcpauth-webhook"

func TestTheWebhookMayOnlyReadAndKeepItsOwnCertificate(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			rules := map[string][]rbacv1.PolicyRule{}
			for _, r := range objects[rbacv1.Role](t, reviewed(t, overlay), "Role") {
				name := "Role/" + r.Name
				if r.Namespace != "xcpauth-system" {
					name = "Role/" + r.Namespace + "/" + r.Name
				}
				rules[name] = r.Rules
			}
			for _, r := range objects[rbacv1.ClusterRole](t, reviewed(t, overlay), "ClusterRole") {
				rules["ClusterRole/"+r.Name] = r.Rules
			}
			for name, list := range rules {
				for _, rule := range list {
					if slices.Contains(slices.Concat(rule.Verbs, rule.Resources, rule.APIGroups), "*") {
						t.Errorf("%s has a wildcard: %v", name, rule)
					}
					writes := slices.ContainsFunc(rule.Verbs, func(v string) bool { return v != "get" && v != "list" && v != "watch" })
					what := name + " " + strings.Join(rule.APIGroups, ",") + "/" + strings.Join(rule.Resources, ",") + " " +
						strings.Join(rule.Verbs, ",")
					ours := slices.ContainsFunc(programs, func(p string) bool { return strings.Contains(name, "/"+p) })
					if writes && ours && len(rule.ResourceNames) == 0 && !slices.Contains(writesUnnamed, what) && name != edgeSecrets {
						t.Errorf("%s may write objects that are not its own: %v", name, rule)
					}
					if slices.Contains(rule.Resources, "secrets") && strings.HasPrefix(name, "ClusterRole/") {
						t.Errorf("%s may touch Secrets of every namespace: %v", name, rule)
					}
				}
			}
			for _, name := range []string{"ClusterRole/xcpauth-read", "ClusterRole/xcpauth-migrate", "Role/xcpauth-read",
				"Role/xcpauth-migrate", "Role/xcpauth-register", "Role/xcpauth-edges/xcpauth-register", "Role/xcpauth-webhook",
				"ClusterRole/xcpauth-webhook",
				"Role/xcpauth-auditor", "ClusterRole/xcpauth-auditor", "Role/xcpauth-edges/xcpauth-auditor"} {
				if len(rules[name]) == 0 {
					t.Errorf("%s is missing or empty", name)
				}
			}
			for name, want := range map[string][]rbacv1.PolicyRule{
				edgeSecrets: {{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "update"}}},
				"Role/xcpauth-webhook-certificate": {{APIGroups: []string{""}, Resources: []string{"secrets"},
					ResourceNames: []string{"xcpauth-webhook-cert"}, Verbs: []string{"get", "update"}}},
				"ClusterRole/xcpauth-webhook-certificate": nil,
			} {
				if name != edgeSecrets && overlay == "cert-manager" {
					want = nil // cert-manager writes both
				}
				if d := cmp.Diff(want, rules[name]); d != "" {
					t.Errorf("%s (-want +got):\n%s", name, d)
				}
			}
			for _, rule := range rules["ClusterRole/xcpauth-read"] {
				for _, verb := range rule.Verbs {
					if read := verb == "get" || verb == "list" || verb == "watch"; !read {
						t.Errorf("xcpauth-read may %s %v", verb, rule.Resources)
					}
				}
			}
		})
	}
}

func TestOneAuditorRunsRestricted(t *testing.T) {
	for _, overlay := range overlays {
		guard, d := deployments(t, overlay)[0], deployments(t, overlay)[1]
		c := d.Spec.Template.Spec.Containers[0]
		if *d.Spec.Replicas != 1 || c.Args[0] != "auditor" || c.Image != guard.Spec.Template.Spec.Containers[0].Image {
			t.Errorf("%s: replicas %d, image %s, args %v", overlay, *d.Spec.Replicas, c.Image, c.Args)
		}
		if s := c.SecurityContext; !*d.Spec.Template.Spec.SecurityContext.RunAsNonRoot || !*s.ReadOnlyRootFilesystem ||
			*s.AllowPrivilegeEscalation || !slices.Contains(s.Capabilities.Drop, "ALL") {
			t.Errorf("%s: security context %+v", overlay, s)
		}
	}
}

func TestTheWebhookRunsTwiceRestrictedAndIsNeverRolledToZero(t *testing.T) {
	for _, overlay := range overlays {
		t.Run(overlay, func(t *testing.T) {
			d := deployments(t, overlay)[0]
			if *d.Spec.Replicas != 2 || d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue() != 0 {
				t.Errorf("replicas %d, maxUnavailable %v", *d.Spec.Replicas, d.Spec.Strategy.RollingUpdate.MaxUnavailable)
			}
			c := d.Spec.Template.Spec.Containers[0]
			if s := c.SecurityContext; !*d.Spec.Template.Spec.SecurityContext.RunAsNonRoot || !*s.ReadOnlyRootFilesystem ||
				*s.AllowPrivilegeEscalation || !slices.Contains(s.Capabilities.Drop, "ALL") {
				t.Errorf("security context %+v", s)
			}
			if rotates := !slices.Contains(c.Args, "--rotate-certificates=false"); rotates != (overlay == "self-signed") {
				t.Errorf("args %v", c.Args)
			}
			var names []string
			for _, ns := range objects[corev1.Namespace](t, reviewed(t, overlay), "Namespace") {
				names = append(names, ns.Name)
				if ns.Labels["pod-security.kubernetes.io/enforce"] != "restricted" {
					t.Errorf("namespace %s has the labels %v", ns.Name, ns.Labels)
				}
			}
			if !slices.Equal(names, []string{api.EdgesNamespace(api.Namespace), api.Namespace}) {
				t.Errorf("namespaces %q", names)
			}
		})
	}
}

func TestTheEmbeddedCRDIsTheRostersOwn(t *testing.T) {
	for _, want := range []string{"name: edgeclusters.xcpauth.io", "name: v1alpha1", "subresources:\n      status: {}"} {
		if !strings.Contains(string(manifests.EdgeClusterCRD), want) {
			t.Errorf("the CRD lacks %q", want)
		}
	}
}
