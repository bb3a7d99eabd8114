package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

type object = map[string]any

func xcp(fields object) object {
	return object{"spec": object{"components": object{"xcp": fields}}}
}

var (
	managementPlane = plan.Ref{Kind: "ManagementPlane", Namespace: "tsb", Name: "managementplane"}
	centralCert     = plan.Ref{Kind: "Secret", Namespace: "tsb", Name: "xcp-central-cert"}
)

// canary is what must not be printed, whatever holds it.
const canary = "c2VjcmV0LWNhbmFyeQ=="

// whole is a plan with every form of write.
func whole() plan.Plan {
	return plan.Plan{
		Waves: []plan.Wave{
			{Title: "Central's certificate", Steps: []plan.Step{{ID: "certify",
				WayBack: "the old pair is kept as a secret beside it, and written back when the proof fails", Member: "hub",
				Title: "hub: write the given certificate", Why: "an edge dials a name that it lacks", Timeout: time.Minute,
				Writes: []plan.Write{{Context: "hub", Object: centralCert, SecretField: plan.PairSecretField, BackupAs: "old",
					Before: object{"data": object{"tls.crt": canary, "ca.crt": canary}},
					After:  object{"data": object{"tls.crt": canary + "x", "ca.crt": canary}}}}}}},
			{Title: "both modes on", Steps: []plan.Step{{ID: "open", WayBack: "none needed: it only accepts more", Member: "hub",
				Title: "hub: accept mutual TLS and JWT", Why: "first", NoUndo: true, Timeout: time.Minute,
				Writes: []plan.Write{{Context: "hub", Object: managementPlane,
					Before: xcp(object{"centralAuthModes": object{"jwt": nil, "mutualTls": true}}),
					After:  xcp(object{"centralAuthModes": object{"jwt": true, "mutualTls": true}})}}}}},
			{Title: "canary", Steps: []plan.Step{{ID: "move/edge-1", Member: "edge-1", Title: "edge-1: present a JWT",
				Why: "second", Timeout: time.Minute,
				Writes: []plan.Write{
					{Context: "edge-1", Op: plan.OpCreate, Object: plan.Ref{Kind: "Secret", Namespace: "istio-system",
						Name: "xcp-central-ca-bundle"},
						After: object{"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
							"metadata": object{"name": "xcp-central-ca-bundle"}, "data": object{"ca.crt": canary}}},
					{Context: "edge-1", Object: plan.Ref{Kind: "ControlPlane", Namespace: "istio-system", Name: "controlplane"},
						Before: xcp(object{"central_auth_mode": "MUTUAL_TLS", "centralAuthMode": nil}),
						After:  xcp(object{"central_auth_mode": nil, "centralAuthMode": "JWT"})},
				}}}},
			{Title: "take back", Steps: []plan.Step{{ID: "void/edge-2", WayBack: "none needed: verifying it states it again",
				Member: "edge-2", Title: "edge-2: take its statement back", Why: "third", NoUndo: true,
				Writes: []plan.Write{{Context: "hub", Op: plan.OpUpdateStatus, Object: plan.Ref{Kind: "EdgeCluster",
					Namespace: "xcpauth-system", Name: "edge-2"}, After: object{"status": object{"presents": nil}}}}}}},
			{Title: "clean-up", Steps: []plan.Step{{ID: "clean/edge-1", Member: "edge-1",
				Title: "edge-1: delete what only its certificate needed", Why: "nothing accepts it", Irreversible: true,
				Timeout: time.Minute,
				Writes: []plan.Write{{Context: "edge-1", Op: plan.OpDelete, Object: plan.Ref{Kind: "Secret",
					Namespace: "istio-system", Name: "xcp-edge-cert"}}}}}},
		},
		Notes: []plan.Obstacle{{Member: "edge-9", Why: "not reached, so nothing of it was cleaned up"}},
	}
}

