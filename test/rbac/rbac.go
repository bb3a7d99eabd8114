package rbac

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Role is a Role or ClusterRole: where it holds, and its rules.
type Role struct {
	Namespace string // "" for everywhere
	Rules     []rbacv1.PolicyRule
}

// Roles decodes roles in YAML documents; what is none fails the test.
func Roles(t *testing.T, text []byte) []Role {
	t.Helper()
	var all []Role
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
		all = append(all, Role{r.Namespace, r.Rules})
	}
}

// Shipped are the roles in files of manifests, wherever the test is.
func Shipped(t *testing.T, files ...string) []Role {
	t.Helper()
	var all []Role
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(moduleRoot(t), "manifests", f))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Roles(t, b)...)
	}
	return all
}

// Grants judges as RBAC does: one rule must match all of it.
func Grants(all []Role, n plan.Permission) bool {
	resource := n.Resource
	if n.Subresource != "" {
		resource += "/" + n.Subresource
	}
	return slices.ContainsFunc(all, func(r Role) bool {
		return (r.Namespace == "" || r.Namespace == n.Namespace) && slices.ContainsFunc(r.Rules,
			func(p rbacv1.PolicyRule) bool {
				return slices.Contains(p.APIGroups, n.Group) && slices.Contains(p.Resources, resource) &&
					slices.Contains(p.Verbs, n.Verb) &&
					(len(p.ResourceNames) == 0 || slices.Contains(p.ResourceNames, n.Name))
			})
	})
}

// Usual are the namespaces for which the roles of a directory of manifests/rbac are written: the product's, which may
// be another.
var Usual = map[string]string{"hub": "tsb", "edge": "istio-system"}

// Bind installs the roles of a directory of manifests/rbac (hub or edge), with the product's namespace in place of
// the usual one, and binds all Roles and ClusterRoles of the given names to a user, as docs/install.md says. kubectl
// runs it as an administrator, of one cluster; what it prints is returned.
func Bind(kubectl func(stdin string,
	args ...string) (string, error), root, dir, namespace, user string, names ...string) error {
	text, err := kubectl("", "kustomize", filepath.Join(root, "manifests", "rbac", dir))
	if err != nil {
		return err
	}
	text = strings.ReplaceAll(text, "namespace: "+Usual[dir]+"\n", "namespace: "+namespace+"\n")
	if _, err := kubectl(text, "apply", "-f", "-"); err != nil {
		return err
	}
	for d := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		var r rbacv1.Role
		if err := d.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the roles of %s: %w", dir, err)
		}
		args := []string{"create", "clusterrolebinding", user + "-" + r.Name, "--clusterrole=" + r.Name, "--user=" + user}
		if r.Kind == "Role" {
			args = []string{"-n", r.Namespace, "create", "rolebinding", user + "-" + r.Name, "--role=" + r.Name,
				"--user=" + user}
		}
		if !slices.Contains(names, r.Name) || r.Kind != "Role" && r.Kind != "ClusterRole" {
			continue
		}
		if _, err := kubectl("", args...); err != nil {
			return err
		}
	}
}

// moduleRoot is the directory of go.mod above the test's own.
func moduleRoot(t *testing.T) string {
	t.Helper()
	for dir := "."; ; dir = filepath.Join(dir, "..") {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if abs, err := filepath.Abs(dir); err != nil || abs == filepath.Dir(abs) {
			t.Fatal("no go.mod is above the directory of the test")
		}
	}
}
