package migration

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// rotatable is an edge on a JWT whose token the operator would make again.
func rotatable(name string) plan.Member {
	return tsbfleet.With(tsbfleet.Edge(name, state.JWT), func(m *plan.Member) {
		m.Workload.Processes = []plan.Process{{UID: name, Ready: true, Presents: state.JWT}}
		m.Credential = plan.Credential{State: plan.CredentialReady, Digest: "old-" + name,
			Expires: tsbobjects.Noon.Add(time.Hour)}
	})
}

func TestWhichTokensAreMadeAnew(t *testing.T) {
	renewed := func(name string) plan.Member {
		return tsbfleet.With(rotatable(name), func(m *plan.Member) { m.Credential.Digest = "new-" + name })
	}
	change := func(f func(*plan.Member)) plan.Member { return tsbfleet.With(rotatable("edge-2"), f) }
	for _, tc := range []struct {
		name  string
		edge2 plan.Member
		want  string
		why   string
	}{
		{"one goes first", rotatable("edge-2"), "renew/edge-1", ""},
		{"an expired token, which the operator would make again",
			change(func(m *plan.Member) { m.Credential.State = plan.CredentialBad }), "renew/edge-1", ""},
		{"nothing would make it again",
			change(func(m *plan.Member) { m.Credential.Irreplaceable = "no cluster-service-account" }), "renew/edge-1 !edge-2",
			"nothing would make it again: no cluster-service-account"},
		{"there is none", change(func(m *plan.Member) {
			m.Credential = plan.Credential{State: plan.CredentialMissing, Why: "it is not there"}
		}), "renew/edge-1 !edge-2", "there is no token to be renewed: it is not there"},
		{"it could not be read", change(func(m *plan.Member) { m.Credential = plan.Credential{Why: "it could not be read"} }),
			"renew/edge-1 !edge-2", "could not be read"},
		{"a run without a hub holds it", change(func(m *plan.Member) { m.InFlight = "the wave" }), "renew/edge-1 !edge-2",
			"holds it in flight"},
		{"it is not reached", change(func(m *plan.Member) { m.Err = "it did not answer" }), "renew/edge-1 !edge-2",
			"it did not answer"},
		{"it presents a certificate", tsbfleet.Edge("edge-2", state.MTLS), "renew/edge-1 !edge-2",
			"not known to present a JWT"},
		{"a pod of it still presents one", change(func(m *plan.Member) {
			m.Evidence.Presents = []guard.Cred{state.JWT,
				state.MTLS}
		}), "renew/edge-1 !edge-2", "not known to present a JWT"},
		{"its pods are being replaced", change(func(m *plan.Member) { m.Workload.Settled = false }), "renew/edge-1 !edge-2",
			"the rollout of Deployment istio-system/edge is not over"},
		{"it is no edge", tsbfleet.With(rotatable("edge-2"), func(m *plan.Member) { m.Role = plan.RoleMPC }),
			"renew/edge-1 !hub", `no edge is called "edge-2"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tsbfleet.Fleet(guard.Yes, guard.Yes, rotatable("edge-1"), tc.edge2)
			goal := complete(f, plan.Goal{Pace: plan.Pace{Within: time.Hour}, Renew: map[string]string{"edge-1": "",
				"edge-2": ""}})
			w := nextWave(f, goal)
			if got := tsbfleet.Said(w); got != tc.want || tc.why != "" && !strings.Contains(w.Obstacles[0].Why, tc.why) {
				t.Errorf("%s: %+v", got, w.Obstacles)
			}
		})
	}

	f := tsbfleet.Fleet(guard.No, guard.Yes, rotatable("edge-1"), rotatable("edge-2"), rotatable("edge-3"),
		tsbfleet.Edge("edge-4", state.MTLS))
	every := complete(f, plan.Goal{Pace: plan.Pace{Within: time.Hour}, Renew: map[string]string{"": ""}})
	if p := plan.Build(Provider(), f, every); len(p.Waves) != 2 || tsbfleet.Said(p.Waves[0]) != "renew/edge-1" ||
		tsbfleet.Said(p.Waves[1]) != "renew/edge-2 renew/edge-3" || len(p.Obstacles) > 0 {
		t.Errorf("the plan for all: %+v", p)
	}
	f.Members[0] = renewed("edge-1")
	every.WaveSize = 1
	if w := nextWave(f, every); tsbfleet.Said(w) != "renew/edge-2" {
		t.Errorf("one at a time: %s", tsbfleet.Said(w))
	}
	every.WaveSize = 0
	f.Members[1].Credential.Expires = tsbobjects.Noon.Add(20 * time.Minute)
	for _, s := range nextWave(f, every).Steps {
		if s.Timeout != 15*time.Minute {
			t.Errorf("%s may take %s, while another token of its wave, which is put back with it, ends after 20 minutes",
				s.ID, s.Timeout)
		}
	}
	f.Members[1], f.Members[2] = renewed("edge-2"), renewed("edge-3")
	if w := nextWave(f, every); tsbfleet.Said(w) != "" {
		t.Errorf("all are renewed: %s", tsbfleet.Said(w))
	}
	none := tsbfleet.Fleet(guard.Yes, guard.Yes, tsbfleet.Edge("edge-1", state.MTLS))
	if w := nextWave(none, complete(none, plan.Goal{Renew: map[string]string{"": ""}})); tsbfleet.Said(w) != "!hub" {
		t.Errorf("nobody presents a JWT: %s", tsbfleet.Said(w))
	}
	if w := nextWave(f, complete(f, plan.Goal{Renew: map[string]string{"nobody": ""}})); tsbfleet.Said(w) != "!hub" {
		t.Errorf("a name that nobody has: %s", tsbfleet.Said(w))
	}
}

// The way back is made of what the journal is let restore, and lasts no longer than the old token.
func TestTheWayBackOfANewToken(t *testing.T) {
	m := rotatable("edge-1")
	s := rotateTokenStep(tsbfleet.Fleet(guard.Yes, guard.Yes, m), m, plan.Goal{Pace: plan.Pace{Within: 2 * time.Hour}})
	if s.Timeout != 45*time.Minute || s.Withdraws != nil || s.RevertsTo != "" || s.Accepts != nil {
		t.Errorf("%+v", s)
	}
	w := s.Writes[0]
	if len(s.Writes) != 1 || w.Op != plan.OpDelete || w.Object.Name != "xcp-edge-central-auth-token" ||
		w.BackupAs != state.TokenBackup {
		t.Errorf("what is written: %+v", s.Writes)
	}
	for i, p := range s.Undo {
		if !allowsUndo(p, "") || allowsUndo(p, state.JWT) || allowsUndo(p, state.MTLS) {
			t.Errorf("step %d of the way back, %+v, is not let through as what it is", i+1, p)
		}
	}
	if len(s.Undo) != 2 || len(s.OnSuccess) != 1 || s.OnSuccess[0].Object.Name != state.TokenBackup ||
		s.OnSuccess[0].Op != plan.OpDelete {
		t.Errorf("back %+v, then %+v", s.Undo, s.OnSuccess)
	}
	for name, bend := range map[string]func(*plan.Write){
		"deletes the token":          func(p *plan.Write) { p.RestoreFrom, p.Op = "", plan.OpDelete },
		"makes it from another copy": func(p *plan.Write) { p.RestoreFrom = "somebody-elses" },
		"writes a token": func(p *plan.Write) {
			p.RestoreFrom, p.After = "",
				map[string]any{"data": map[string]any{"jwt": "x"}}
		},
		"makes the copy": func(p *plan.Write) {
			p.Object.Name, p.RestoreFrom = state.TokenBackup,
				state.SecretToken
		},
		"makes another secret": func(p *plan.Write) { p.Object.Name = state.SecretToken + "s" },
	} {
		p := s.Undo[0]
		if bend(&p); allowsUndo(p, "") {
			t.Errorf("a journal that %s is done as it says: %+v", name, p)
		}
	}
}

func TestWhenANewTokenIsProved(t *testing.T) {
	const later = time.Minute
	at := func(digest string, expires time.Duration, is plan.CredentialState, pushes float64) plan.State {
		m := rotatable("edge-1")
		m.Credential = plan.Credential{State: is, Digest: digest, Expires: tsbobjects.Noon.Add(expires)}
		m.Workload.Processes[0].Counters = map[string]float64{state.MetricPush: pushes, state.MetricConnect +
			`{statusLabel="ok"}`: 1}
		return tsbfleet.Fleet(guard.Yes, guard.Yes, m)
	}
	old, gone := at("old", 0, plan.CredentialReady, 1), at("", 0, plan.CredentialMintable, 2)
	fresh := func(pushes float64) plan.State { return at("new", later, plan.CredentialReady, pushes) }
	steps := rotateTokenStep(old, old.Members[0], plan.Goal{Pace: plan.Pace{Within: time.Hour}}).Conditions
	for _, tc := range []struct {
		name string
		seen []plan.State
		want string
	}{
		{"not made yet", []plan.State{old, gone, gone}, "the operator has not made a new token yet"},
		{"put back by somebody", []plan.State{old, gone, at("old", 0, plan.CredentialReady, 3)},
			"the token is still the one before"},
		{"no later than the one before", []plan.State{old, at("new", 0, plan.CredentialReady, 3)},
			"no later than the one before"},
		{"expired", []plan.State{old, at("new", later, plan.CredentialBad, 3)}, "the operator has not made a new token yet"},
		{"made, and no push since", []plan.State{old, gone, fresh(2), fresh(2)}, "pod  pushed 0 of 2 times since"},
		{"pushes before it do not count", []plan.State{old, at("", 0, plan.CredentialMintable, 3),
			at("", 0, plan.CredentialMintable, 4), fresh(5)}, "of 2 times since"},
		{"made, and two pushes since", []plan.State{old, gone, fresh(2), fresh(3), fresh(4)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			for _, c := range steps {
				if j := c.Evaluate(tc.seen[0], tc.seen[1:]...); !j.Met && got == "" {
					got = j.Evidence
				}
			}
			if (got == "") != (tc.want == "") || !strings.Contains(got, tc.want) {
				t.Errorf("lacks %q, want %q", got, tc.want)
			}
		})
	}
}

// A token that lies there says whether it would be made again.
func TestWhatWouldMakeATokenAgain(t *testing.T) {
	account := func(fqn, jwk string) apifake.Object {
		return apifake.Secret("istio-system", state.SecretServiceAccount, map[string]string{"clusterFqn": fqn, "jwk": jwk})
	}
	sibling := func(expires time.Time) apifake.Object {
		return apifake.Secret("istio-system", "oap-token", map[string]string{"token": tsbobjects.JwtUntil(t, expires)})
	}
	own := account("organizations/acme/clusters/eu", "{}")
	for name, tc := range map[string]struct {
		beside []apifake.Object
		want   string // a part of what is said; "" when it would
	}{
		"its account, and another token of it": {[]apifake.Object{own, sibling(tsbobjects.Noon.Add(time.Hour))}, ""},
		"no service account": {[]apifake.Object{sibling(tsbobjects.Noon.Add(time.Hour))},
			"no cluster-service-account to mint it from; fix that with: tctl install manifest control-plane-secrets --cluster eu"},
		"another cluster's": {[]apifake.Object{account("organizations/acme/clusters/us", "{}"),
			sibling(tsbobjects.Noon.Add(time.Hour))}, `belongs to "organizations/acme/clusters/us", which the operator refuses`},
		"a key that is none": {[]apifake.Object{account("organizations/acme/clusters/eu", "x"),
			sibling(tsbobjects.Noon.Add(time.Hour))}, "is not JSON"},
		"no other token":                 {[]apifake.Object{own}, "minting does not work"},
		"another token that has expired": {[]apifake.Object{own, sibling(tsbobjects.Noon)}, "minting does not work"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := append(apifake.Edge("eu"), apifake.Secret("istio-system", state.SecretToken,
				map[string]string{"jwt": tsbobjects.JwtUntil(t, tsbobjects.Noon.Add(time.Minute))}))
			c := state.Credential(tsbfleet.Snapshot("eu", append(objects, tc.beside...)...).Reads, "istio-system", "eu",
				tsbobjects.Noon)
			if c.State != plan.CredentialReady || (c.Irreplaceable == "") != (tc.want == "") ||
				!strings.Contains(c.Irreplaceable, tc.want) {
				t.Errorf("%s: %q, want %q", c.State, c.Irreplaceable, tc.want)
			}
		})
	}
}
