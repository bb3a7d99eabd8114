package roster

import (
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// The roster's kind tells where the journal and the lock are. Where it cannot be read, nobody knows, and nobody takes
// the usual namespace for it.
func TestTheKindNamesTheNamespace(t *testing.T) {
	crd := func(annotations string) plan.Result {
		return plan.Result{Body: []byte(`{"metadata":{"annotations":` + annotations + `}}`)}
	}
	for name, tc := range map[string]struct {
		crd         plan.Result
		in, unknown string
	}{
		"was not asked for":      {plan.Result{}, "xcpauth-system", ""},
		"is not there":           {plan.Result{Missing: true}, "xcpauth-system", ""},
		"names none":             {crd(`null`), "xcpauth-system", ""},
		"names another":          {crd(`{"xcpauth.io/namespace":"mesh-auth"}`), "mesh-auth", ""},
		"may not be read":        {plan.Result{Err: "forbidden", Denied: true}, "xcpauth-system", "forbidden"},
		"is no object":           {plan.Result{Body: []byte("<html>")}, "xcpauth-system", "is not as its kind says"},
		"names what cannot be":   {crd(`{"xcpauth.io/namespace":"a/../b"}`), "xcpauth-system", "not the name of a namespace"},
		"names what is too long": {crd(`{"xcpauth.io/namespace":"` + strings.Repeat("a", 60) + `"}`), "xcpauth-system", "not the name"},
	} {
		t.Run(name, func(t *testing.T) {
			read := map[plan.Read]plan.Result{crdRead: tc.crd}
			in, unknown := In(read)
			if in != tc.in || (unknown == "") != (tc.unknown == "") || !strings.Contains(unknown, tc.unknown) {
				t.Errorf("it is in %q, unknown: %q", in, unknown)
			}
			state, _ := Parse(read)
			if state.In != tc.in || (state.Err == "") != (tc.unknown == "") {
				t.Errorf("the roster is in %q, error %q", state.In, state.Err)
			}
			if unread := Unread(read); (unread == "") != (tc.unknown == "") {
				t.Errorf("the journal is unread: %q", unread)
			}
		})
	}
}

func TestWhatIsReadIsInTheNamespaceThatTheKindNames(t *testing.T) {
	read := map[plan.Read]plan.Result{crdRead: {Body: []byte(
		`{"metadata":{"annotations":{"xcpauth.io/namespace":"mesh-auth"}}}`)}}
	journal := plan.Result{Body: []byte(`{"data":{"wave-in-flight":"{\"Wave\":\"w\",\"By\":\"ann\",\"Began\":\"now\"}"}}`)}
	for _, r := range Reads(read) {
		if in := r.Namespace + r.Name; r != crdRead && !strings.Contains(in, "mesh-auth") {
			t.Errorf("%v is read elsewhere", r)
		}
	}
	read[JournalRead("")] = journal
	if inFlight, _, _ := Journal(read); inFlight != "" {
		t.Errorf("of the usual namespace it takes %q", inFlight)
	}
	read[JournalRead("mesh-auth")] = journal
	if inFlight, _, _ := Journal(read); !strings.Contains(inFlight, `"w"`) {
		t.Errorf("of its own it takes %q", inFlight)
	}
	for _, p := range Permissions(read) {
		if p.Namespace != "mesh-auth" {
			t.Errorf("it asks for %v", p)
		}
	}
}

// An API server that has the kind and does not serve it says nothing of who is registered.
func TestAKindThatIsNotServedIsNoEmptyRoster(t *testing.T) {
	kind := plan.Result{Body: []byte(`{"metadata":{"name":"edgeclusters.xcpauth.io"}}`)}
	there := plan.Result{Body: []byte(`{"metadata":{"name":"xcpauth-system"}}`)}
	for name, tc := range map[string]struct {
		listed  plan.Result
		unknown bool
	}{
		"it is served":      {plan.Result{Body: []byte(`{"items":[]}`)}, false},
		"it is not":         {plan.Result{Missing: true}, true},
		"what has no items": {plan.Result{Body: []byte(`{}`)}, true},
	} {
		state, entries := Parse(map[plan.Read]plan.Result{crdRead: kind, namespaceRead(api.Namespace): there,
			entriesRead(api.Namespace): tc.listed})
		if (state.Err != "") != tc.unknown || tc.unknown && entries != nil {
			t.Errorf("%s: %+v, %v", name, state, entries)
		}
	}
}
