package migration

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

func TestAnEdgeIsProvidedWithWhatItLacksBeforeAnythingElseIsChanged(t *testing.T) {
	const on, off = guard.Yes, guard.No
	lacking := func(name string) plan.Member {
		return tsbfleet.With(tsbfleet.Edge(name, state.MTLS), func(m *plan.Member) {
			m.Credential = plan.Credential{State: plan.CredentialMissing, Why: "no token",
				MissingSecrets: []string{state.SecretServiceAccount, state.SecretToken}}
		})
	}
	noCA := tsbfleet.With(tsbfleet.Edge("edge-3", state.MTLS),
		func(m *plan.Member) { m.Trust = plan.Trust{Suppliable: true, Why: "no CA"} })
	unreadable := tsbfleet.With(noCA, func(m *plan.Member) { m.Credential = plan.Credential{Why: "forbidden"} })
	good := plan.NewSecret([]byte(tsbobjects.Document(state.SecretToken, "istio-system",
		map[string]string{"jwt": tsbobjects.JwtUntil(t, tsbobjects.Noon.Add(time.Hour))})))
	old := plan.NewSecret([]byte(tsbobjects.Document(state.SecretToken, "istio-system",
		map[string]string{"jwt": tsbobjects.JwtUntil(t, tsbobjects.Noon.Add(-time.Hour))})))
	ca := plan.NewSecret([]byte(tsbobjects.Document(state.SecretCA, "istio-system",
		map[string]string{"ca.crt": string(tsbobjects.NewCA(t, "ca").PEM)})))
	handed := func(byName map[string]plan.Secret) plan.Goal {
		return plan.Goal{To: state.JWT, Sources: plan.Sources{Supplied: "the manifest", Manifests: byName}}
	}
	tctl := plan.Goal{To: state.JWT, Sources: plan.Sources{Supplied: "tctl"}}
	organized := tsbfleet.Fleet(on, on, lacking("edge-1"))
	organized.Hub.Organization = "example"
	for _, tc := range []struct {
		name  string
		facts plan.State
		goal  plan.Goal
		want  string
		says  string // of who is blocked
	}{
		{"before the hub opens", tsbfleet.Fleet(on, off, lacking("edge-1"), tsbfleet.Edge("edge-2", state.MTLS)),
			handed(map[string]plan.Secret{"": good}), "provide/edge-1", ""},
		{"one manifest is not for several edges", tsbfleet.Fleet(on, on, lacking("edge-1"), lacking("edge-2")),
			handed(map[string]plan.Secret{"": good, "edge-2": good}), "provide/edge-2 !edge-1",
			"one manifest can be for one of them"},
		{"a CA that is missing is said with why it is needed", tsbfleet.Fleet(on, on, noCA),
			handed(map[string]plan.Secret{"": good}), "!edge-3",
			"no CA; its manifest does not do: there is no secret xcp-central-ca-bundle"},
		{"not when no edge is to be touched", tsbfleet.Fleet(on, off, lacking("edge-1")),
			plan.Goal{To: state.JWT, Stage: plan.Dual, Sources: plan.Sources{Supplied: "the manifest",
				Manifests: map[string]plan.Secret{"": good}}}, "open", ""},
		{"all edges side by side", tsbfleet.Fleet(on, on, lacking("edge-1"), lacking("edge-2")),
			handed(map[string]plan.Secret{"edge-1": good, "edge-2": good}), "provide/edge-1 provide/edge-2", ""},
		{"one whose manifest is bad is blocked, the others go on", tsbfleet.Fleet(on, on, lacking("edge-1"),
			lacking("edge-2")), handed(map[string]plan.Secret{"edge-1": good, "edge-2": old}), "provide/edge-1 !edge-2",
			"its manifest cannot be used: secret xcp-edge-central-auth-token: the token expired"},
		{"so is one that has none", tsbfleet.Fleet(on, on, lacking("edge-1"), tsbfleet.Edge("edge-2", state.MTLS)),
			handed(map[string]plan.Secret{"edge-7": good}), "move/edge-2 !edge-1", "no manifest was provided for it"},
		{"so is one whose manifest has no credential", tsbfleet.Fleet(on, on, lacking("edge-1")),
			handed(map[string]plan.Secret{"": ca}), "!edge-1", "its manifest does not do: there is neither"},
		{"a CA may be all that it lacks", tsbfleet.Fleet(on, on, noCA), handed(map[string]plan.Secret{"": ca}),
			"provide/edge-3", ""},
		{"what cannot be read is not replaced", tsbfleet.Fleet(on, on, unreadable), handed(map[string]plan.Secret{"": ca}),
			"!edge-3", "forbidden"},
		{"without any source", tsbfleet.Fleet(on, on, noCA), plan.Goal{To: state.JWT}, "!edge-3", "no CA"},
		{"tctl", organized, tctl, "provide/edge-1", ""},
		{"tctl needs the cluster's full name", tsbfleet.Fleet(on, on, lacking("edge-1")), tctl, "!edge-1",
			"the ManagementPlane names no organization or was not looked at"},
		{"tctl does not know a CA", tsbfleet.Fleet(on, on, noCA), tctl, "!edge-3",
			"tctl does not know that CA: hand a manifest over with --secrets"},
		{"a team without access to the hub", plan.State{At: tsbobjects.Noon, Members: []plan.Member{lacking("edge-1")}},
			plan.Goal{To: state.JWT, NoHub: true, Stage: plan.Edges, Sources: plan.Sources{Supplied: "the manifest",
				Manifests: map[string]plan.Secret{"": good}}}, "provide/edge-1", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := nextWave(tc.facts, tc.goal)
			if d := cmp.Diff(tc.want, tsbfleet.Said(w)); d != "" {
				t.Errorf("next wave (-want +got):\n%s", d)
			}
			if tc.says != "" && (len(w.Obstacles) != 1 || !strings.Contains(w.Obstacles[0].Why, tc.says)) {
				t.Errorf("blocked %+v, want %q", w.Obstacles, tc.says)
			}
			for _, b := range w.Obstacles {
				tsbobjects.Leaks(t, b.Why)
			}
		})
	}
	t.Run("and then it moves", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, lacking("edge-1"))
		goal := handed(map[string]plan.Secret{"": good})
		w := nextWave(f, goal)
		after := plan.Predict(f)
		after.Do(w.Steps)
		if got := tsbfleet.Said(nextWave(after.State, goal)); got != "move/edge-1" {
			t.Errorf("then comes %q", got)
		}
	})
}

