package render

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// zoneFleet is a global of Kong Mesh with three zones, of which as many present a token as are moved.
func zoneFleet(moved int, none guard.Tri) plan.State {
	h := plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "global",
		Object: plan.Ref{Kind: "Deployment", Namespace: "kong-mesh-system", Name: "kong-mesh-control-plane"}},
		HubRunning: plan.HubRunning{Workload: plan.Workload{Found: true, Replicas: 1, Settled: true,
			Processes: []plan.Process{{Name: "global-1", Ready: true}}}},
		HubDeclaration: plan.HubDeclaration{Accepts: guard.Hub{Accepts: map[guard.Cred]guard.Tri{"none": none,
			"kid:1": guard.Yes, "kid:2": guard.Yes, "jti:0b9e": guard.Yes}}},
		HubTokens: plan.HubTokens{Keys: []plan.Key{
			{ID: "1", Serial: 1, Made: noon.Add(-48 * time.Hour), Object: plan.Ref{Namespace: "kong-mesh-system",
				Name: "zone-token-signing-key-1"}},
			{ID: "2", Serial: 2, Signs: true, Made: noon.Add(-time.Hour), Object: plan.Ref{Namespace: "kong-mesh-system",
				Name: "zone-token-signing-key-2"}}}, Sessions: map[string][]plan.Session{}}}
	f := plan.State{At: noon, Product: "kong-mesh", TellsSessions: true, Words: state.Words}
	for i, name := range []string{"east", "north", "west"} {
		m := plan.Member{Identity: plan.Identity{Name: name, ClusterName: name, Role: plan.RoleEdge, Context: name},
			Declaration: plan.Declaration{Declared: "none"}, Evidence: guard.Member{Presents: []guard.Cred{"none"}},
			Credentials: plan.Credentials{Credential: plan.Credential{State: plan.CredentialMissing}}}
		if i < moved {
			m.Declared, m.Evidence.Presents = "kid:2", []guard.Cred{"kid:2", "jti:0b9e"}
			m.Credential = plan.Credential{State: plan.CredentialReady, Key: "2", Expires: noon.Add(720 * time.Hour)}
		}
		m.Link = plan.Link{Connected: guard.Yes, Why: "the global tells of a session"}
		if name == "west" {
			m.Link = plan.Link{Connected: guard.No, Why: "the global tells of no session that lasts"}
		}
		f.Members = append(f.Members, m)
		h.Sessions[name] = []plan.Session{{ID: "a", Began: noon.Add(-5 * time.Hour), Ended: noon.Add(-time.Hour)},
			{ID: "b", Began: noon.Add(-time.Hour), Provided: i < moved}}
	}
	h.Sessions["west"] = h.Sessions["west"][:1] // it is not connected
	f.Hub = h
	return f
}

// The status of zones on the way says nothing of TSB, and the same in every format.
func TestTheStatusOfZonesReadsWell(t *testing.T) {
	again := func(verb string) string { return "kubectl xcpauth " + verb }
	for _, tc := range []struct {
		name  string
		moved int
		none  guard.Tri
	}{{"zones-none", 0, guard.Yes}, {"zones-mixed", 1, guard.Yes}, {"zones-tokens", 3, guard.No}} {
		s := NewStatus(zoneFleet(tc.moved, tc.none), plan.Plan{}, again)
		text := laid(s, false)
		golden(t, tc.name, text)
		golden(t, tc.name+"-wide", laid(s, true))
		narrow(t, text)
		said := alike(t, s)
		if n := len(said["zones"].([]any)); n != 3 {
			t.Errorf("%s: %d zones in JSON", tc.name, n)
		}
		if _, roster := said["roster"]; roster || len(said["keys"].([]any)) != 2 {
			t.Errorf("%s: a roster, or not both keys: %v", tc.name, said)
		}
		for _, wrong := range []string{"Central", "mTLS", "edge", "Roster", "fence", "jti", "certificate"} {
			if strings.Contains(text, wrong) {
				t.Errorf("%s: it says %q:\n%s", tc.name, wrong, text)
			}
		}
	}
}

// A global of which the keys were not read is not said to have none.
func TestKeysThatWereNotReadAreUnknown(t *testing.T) {
	for want, keys := range map[string][]plan.Key{"unknown": nil, "0 keys": {}} {
		f := zoneFleet(0, guard.Yes)
		f.Hub.Keys = keys
		s := NewStatus(f, plan.Plan{}, func(verb string) string { return verb })
		if got := s.Members[0].Credential; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Of a zone without a context nobody saw a pod: what is known is the token that it was given, and its session with the
// global.
func TestAZoneWithoutAContextIsNotSeenInPods(t *testing.T) {
	f := zoneFleet(3, guard.Yes)
	f.Members[1].Context, f.Members[1].Evidence.Why = "", "the token that was provided, and a session that brought one"
	s := NewStatus(f, plan.Plan{}, func(verb string) string { return "kubectl xcpauth " + verb })
	for _, r := range s.Members {
		want := map[string]string{"east": "seen in pods", "north": "seen connected", "west": "seen in pods"}[r.Member]
		if want != "" && r.Proof != want {
			t.Errorf("%s: %q, want %q", r.Member, r.Proof, want)
		}
		if r.Member == "north" && strings.Join(r.Witnesses, " ") != f.Members[1].Evidence.Why {
			t.Errorf("%+v", r)
		}
	}
	if text := laid(s, true); !strings.Contains(text,
		"north evidence: the token that was provided, and a session that brought one") {
		t.Errorf("the table does not say what was seen:\n%s", text)
	}
}

// A list by name is told by the names in it, and a variable that is literally a token is masked.
func TestAPatchByNameIsReadable(t *testing.T) {
	env := func(entries ...any) object {
		return object{"spec": object{"template": object{"spec": object{"containers": []any{object{"name": "control-plane",
			"env": entries}}}}}}
	}
	p := plan.Write{Context: "east", ListsByName: true, Object: plan.Ref{Kind: "Deployment",
		Namespace: "kong-mesh-system", Name: "cp"},
		Before: env(object{"name": "TOKEN", "value": "eyJ" + canary, "valueFrom": nil}, object{"name": "MODE", "value": nil},
			object{"name": "GONE", "value": "x"}),
		After: env(object{"name": "TOKEN", "value": nil, "valueFrom": object{"secretKeyRef": object{"name": "zone-token",
			"key": "token"}}}, object{"name": "MODE", "value": "zoneToken"},
			object{"name": "GONE", "value": nil})}
	diff, lines := diffOf(p), strings.Join(changes(p), "\n")
	for _, want := range []string{"env[TOKEN]: '*** (before)'", "env[TOKEN]: key token of secret zone-token",
		"env[MODE]: zoneToken", "containers[control-plane]"} {
		if !strings.Contains(diff, want) {
			t.Errorf("the diff lacks %q:\n%s", want, diff)
		}
	}
	for _, want := range []string{`containers[control-plane].env[MODE]: (unset) -> "zoneToken"`,
		`env[TOKEN]: "*** (before)" -> "key token of secret zone-token"`, `env[GONE]: "x" -> (unset)`} {
		if !strings.Contains(lines, want) {
			t.Errorf("the changes lack %q:\n%s", want, lines)
		}
	}
	if strings.Contains(diff+lines, canary) {
		t.Errorf("a token is shown:\n%s\n%s", diff, lines)
	}
}