func TestAPlanWithDiffs(t *testing.T) {
	f := plan.State{At: noon, Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub",
		Object: managementPlane}}}
	again := func(verb string) string { return "kubectl xcpauth " + verb }
	with, without := NewPlan(f, whole(), Details{Diff: true}, again), NewPlan(f, whole(), Details{}, again)
	text := laid(with, false)
	golden(t, "plan-diff", text)
	narrow(t, laid(without, false))
	report := alike(t, with)
	step := report["waves"].([]any)[1].(map[string]any)["steps"].([]any)[0].(map[string]any)
	diff, _ := step["diff"].([]any)
	if len(diff) != 1 || !strings.Contains(text, "     "+strings.Split(diff[0].(string), "\n")[0]) ||
		!strings.Contains(diff[0].(string), "\n+        jwt: true\n") {
		t.Errorf("the diff in JSON is %v", diff)
	}
	if _, there := alike(t, without)["waves"].([]any)[1].(map[string]any)["steps"].([]any)[0].(map[string]any)["diff"]; there || strings.Contains(laid(without, false), "+++") {
		t.Error("a diff is shown that was not asked for")
	}
	printed, err := json.Marshal(with)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(printed)+text, canary) {
		t.Errorf("what a secret holds is printed:\n%s", text)
	}
	notes, _ := report["notes"].([]any)
	if len(notes) != 1 || !strings.Contains(laid(without, false), "edge-9: not reached, so nothing of it was cleaned up") {
		t.Errorf("the notes are %v", notes)
	}
	clean := report["waves"].([]any)[4].(map[string]any)["steps"].([]any)[0].(map[string]any)
	if clean["oneWay"] != true || !strings.HasPrefix(clean["wayBack"].(string), "NONE") {
		t.Errorf("in JSON the end of the way back is %v", clean)
	}
}

func TestOnlyWhatIsToBeSeenIsPainted(t *testing.T) {
	f := plan.State{At: noon, Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub",
		Object: managementPlane}}}
	r := NewPlan(f, whole(), Details{Diff: true}, func(verb string) string { return verb })
	var plain, painted bytes.Buffer
	r.Table(Painted(&plain, false), false)
	r.Table(Painted(&painted, true), false)
	bare := strings.NewReplacer("\x1b[32m", "", "\x1b[31m", "", "\x1b[1;31m", "", "\x1b[0m", "")
	if bare.Replace(painted.String()) != plain.String() {
		t.Error("more than colours differs")
	}
	for _, line := range []string{"\x1b[32m     +        jwt: true\x1b[0m\n",
		"\x1b[1;31m     way back: NONE: this ends the way back\x1b[0m\n", "\x1b[1;31m ! edge-1: delete"} {
		if !strings.Contains(painted.String(), line) {
			t.Errorf("not painted: %q in\n%s", line, painted.String())
		}
	}
}

// A line that begins with a flag, where a sentence was broken, takes nothing away.
func TestAFlagIsNoLineOfADiff(t *testing.T) {
	for line, style := range map[string]string{"     --accept-unrotated edge-1": "", "     -- name: x": "31",
		"     -a: b": "31", "     -  --flag": "31", "     ++a": "32", "     a": ""} {
		var b bytes.Buffer
		fmt.Fprintln(Painted(&b, true), line)
		if want := paint(style, line) + "\n"; b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

func TestAUnifiedDiff(t *testing.T) {
	for _, tc := range []struct{ a, b, want string }{
		{"", "", ""},
		{"a b c", "a b c", " a  b  c"},
		{"a b c", "a x c", " a -b +x  c"},
		{"", "a", "+a"},
		{"a", "", "-a"},
		{"a b", "b a", "-a  b +a"},
	} {
		if got := strings.Join(unified(strings.Fields(tc.a), strings.Fields(tc.b)), " "); got != tc.want {
			t.Errorf("%q to %q: %q, want %q", tc.a, tc.b, got, tc.want)
		}
	}
}