func TestAnEdgeIsProvidedOnceItsCredentialIsThereOrSurelyComes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		c     plan.Credential
		trust plan.Trust
		holds bool
	}{
		{"a token", plan.Credential{State: plan.CredentialReady, Expires: tsbobjects.Noon}, plan.Trust{OK: true}, true},
		{"a token without expiry", plan.Credential{State: plan.CredentialReady}, plan.Trust{OK: true}, true},
		{"an operator that mints", plan.Credential{State: plan.CredentialMintable}, plan.Trust{OK: true}, true},
		{"a name that is yet to come into Central's certificate", plan.Credential{State: plan.CredentialReady},
			plan.Trust{Unnamed: true}, true},
		{"nothing yet", plan.Credential{State: plan.CredentialMissing}, plan.Trust{OK: true}, false},
		{"still the bad one", plan.Credential{State: plan.CredentialBad}, plan.Trust{OK: true}, false},
		{"no CA yet", plan.Credential{State: plan.CredentialReady}, plan.Trust{Suppliable: true}, false},
	} {
		f := tsbfleet.Fleet(guard.Yes, guard.Yes, tsbfleet.With(tsbfleet.Edge("edge-1", state.MTLS),
			func(m *plan.Member) { m.Credential, m.Trust = tc.c, tc.trust }))
		if j := supplied("edge-1").Evaluate(f, f); j.Met != tc.holds {
			t.Errorf("%s: %+v, want %v", tc.name, j, tc.holds)
		}
	}
}

