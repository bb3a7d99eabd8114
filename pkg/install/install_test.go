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

// What makes the API server ask is deleted first. What holds the roster and the journal stays, and so does what the
// users of the plugin have: a webhook that goes locks nobody out, and leaves nobody with a role and without its limits.
func TestTheConfigurationGoesFirstAndWhatUsersHaveStays(t *testing.T) {
	for _, c := range AllCertificates {
		deleted, kept, err := Webhook{Image: "x:1", Replicas: 1, Certificates: c}.Removed()
		if err != nil {
			t.Fatal(err)
		}
		if deleted[0]["kind"] != "ValidatingWebhookConfiguration" {
			t.Errorf("%s: first goes %v", c, deleted[0])
		}
		users, err := Roles{Place: Hub}.Objects()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range append(users, Object{"kind": "CustomResourceDefinition"}) {
			if slices.ContainsFunc(deleted, func(d Object) bool {
				return d["kind"] == o["kind"] && (o["metadata"] == nil || name(d) == name(o) &&
					d["metadata"].(Object)["namespace"] == o["metadata"].(Object)["namespace"])
			}) {
				t.Errorf("%s: %v %v goes", c, o["kind"], o["metadata"])
			}
		}
		for _, want := range []string{"xcpauth-webhook", "xcpauth-auditor"} {
			if !slices.ContainsFunc(deleted, func(d Object) bool { return d["kind"] == "ClusterRole" && name(d) == want }) {
				t.Errorf("%s: the webhook's own role %s stays", c, want)
			}
		}
		if len(kept) == 0 {
			t.Error("nothing is said to stay")
		}
	}
}

// A binding that is left would give the rights again when its role comes back.
func TestTheBindingsOfARoleGoBeforeIt(t *testing.T) {
	for _, p := range Places {
		deleted, _, err := Roles{Place: p}.Removed()
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range deleted {
			kind, _ := o["kind"].(string)
			if kind != "Role" && kind != "ClusterRole" {
				continue
			}
			if !slices.ContainsFunc(deleted[:i], func(b Object) bool {
				return b["kind"] == kind+"Binding" && name(b) == name(o) &&
					b["metadata"].(Object)["namespace"] == o["metadata"].(Object)["namespace"]
			}) {
				t.Errorf("%s: no binding of %s %s goes before it", p, kind, name(o))
			}
		}
	}
}

func TestWhoIsBoundStaysBound(t *testing.T) {
	user := func(name string) any { return Object{"apiGroup": rbacGroup, "kind": "User", "name": name} }
	program := Object{"kind": "ServiceAccount", "name": "xcpauth-webhook", "namespace": "x"}
	for name, tc := range map[string]struct {
		subjects []any
		there    string
		want     int
	}{
		"nothing is there":               {[]any{user("ann")}, "", 1},
		"another is bound":               {[]any{user("ann")}, `{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}]}`, 2},
		"the same is bound":              {[]any{user("ann")}, `{"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"ann"}]}`, 1},
		"the webhook's own is replaced":  {[]any{program}, `{"subjects":[{"kind":"ServiceAccount","name":"old","namespace":"x"}]}`, 1},
		"what is there is no JSON":       {[]any{user("ann")}, "<html>", 1},
		"what is there binds nobody yet": {[]any{user("ann")}, `{}`, 1},
	} {
		got, _ := Joined(Object{"kind": "RoleBinding", "subjects": tc.subjects}, []byte(tc.there))["subjects"].([]any)
		if len(got) != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatTheAPIServerWritesOfItselfIsNoChange(t *testing.T) {
	before := `{"metadata":{"name":"x","resourceVersion":"1","managedFields":[1]},"spec":{"a":1},"status":{"s":1}}`
	for after, same := range map[string]bool{
		`{"metadata":{"name":"x","resourceVersion":"2","managedFields":[2]},"spec":{"a":1}}`:                     true,
		`{"metadata":{"name":"x","resourceVersion":"1","managedFields":[1]},"spec":{"a":2},"status":{"s":1}}`:    false,
		`{"metadata":{"name":"x","labels":{"a":"b"},"resourceVersion":"1"},"spec":{"a":1},"status":{"s":1}}`:     false,
		`{"metadata":{"name":"x","resourceVersion":"2","generation":2},"spec":{"a":1},"status":{"s":"another"}}`: true,
		"": false,
	} {
		if Same([]byte(before), []byte(after)) != same {
			t.Errorf("%s: not %v", after, same)
		}
	}
}
