package verdict

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

func deletion(xcp m, user string) Request {
	req := Request{Operation: Delete, Namespace: "tsb", Name: "managementplane", User: user, Old: managementPlane(xcp)}
	maps.Copy(req.Old["metadata"].(m), m{"uid": "uid-mp", "generation": int64(3)})
	return req
}

// Without its ManagementPlane a hub accepts nobody, so that deleting is judged like withdrawing everything that it
// accepts.
func TestADeletionIsJudgedAsAWithdrawalOfAllThatIsAccepted(t *testing.T) {
	neither := stanza(m{"jwt": false, "mutualTls": false})
	for _, tc := range []struct {
		name    string
		xcp     m
		inv     Inventory
		allowed bool
	}{
		{"a member on mTLS", both, fleet(cases.OnMTLS), false},
		{"a member on JWT", both, fleet(cases.OnJWT), false},
		{"a member on JWT, after the migration", jwtOnly, fleet(cases.OnJWT), false},
		{"a member of which nothing is known", both, fleet(cases.Unknown), false},
		{"no stanza, which is unknown", m{}, fleet(cases.OnMTLS), false},
		{"a cluster that only the hub knows", both, Inventory{Clusters: []string{"us-1"}}, false},
		{"Central runs, and its metrics cannot be read", both, Inventory{CentralErr: "no route"}, false},
		{"nobody is known", both, Inventory{}, true},
		{"nothing that anybody presents is accepted", neither, fleet(cases.OnMTLS), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := decide(t, deletion(tc.xcp, "alice"), tc.inv)
			if v.Allowed != tc.allowed {
				t.Errorf("allowed %v: %s", v.Allowed, v.Message)
			}
			if !tc.allowed && (v.Code != http.StatusForbidden || v.Digest == "" || !strings.Contains(v.Message,
				"not `kubectl replace --force`")) {
				t.Errorf("%+v", v)
			}
		})
	}
	if v := Undecided(deletion(both, "alice"), http.StatusInternalServerError,
		errors.New("roster unreadable")); v.Allowed {
		t.Errorf("with an unreadable roster: %+v", v)
	}
}

// The override of a deletion is stored before it, since a deletion brings no object. It is for one user, one state of
// the object, these blockers.
func TestADeletionIsOverriddenOnceByTheUserToWhomItWasDenied(t *testing.T) {
	denied := decide(t, deletion(both, "alice"), fleet(cases.OnMTLS))
	if denied.Override != NotAsked || !strings.Contains(denied.Message,
		"kubectl annotate --overwrite managementplane managementplane -n tsb xcpauth.io/override="+denied.Digest+
			"\nkubectl delete managementplane managementplane -n tsb") {
		t.Fatalf("%s", denied.Message)
	}
	annotate := func(req Request, digest string) Request {
		req.Old["metadata"].(m)["annotations"] = m{OverrideAnnotation: digest}
		return req
	}
	edited := annotate(deletion(both, "alice"), denied.Digest)
	edited.Old["metadata"].(m)["generation"] = int64(4)
	other := annotate(deletion(both, "alice"), denied.Digest)
	other.Old["metadata"].(m)["uid"] = "uid-of-another"
	two := fleet(cases.OnMTLS)
	two.Clusters = []string{"us-1"}
	anEdits := decide(t, update(both, m{}), fleet(cases.OnMTLS)).Digest
	for name, tc := range map[string]struct {
		req  Request
		inv  Inventory
		want Override
	}{
		"alice":                      {annotate(deletion(both, "alice"), denied.Digest), fleet(cases.OnMTLS), Admitted},
		"bob":                        {annotate(deletion(both, "bob"), denied.Digest), fleet(cases.OnMTLS), Mismatch},
		"after another edit":         {edited, fleet(cases.OnMTLS), Mismatch},
		"of another object":          {other, fleet(cases.OnMTLS), Mismatch},
		"over one blocker more":      {annotate(deletion(both, "alice"), denied.Digest), two, Mismatch},
		"with the digest of an edit": {annotate(deletion(both, "alice"), anEdits), fleet(cases.OnMTLS), Mismatch},
	} {
		t.Run(name, func(t *testing.T) {
			q, err := Ask(tc.req)
			if err != nil {
				t.Fatal(err)
			}
			v := q.Override(q.Answer(tc.inv, noon), Permission{User: tc.req.User, Granted: true})
			if v.Override != tc.want || v.Allowed != (tc.want == Admitted) {
				t.Errorf("%q, allowed %v: %s", v.Override, v.Allowed, v.Message)
			}
		})
	}
}

// An owner that is gone, or goes, has the garbage collector delete the object: adding one is judged like deleting.
func TestAnEditThatAddsAnOwnerIsJudgedAsADeletion(t *testing.T) {
	owner := func(uid string) any {
		return m{"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid, "controller": false}
	}
	owned := func(old, new []any) Request {
		req := update(both, both)
		req.Namespace, req.Name = "tsb", "managementplane"
		req.Old["metadata"].(m)["ownerReferences"], req.New["metadata"].(m)["ownerReferences"] = old, new
		return req
	}
	moved := m{"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "a"}
	for name, tc := range map[string]struct {
		old, new []any
		denied   bool
	}{
		"one is added":                           {nil, []any{owner("a")}, true},
		"another is added":                       {[]any{owner("a")}, []any{owner("a"), owner("b")}, true},
		"one takes another's place":              {[]any{owner("a")}, []any{owner("b")}, true},
		"one of the same UID under another name": {[]any{owner("a")}, []any{moved}, true},
		"nothing changes":                        {[]any{owner("a")}, []any{owner("a")}, false},
		"their order changes":                    {[]any{owner("a"), owner("b")}, []any{owner("b"), owner("a")}, false},
		"one goes":                               {[]any{owner("a"), owner("b")}, []any{owner("b")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			req := owned(tc.old, tc.new)
			v := decide(t, req, fleet(cases.OnJWT))
			if v.Allowed == tc.denied {
				t.Fatalf("allowed %v: %s", v.Allowed, v.Message)
			}
			if !tc.denied {
				return
			}
			if !strings.Contains(v.Message, "Leave the owner out (ConfigMap ") {
				t.Errorf("%s", v.Message)
			}
			if !decide(t, req, Inventory{}).Allowed {
				t.Error("denied although nobody is known")
			}
			if stanza := decide(t, update(both, m{}), fleet(cases.OnJWT)); stanza.Digest == v.Digest {
				t.Error("the digest of another edit would override it")
			}
			text, err := json.Marshal(req.New)
			if err != nil {
				t.Fatal(err)
			}
			var with m
			if err := json.Unmarshal(text, &with); err != nil {
				t.Fatal(err)
			}
			with["metadata"].(m)["annotations"] = m{OverrideAnnotation: v.Digest}
			q, err := Ask(Request{Operation: Update, Namespace: "tsb", Name: "managementplane", Old: req.Old, New: with})
			if err != nil {
				t.Fatal(err)
			}
			if got := q.Override(q.Answer(fleet(cases.OnJWT), noon), Permission{Granted: true}); !got.Allowed {
				t.Errorf("its override: %s", got.Message)
			}
		})
	}
}
