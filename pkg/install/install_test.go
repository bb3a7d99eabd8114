package install

import (
	"slices"
	"testing"
)

// Every object that is shipped can be named, in each way to install it, and none is named twice.
func TestEveryObjectThatIsShippedCanBeNamed(t *testing.T) {
	sets := map[string]func() ([]Object, error){"fence": Fence, "kinds": Kinds}
	for _, c := range AllCertificates {
		sets[string(c)] = Webhook{Image: "x:1", Replicas: 2, Certificates: c}.Objects
	}
	for _, p := range Places {
		sets[string(p)] = Roles{Place: p, Bind: []string{"read"}, Users: []string{"ann"}}.Objects
	}
	for name, of := range sets {
		objects, err := of()
		if err != nil || len(objects) == 0 {
			t.Fatalf("%s: %d objects, %v", name, len(objects), err)
		}
		seen := map[string]bool{}
		for _, o := range objects {
			ref, err := Ref(o)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			key := ref.Group + "/" + ref.String()
			if seen[key] {
				t.Errorf("%s has %s twice", name, key)
			}
			seen[key] = true
		}
	}
	if _, err := Ref(Object{"apiVersion": "v1", "kind": "Pod", "metadata": Object{"name": "x"}}); err == nil {
		t.Error("a kind that is not shipped has a name")
	}
}

// What makes the API server ask is deleted first, and what holds the roster and the journal stays, whatever the order
// of the manifest.
func TestTheConfigurationGoesFirstAndTheRosterStays(t *testing.T) {
	for _, c := range AllCertificates {
		objects, err := Webhook{Image: "x:1", Replicas: 1, Certificates: c}.Objects()
		if err != nil {
			t.Fatal(err)
		}
		for range len(objects) {
			objects = append(objects[1:], objects[0])
			deleted, kept := Removed(objects)
			if deleted[0]["kind"] != "ValidatingWebhookConfiguration" || len(kept) != 3 ||
				len(deleted)+len(kept) != len(objects) {
				t.Fatalf("%s: first %v, %d kept, %d deleted", c, deleted[0]["kind"], len(kept), len(deleted))
			}
			if slices.ContainsFunc(deleted, func(o Object) bool {
				return o["kind"] == "Namespace" || o["kind"] == "CustomResourceDefinition"
			}) {
				t.Fatal("the roster goes")
			}
		}
	}
}