func TestWhatAnEdgeLacksIsTheTokenAndAnAccountOnlyWhereNoneIsValid(t *testing.T) {
	account := func(fqn, jwk string) apifake.Object {
		return apifake.Secret("istio-system", state.SecretServiceAccount, map[string]string{"clusterFqn": fqn, "jwk": jwk})
	}
	token := func(exp time.Time) apifake.Object {
		return apifake.Secret("istio-system", state.SecretToken, map[string]string{"jwt": tsbobjects.JwtUntil(t, exp)})
	}
	selfSigned := func(objects []apifake.Object) []apifake.Object {
		objects[1]["spec"].(apifake.Object)["managementPlane"].(apifake.Object)["selfSigned"] = true
		return objects
	}
	for _, tc := range []struct {
		name        string
		objects     []apifake.Object
		lacks, adds []string
	}{
		{"nothing there", apifake.Edge("edge-1"), []string{state.SecretServiceAccount, state.SecretToken}, nil},
		{"a valid account", append(apifake.Edge("edge-1"), account(tsbobjects.Fqn1, tsbobjects.PrivateJWK())),
			[]string{state.SecretToken}, nil},
		{"an expired token beside it", append(apifake.Edge("edge-1"), account(tsbobjects.Fqn1, tsbobjects.PrivateJWK()),
			token(tsbobjects.Noon.Add(-time.Hour))), []string{state.SecretToken}, nil},
		{"another cluster's account", append(apifake.Edge("edge-1"), account("organizations/example/clusters/edge-2",
			tsbobjects.PrivateJWK())), []string{state.SecretServiceAccount, state.SecretToken}, nil},
		{"another organization's account", append(apifake.Edge("edge-1"), account("organizations/other/clusters/edge-1",
			tsbobjects.PrivateJWK())), []string{state.SecretServiceAccount, state.SecretToken}, nil},
		{"an account with a public key", append(apifake.Edge("edge-1"), account(tsbobjects.Fqn1, `{"kty":"RSA"}`)),
			[]string{state.SecretServiceAccount, state.SecretToken}, nil},
		{"a token", append(apifake.Edge("edge-1"), token(tsbobjects.Noon.Add(time.Hour))), nil, nil},
		{"a private API without its CA", selfSigned(apifake.Edge("edge-1")),
			[]string{state.SecretServiceAccount, state.SecretToken}, []string{state.SecretMPCA}},
		{"a private API with its CA", append(selfSigned(apifake.Edge("edge-1")),
			apifake.Secret("istio-system", state.SecretMPCA, map[string]string{"ca.crt": "x"})),
			[]string{state.SecretServiceAccount, state.SecretToken}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			hub := apifake.Hub("edge-1")
			hub[1]["spec"].(apifake.Object)["organization"] = "example"
			f := state.ReadState([]plan.Snapshot{tsbfleet.Snapshot("hub", hub...), tsbfleet.Snapshot("edge-1", tc.objects...)},
				plan.Selection{}, tsbobjects.Noon)
			m := f.Member("edge-1")
			if m == nil {
				t.Fatalf("no edge in %+v", f)
			}
			if d := cmp.Diff([][]string{tc.lacks, tc.adds}, [][]string{m.Credential.MissingSecrets,
				m.Credential.ExtraSecrets}); d != "" {
				t.Errorf("lacks, adds (-want +got):\n%s", d)
			}
			if s := state.SupplyOf(f, *m); s.FullName != tsbobjects.Fqn1 || cmp.Diff(s.Hosts,
				[]string{"tsb.example.test"}) != "" {
				t.Errorf("asks for %+v", s)
			}
		})
	}
}

