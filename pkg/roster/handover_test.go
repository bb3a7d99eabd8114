package roster

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

func TestWhatIsHandedOverArrivesAsItWas(t *testing.T) {
	sent := []api.EdgeCluster{stated(false, nil), stated(true, func(e *api.EdgeCluster) {
		e.Name,
			e.Spec.ClusterName = "near", "near"
	})}
	text, err := Encode(sent)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(sent) {
		t.Fatalf("%d entries of %d", len(got), len(sent))
	}
	for i := range sent {
		was, is := StatementOf(sent[i], noon), StatementOf(got[i], noon)
		if !reflect.DeepEqual(was, is) || !reflect.DeepEqual(sent[i].Spec, got[i].Spec) || sent[i].Name != got[i].Name {
			t.Errorf("%d: %+v %+v, sent as %+v %+v", i, got[i].Spec, is, sent[i].Spec, was)
		}
	}
	if again, err := Encode(got); err != nil || string(again) != string(text) {
		t.Errorf("written again it reads otherwise: %v\n%s\n%s", err, again, text)
	}
}

// change is a text with one thing of it replaced, which must be there.
func change(t *testing.T, text, old, new string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in:\n%s", old, text)
	}
	return strings.Replace(text, old, new, 1)
}

func TestWhatIsNoHandOverIsRefused(t *testing.T) {
	b, err := Encode([]api.EdgeCluster{stated(true, nil)})
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, tc := range map[string]struct{ text, says string }{
		"nothing":               {"", "there is no EdgeCluster"},
		"separators alone":      {"---\n---\n", "there is no EdgeCluster"},
		"no YAML":               {"\t- :", "is not YAML"},
		"a list":                {"[]", "is no EdgeCluster"},
		"a text":                {"jwt", "is no EdgeCluster"},
		"another kind":          {change(t, good, "kind: EdgeCluster", "kind: Secret"), "is a Secret"},
		"another version":       {change(t, good, "xcpauth.io/v1alpha1", "xcpauth.io/v1"), `of "xcpauth.io/v1"`},
		"a key that is unknown": {change(t, good, "binding:", "bound:"), `unknown field "bound"`},
		"a key twice":           {change(t, good, "status:", "status: {}\nstatus:"), "already set"},
		"a time in words": {change(t, good, `validUntil: "2026-01-09T11:59:00Z"`, "validUntil: tomorrow"),
			"is no EdgeCluster"},
		"a leap second": {change(t, good, `validUntil: "2026-01-09T11:59:00Z"`,
			`validUntil: "2026-12-31T23:59:60Z"`), "is no EdgeCluster"},
		"a number for a time": {change(t, good, `validUntil: "2026-01-09T11:59:00Z"`, "validUntil: 1767355140"),
			"is no EdgeCluster"},
		"a good one and a bad": {good + "---\nkind: X\n", "is a X"},
		"a fence that is a text": {change(t, good,
			"  fence:\n    binding: xcpauth-fence\n    provenTime: \"2026-01-02T11:59:00Z\"\n    uid: binding-1\n",
			"  fence: verified\n"), "is no EdgeCluster"},
	} {
		if got, err := Decode([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, %v; want an error with %q", name, got, err, tc.says)
		}
	}
}

// A statement behind a fence is taken over where it could be without one, and for as long as it is believed; no word
// about a fence makes one acceptable that is not.
func TestWhatIsTakenOverBehindAFence(t *testing.T) {
	facts := plan.State{At: noon}
	facts.Hub.Inventory = []string{"far"}
	listed := func(change func(*api.EdgeCluster)) *api.EdgeCluster {
		e := stated(true, func(e *api.EdgeCluster) { e.Status.ObservedTime = at(-time.Hour) })
		if change != nil {
			change(&e)
		}
		return &e
	}
	sees := func(m plan.Member) plan.State {
		f := facts
		f.Members = []plan.Member{m}
		return f
	}
	member := plan.Member{Identity: plan.Identity{Name: "far", Context: "far", Role: plan.RoleEdge,
		Object: plan.Ref{UID: "uid-1"}}, Evidence: guard.Member{Presents: []guard.Cred{"jwt"}}}
	presentsBoth := member
	presentsBoth.Evidence = guard.Member{Presents: []guard.Cred{"jwt", "mtls"}, Why: "an old pod"}
	for _, tc := range []struct {
		name   string
		change func(*api.EdgeCluster)
		listed *api.EdgeCluster
		facts  plan.State
		says   string // "" = acceptable
	}{
		{"a fresh one", nil, nil, facts, ""},
		{"of six days ago", func(e *api.EdgeCluster) {
			e.Status.ObservedTime, e.Status.Fence.ProvenTime = at(-6*day),
				*at(-6 * day)
		}, nil, facts, ""},
		{"of seven days ago", func(e *api.EdgeCluster) {
			e.Status.ObservedTime, e.Status.Fence.ProvenTime = at(-7*day),
				*at(-7 * day)
		}, nil, facts, "which is over"},
		{"of six days ago, whose fence has no UID", func(e *api.EdgeCluster) {
			e.Status.ObservedTime,
				e.Status.Fence.UID = at(-6*day), ""
		}, nil, facts, "which is over"},
		{"of six days ago, whose fence has no time", func(e *api.EdgeCluster) {
			e.Status.ObservedTime, e.Status.Fence = at(-6*day), &api.FenceStatus{Binding: plan.FenceName, UID: "binding-1"}
		}, nil, facts, "which is over"},
		{"whose fence is an hour ahead", func(e *api.EdgeCluster) { e.Status.Fence.ProvenTime = *at(time.Hour) }, nil, facts,
			"its fence was seen later"},
		{"an hour ahead", func(e *api.EdgeCluster) { e.Status.ObservedTime = at(time.Hour) }, nil, facts, "a clock is wrong"},
		{"whose rotation is an hour ahead", func(e *api.EdgeCluster) { e.Status.RotationTime = at(time.Hour) }, nil, facts,
			"a clock is wrong"},
		{"of an edge that presents both", func(e *api.EdgeCluster) { e.Status.Presents = []string{"jwt", "mtls"} }, nil,
			facts, "presents jwt and nothing else"},
		{"newer than what is listed", nil, listed(nil), facts, ""},
		{"older than what is listed", func(e *api.EdgeCluster) {
			e.Status.ObservedTime, e.Status.Fence.ProvenTime = at(-2*time.Hour), *at(-2 * time.Hour)
		}, listed(nil), facts, "newer statement already"},
		{"what is listed was taken back since", nil,
			listed(func(e *api.EdgeCluster) { e.Status = api.EdgeClusterStatus{ObservedTime: at(0)} }), facts,
			"taken back since"},
		{"of another ControlPlane than is listed", nil,
			listed(func(e *api.EdgeCluster) { e.Spec.ControlPlane.UID = "uid-0" }), facts,
			"the roster lists its ControlPlane with the UID uid-0"},
		{"and the edge is seen to present it", nil, nil, sees(member), ""},
		{"but the edge is seen to present more", nil, nil, sees(presentsBoth), "contradicts it (an old pod)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			why := Unacceptable(stated(true, tc.change), tc.listed, tc.facts, "jwt")
			if (why == "") != (tc.says == "") || !strings.Contains(why, tc.says) {
				t.Errorf("%q, want %q", why, tc.says)
			}
		})
	}
}

// The merge patch that takes a statement back leaves nothing of a fence behind.
func TestWhatIsTakenBackKeepsNoFence(t *testing.T) {
	text, err := json.Marshal(stated(true, nil))
	if err != nil {
		t.Fatal(err)
	}
	var o map[string]any
	if err := json.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	for key, value := range RetractedStatus()["status"].(map[string]any) {
		if value != nil {
			t.Errorf("%s is written and not taken away", key)
		}
		delete(o["status"].(map[string]any), key)
	}
	if text, err = json.Marshal(o); err != nil {
		t.Fatal(err)
	}
	var left api.EdgeCluster
	if err := json.Unmarshal(text, &left); err != nil {
		t.Fatal(err)
	}
	if left.Status.Fence != nil || left.Status.ObservedTime == nil || StatementOf(left, noon) != nil {
		t.Errorf("left behind: %+v", left.Status)
	}
}
