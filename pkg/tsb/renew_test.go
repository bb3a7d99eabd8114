package tsb

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// rotatable is an edge on a JWT whose token the operator would make again.
func rotatable(name string) plan.Member {
	return with(edge(name, JWT), func(m *plan.Member) {
		m.Workload.Processes = []plan.Process{{UID: name, Ready: true, Presents: JWT}}
		m.Credential = plan.Credential{State: plan.CredentialReady, Digest: "old-" + name, Expires: noon.Add(time.Hour)}
	})
}

func TestWhichTokensAreMadeAnew(t *testing.T) {
	renewed := func(name string) plan.Member {
		return with(rotatable(name), func(m *plan.Member) { m.Credential.Digest = "new-" + name })
	}
	change := func(f func(*plan.Member)) plan.Member { return with(rotatable("edge-2"), f) }
	for _, tc := range []struct {
		name  string
		edge2 plan.Member
		want  string
		why   string
	}{
		{"one goes first", rotatable("edge-2"), "renew/edge-1", ""},
		{"an expired token, which the operator would make again", change(func(m *plan.Member) { m.Credential.State = plan.CredentialBad }), "renew/edge-1", ""},
		{"nothing would make it again", change(func(m *plan.Member) { m.Credential.Irreplaceable = "no cluster-service-account" }), "renew/edge-1 !edge-2", "nothing would make it again: no cluster-service-account"},
		{"there is none", change(func(m *plan.Member) {
			m.Credential = plan.Credential{State: plan.CredentialMissing, Why: "it is not there"}
		}), "renew/edge-1 !edge-2", "there is no token to be renewed: it is not there"},
		{"it could not be read", change(func(m *plan.Member) { m.Credential = plan.Credential{Why: "it could not be read"} }), "renew/edge-1 !edge-2", "could not be read"},
		{"a run without a hub holds it", change(func(m *plan.Member) { m.InFlight = "the wave" }), "renew/edge-1 !edge-2", "holds it in flight"},
		{"it is not reached", change(func(m *plan.Member) { m.Err = "it did not answer" }), "renew/edge-1 !edge-2", "it did not answer"},
		{"it presents a certificate", edge("edge-2", MTLS), "renew/edge-1 !edge-2", "not known to present a JWT"},
		{"a pod of it still presents one", change(func(m *plan.Member) { m.Evidence.Presents = []cred{JWT, MTLS} }), "renew/edge-1 !edge-2", "not known to present a JWT"},
		{"its pods are being replaced", change(func(m *plan.Member) { m.Workload.Settled = false }), "renew/edge-1 !edge-2", "the rollout of Deployment istio-system/edge is not over"},
		{"it is no edge", with(rotatable("edge-2"), func(m *plan.Member) { m.Role = plan.RoleMPC }), "renew/edge-1 !hub", `no edge is called "edge-2"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := fleet(guard.Yes, guard.Yes, rotatable("edge-1"), tc.edge2)
			goal := complete(f, plan.Goal{Within: time.Hour, Renew: map[string]string{"edge-1": "", "edge-2": ""}})
			w := nextWave(f, goal)
			if got := said(w); got != tc.want || tc.why != "" && !strings.Contains(w.Obstacles[0].Why, tc.why) {
				t.Errorf("%s: %+v", got, w.Obstacles)
			}
		})
	}

	f := fleet(guard.No, guard.Yes, rotatable("edge-1"), rotatable("edge-2"), rotatable("edge-3"), edge("edge-4", MTLS))
	every := complete(f, plan.Goal{Within: time.Hour, Renew: map[string]string{"": ""}})
	if p := plan.Build(Provider(), f, every); len(p.Waves) != 2 || said(p.Waves[0]) != "renew/edge-1" || said(p.Waves[1]) != "renew/edge-2 renew/edge-3" || len(p.Obstacles) > 0 {
		t.Errorf("the plan for all: %+v", p)
	}
	f.Members[0] = renewed("edge-1")
	every.WaveSize = 1
	if w := nextWave(f, every); said(w) != "renew/edge-2" {
		t.Errorf("one at a time: %s", said(w))
	}
	every.WaveSize = 0
	f.Members[1].Credential.Expires = noon.Add(20 * time.Minute)
	for _, s := range nextWave(f, every).Steps {
		if s.Timeout != 15*time.Minute {
			t.Errorf("%s may take %s, while another token of its wave, which is put back with it, ends after 20 minutes", s.ID, s.Timeout)
		}
	}
	f.Members[1], f.Members[2] = renewed("edge-2"), renewed("edge-3")
	if w := nextWave(f, every); said(w) != "" {
		t.Errorf("all are renewed: %s", said(w))
	}
	none := fleet(guard.Yes, guard.Yes, edge("edge-1", MTLS))
	if w := nextWave(none, complete(none, plan.Goal{Renew: map[string]string{"": ""}})); said(w) != "!hub" {
		t.Errorf("nobody presents a JWT: %s", said(w))
	}
	if w := nextWave(f, complete(f, plan.Goal{Renew: map[string]string{"nobody": ""}})); said(w) != "!hub" {
		t.Errorf("a name that nobody has: %s", said(w))
	}
}

// The way back is made of what the journal is let restore, and lasts no longer than the old token.
func TestTheWayBackOfANewToken(t *testing.T) {
	m := rotatable("edge-1")
	s := rotateTokenStep(fleet(guard.Yes, guard.Yes, m), m, plan.Goal{Within: 2 * time.Hour})
	if s.Timeout != 45*time.Minute || s.Withdraws != nil || s.RevertsTo != "" || s.Accepts != nil {
		t.Errorf("%+v", s)
	}
	w := s.Writes[0]
	if len(s.Writes) != 1 || w.Op != plan.OpDelete || w.Object.Name != "xcp-edge-central-auth-token" || w.BackupAs != tokenBackup {
		t.Errorf("what is written: %+v", s.Writes)
	}
	for i, p := range s.Undo {
		if !allowsUndo(p, "") || allowsUndo(p, JWT) || allowsUndo(p, MTLS) {
			t.Errorf("step %d of the way back, %+v, is not let through as what it is", i+1, p)
		}
	}
	if len(s.Undo) != 2 || len(s.OnSuccess) != 1 || s.OnSuccess[0].Object.Name != tokenBackup || s.OnSuccess[0].Op != plan.OpDelete {
		t.Errorf("back %+v, then %+v", s.Undo, s.OnSuccess)
	}
	for name, bend := range map[string]func(*plan.Write){
		"deletes the token":          func(p *plan.Write) { p.RestoreFrom, p.Op = "", plan.OpDelete },
		"makes it from another copy": func(p *plan.Write) { p.RestoreFrom = "somebody-elses" },
		"writes a token":             func(p *plan.Write) { p.RestoreFrom, p.After = "", map[string]any{"data": map[string]any{"jwt": "x"}} },
		"makes the copy":             func(p *plan.Write) { p.Object.Name, p.RestoreFrom = tokenBackup, secretToken },
		"makes another secret":       func(p *plan.Write) { p.Object.Name = secretToken + "s" },
	} {
		p := s.Undo[0]
		if bend(&p); allowsUndo(p, "") {
			t.Errorf("a journal that %s is done as it says: %+v", name, p)
		}
	}
}

func TestWhenANewTokenIsProved(t *testing.T) {
	const later = time.Minute
	at := func(digest string, expires time.Duration, state plan.CredentialState, pushes float64) plan.State {
		m := rotatable("edge-1")
		m.Credential = plan.Credential{State: state, Digest: digest, Expires: noon.Add(expires)}
		m.Workload.Processes[0].Counters = map[string]float64{metricPush: pushes, metricConnect + `{statusLabel="ok"}`: 1}
		return fleet(guard.Yes, guard.Yes, m)
	}
	old, gone := at("old", 0, plan.CredentialReady, 1), at("", 0, plan.CredentialMintable, 2)
	fresh := func(pushes float64) plan.State { return at("new", later, plan.CredentialReady, pushes) }
	steps := rotateTokenStep(old, old.Members[0], plan.Goal{Within: time.Hour}).Conditions
	for _, tc := range []struct {
		name string
		seen []plan.State
		want string
	}{
		{"not made yet", []plan.State{old, gone, gone}, "the operator has not made a new token yet"},
		{"put back by somebody", []plan.State{old, gone, at("old", 0, plan.CredentialReady, 3)}, "the token is still the one before"},
		{"no later than the one before", []plan.State{old, at("new", 0, plan.CredentialReady, 3)}, "no later than the one before"},
		{"expired", []plan.State{old, at("new", later, plan.CredentialBad, 3)}, "the operator has not made a new token yet"},
		{"made, and no push since", []plan.State{old, gone, fresh(2), fresh(2)}, "pod  pushed 0 of 2 times since"},
		{"pushes before it do not count", []plan.State{old, at("", 0, plan.CredentialMintable, 3), at("", 0, plan.CredentialMintable, 4), fresh(5)}, "of 2 times since"},
		{"made, and two pushes since", []plan.State{old, gone, fresh(2), fresh(3), fresh(4)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := ""
			for _, c := range steps {
				if j := c.Evaluate(tc.seen); !j.Met && got == "" {
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
		return apifake.Secret("istio-system", secretServiceAccount, map[string]string{"clusterFqn": fqn, "jwk": jwk})
	}
	sibling := func(expires time.Time) apifake.Object {
		return apifake.Secret("istio-system", "oap-token", map[string]string{"token": jwtUntil(t, expires)})
	}
	own := account("organizations/acme/clusters/eu", "{}")
	for name, tc := range map[string]struct {
		beside []apifake.Object
		want   string // a part of what is said; "" when it would
	}{
		"its account, and another token of it": {[]apifake.Object{own, sibling(noon.Add(time.Hour))}, ""},
		"no service account":                   {[]apifake.Object{sibling(noon.Add(time.Hour))}, "no cluster-service-account to mint it from; mend that with: tctl install manifest control-plane-secrets --cluster eu"},
		"another cluster's":                    {[]apifake.Object{account("organizations/acme/clusters/us", "{}"), sibling(noon.Add(time.Hour))}, `belongs to "organizations/acme/clusters/us", which the operator refuses`},
		"a key that is none":                   {[]apifake.Object{account("organizations/acme/clusters/eu", "x"), sibling(noon.Add(time.Hour))}, "is not JSON"},
		"no other token":                       {[]apifake.Object{own}, "minting does not work"},
		"another token that has expired":       {[]apifake.Object{own, sibling(noon)}, "minting does not work"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := append(apifake.Edge("eu"), apifake.Secret("istio-system", secretToken, map[string]string{"jwt": jwtUntil(t, noon.Add(time.Minute))}))
			c := credential(snapshot("eu", append(objects, tc.beside...)...).Reads, "istio-system", "eu", noon)
			if c.State != plan.CredentialReady || (c.Irreplaceable == "") != (tc.want == "") || !strings.Contains(c.Irreplaceable, tc.want) {
				t.Errorf("%s: %q, want %q", c.State, c.Irreplaceable, tc.want)
			}
		})
	}
}