func TestAPublicCANeedsNoBundleAndOneEdgeTriesThatFirst(t *testing.T) {
	public, private := tsbobjects.NewCA(t, "public"), tsbobjects.NewCA(t, "private")
	pool := x509.NewCertPool()
	pool.AddCert(public.Cert)
	where := plan.Selection{Roots: func() *x509.CertPool { return pool }}
	look := func(where plan.Selection, cert map[string]string, edgeObjects ...apifake.Object) plan.State {
		hub := append(tsbobjects.OpenHub("edge-1", "edge-2"), apifake.Secret("tsb", state.SecretCentralCert, cert))
		return state.ReadState([]plan.Snapshot{tsbfleet.Snapshot("hub", hub...),
			tsbfleet.Snapshot("edge-1", append(apifake.Edge("edge-1"), edgeObjects...)...)}, where, tsbobjects.Noon)
	}
	bundle := apifake.Secret("istio-system", state.SecretCA, map[string]string{"ca.crt": string(public.PEM)})
	for _, tc := range []struct {
		name   string
		facts  plan.State
		want   plan.Trust // but for words
		blocks string
	}{
		{"a public CA", look(where, map[string]string{"tls.crt": string(public.Leaf("tsb.example.test"))}),
			plan.Trust{OK: true, Public: true}, ""},
		{"a public CA, and a bundle all the same",
			look(where, map[string]string{"tls.crt": string(public.Leaf("tsb.example.test"))}, bundle),
			plan.Trust{OK: true}, ""},
		{"a public CA, and another name",
			look(where, map[string]string{"tls.crt": string(public.Leaf("other.example.test"))}),
			plan.Trust{Unnamed: true, Public: true}, ""},
		{"a private CA without ca.crt", look(where, map[string]string{"tls.crt": string(private.Leaf("tsb.example.test"))}),
			plan.Trust{Suppliable: true}, "no public CA that this system trusts has signed"},
		{"no roots to ask", look(plan.Selection{}, map[string]string{"tls.crt": string(public.Leaf("tsb.example.test"))}),
			plan.Trust{Suppliable: true}, "no public CA that this system trusts has signed"},
		{"a CA beside it makes it private", look(where, map[string]string{"tls.crt": string(public.Leaf("tsb.example.test")),
			"ca.crt": string(public.PEM)}), plan.Trust{OK: true}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := tc.facts.Member("edge-1").Trust
			if !strings.Contains(got.Why, tc.blocks) {
				t.Errorf("why is %q, want %q", got.Why, tc.blocks)
			}
			got.Where, got.Why, got.CA, got.Absent = "", "", nil, false
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("trust (-want +got):\n%s", d)
			}
		})
	}

	bare := func(name string, c guard.Cred) plan.Member {
		return tsbfleet.With(tsbfleet.Edge(name, c), func(m *plan.Member) {
			m.Trust = plan.Trust{OK: true, Public: true,
				Absent: true}
		})
	}
	const on = guard.Yes
	for _, tc := range []struct {
		name  string
		facts plan.State
		goal  plan.Goal
		want  string
	}{
		{"alone, as the canary", tsbfleet.Fleet(on, on, bare("edge-1", state.MTLS), bare("edge-2", state.MTLS)),
			plan.Goal{}, "move/edge-1"},
		{"after a canary that has a bundle still one at a time", tsbfleet.Fleet(on, on,
			tsbfleet.Verified(tsbfleet.Edge("edge-0", state.JWT)), bare("edge-1", state.MTLS), bare("edge-2", state.MTLS),
			tsbfleet.Edge("edge-3", state.MTLS)), plan.Goal{}, "move/edge-1 move/edge-3"},
		{"the named one", tsbfleet.Fleet(on, on, tsbfleet.Verified(tsbfleet.Edge("edge-0", state.JWT)),
			bare("edge-1", state.MTLS), bare("edge-2", state.MTLS)), plan.Goal{Pace: plan.Pace{Canary: "edge-2"}},
			"move/edge-2"},
		{"the rest once one is verified", tsbfleet.Fleet(on, on, tsbfleet.Verified(bare("edge-1", state.JWT)),
			bare("edge-2", state.MTLS), bare("edge-3", state.MTLS)), plan.Goal{}, "move/edge-2 move/edge-3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.goal.To = state.JWT
			w := nextWave(tc.facts, tc.goal)
			if d := cmp.Diff(tc.want, tsbfleet.Said(w)); d != "" {
				t.Errorf("next wave (-want +got):\n%s", d)
			}
			for _, s := range w.Steps {
				if bare := tc.facts.Member(s.Member).Trust.Public; bare != strings.Contains(s.Why, "is an assumption") ||
					len(s.Writes) != 1 {
					t.Errorf("%s: why is %q, %d writes", s.ID, s.Why, len(s.Writes))
				}
			}
		})
	}
	t.Run("the plan comes to its end", func(t *testing.T) {
		f := tsbfleet.Fleet(on, on, bare("edge-1", state.MTLS), bare("edge-2", state.MTLS), bare("edge-3", state.MTLS),
			tsbfleet.Verified(tsbfleet.Mpc(state.JWT)))
		var waves []string
		for _, w := range plan.Build(Provider(), f, plan.Goal{To: state.JWT, Pace: plan.Pace{HastyCanary: true}}).Waves {
			waves = append(waves, tsbfleet.Said(w))
		}
		if len(waves) < 3 || waves[0] != "move/edge-1" || waves[1] != "move/edge-2 move/edge-3" ||
			waves[len(waves)-1] != "close" {
			t.Errorf("waves %q", waves)
		}
	})
}
