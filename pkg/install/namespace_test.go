package install

import (
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
)

// Nothing of an installation in a namespace of its own names the usual one, and the roster's kind tells where it is.
func TestAnInstallationIsWhollyInItsNamespace(t *testing.T) {
	for name, objects := range map[string]func() ([]Object, error){
		"webhook": Webhook{Image: "i:1", Replicas: 2, Certificates: SelfSigned}.Objects,
		"webhook with a certificate of cert-manager": Webhook{Image: "i:1", Replicas: 2,
			Certificates: CertManager}.Objects,
		"roles of a hub":  Roles{Place: Hub, Bind: []string{"migrate"}, Users: []string{"ann"}}.Objects,
		"roles of a mesh": Roles{Place: Mesh, Bind: []string{"migrate"}, Users: []string{"ann"}}.Objects,
		"kinds":           Kinds,
	} {
		t.Run(name, func(t *testing.T) {
			all, err := objects()
			if err != nil {
				t.Fatal(err)
			}
			before, _ := YAML(all)
			there, err := In(all, "mesh-system")
			if err != nil {
				t.Fatal(err)
			}
			text, err := YAML(there)
			if err != nil {
				t.Fatal(err)
			}
			for _, usual := range []string{api.Namespace, api.EdgesNamespace(api.Namespace)} {
				if strings.Contains(string(text), usual) {
					t.Errorf("it names %s", usual)
				}
			}
			if strings.Contains(string(text), "kind: CustomResourceDefinition") !=
				strings.Contains(string(text), "xcpauth.io/namespace: mesh-system") {
				t.Error("the roster's kind does not say where it is")
			}
			if strings.Contains(string(before), "xcpauth-edges") && !strings.Contains(string(text), "mesh-edges") {
				t.Error("the kubeconfigs of edges have no namespace")
			}
			if after, _ := YAML(all); string(after) != string(before) {
				t.Error("what was given is changed")
			}
		})
	}
	if _, err := In(nil, "a b"); err == nil {
		t.Error("what cannot be a namespace is taken")
	}
}

// In two namespaces there would be two locks.
func TestAClusterHasOneNamespace(t *testing.T) {
	elsewhere := Used{Namespace: "mesh-auth", Kind: true}
	usual := Used{Namespace: api.Namespace, Kind: true}
	kept := Used{Namespace: api.Namespace, Ran: true}
	fresh := Used{Namespace: api.Namespace}
	for name, tc := range map[string]struct {
		named     string
		has       Used
		tells     bool
		want, err string
	}{
		"none is named, nothing is there":          {"", fresh, true, api.Namespace, ""},
		"none is named, it uses another":           {"", elsewhere, true, "mesh-auth", ""},
		"the one it uses is named":                 {"mesh-auth", elsewhere, false, "mesh-auth", ""},
		"another is named than it uses":            {"x", elsewhere, true, "", "keeps its state in namespace mesh-auth"},
		"the usual one is named, it uses another":  {api.Namespace, elsewhere, true, "", "mesh-auth"},
		"another is named, it uses the usual one":  {"x", usual, true, "", api.Namespace},
		"another is named, a run was in that":      {"x", kept, true, "", api.Namespace},
		"another is named, nothing is there":       {"x", fresh, true, "x", ""},
		"another is named that nobody would learn": {"x", fresh, false, "", "install crds --namespace x --apply"},
	} {
		got, err := Choose(tc.named, tc.has, tc.tells)
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}
