package migration

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

func TestAGivenCertificateIsWrittenOnlyWhenEverybodyCanGoOnWithIt(t *testing.T) {
	ours, theirs := tsbobjects.NewCA(t, "ours"), tsbobjects.NewCA(t, "theirs")
	both := string(ours.PEM) + string(theirs.PEM)
	pair := func(certs []byte, ca string) *plan.Certificate {
		t.Helper()
		c, err := ReadPair(certs, []byte(ca))
		if err != nil {
			t.Fatal(err)
		}
		return &c
	}
	with2 := ours.Leaf("central.xcp.tetrate.io", "tsb.example.test")
	dark := plan.Member{Identity: plan.Identity{Name: "edge-9", Role: plan.RoleEdge, Err: "timed out"}}
	for _, tc := range []struct {
		name   string
		mtls   guard.Tri
		pair   *plan.Certificate
		want   string
		says   string
		change func(*plan.State)
	}{
		{"trusted, and with every name", guard.Yes, pair(with2, ""), "certify", "", nil},
		{"with a CA that holds the old one too", guard.Yes, pair(with2, both), "certify", "", nil},
		{"nobody trusts it", guard.Yes, pair(theirs.Leaf("tsb.example.test"), ""), "!hub",
			"edge-1 would not trust the given certificate", nil},
		{"a name is missing", guard.Yes, pair(ours.Leaf("central.xcp.tetrate.io"), ""), "!hub",
			"lacks tsb.example.test, which edges dial", nil},
		{"its CA would no longer verify members", guard.Yes, pair(with2, string(theirs.PEM)), "!hub",
			`the given CA lacks "CN=ours", with which Central verifies the certificates of members; add it, or leave --central-ca out`, nil},
		{"which matters no more once no certificate is accepted", guard.No, pair(with2, string(theirs.PEM)),
			"certify", "", nil},
		{"an edge that is not reached knows the present CA", guard.Yes, pair(with2, ""), "certify", "",
			func(f *plan.State) { f.Members = append(f.Members, dark) }},
		{"and may know no other", guard.Yes, pair(theirs.Leaf("tsb.example.test"), both), "!hub",
			"edge-9 could not be looked at, and may not trust the given certificate", func(f *plan.State) {
				f.Members[0].TrustAnchors = [][]byte{theirs.PEM}
				f.Members = append(f.Members, dark)
			}},
		{"an ExternalSecret would put its own back", guard.Yes, pair(with2, ""), "!hub",
			"is kept by ExternalSecret central, which would put its own certificate back",
			func(f *plan.State) { f.Hub.Server.Keeper = "ExternalSecret central" }},
		{"cert-manager would put its own back", guard.Yes, pair(with2, ""), "!hub",
			"leave --central-cert out, and migrate adds the names there", func(f *plan.State) {
				f.Hub.Issuer = plan.Issuer{Kind: state.CertManager, Object: plan.Ref{Kind: "Certificate", Namespace: "tsb",
					Name: "xcp-central-cert"}}
			}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			member := tsbfleet.With(tsbfleet.Edge("edge-1", state.MTLS), func(m *plan.Member) {
				m.ServerName, m.TrustAnchors = "tsb.example.test", [][]byte{ours.PEM}
				m.Trust = plan.Trust{Unnamed: true, Why: "unnamed"}
			})
			if tc.mtls == guard.No {
				member.Evidence.Presents = []guard.Cred{state.JWT}
			}
			f := tsbfleet.Fleet(tc.mtls, guard.Yes, member)
			f.Hub.Server = state.CertificateOf(ours.Leaf("central.xcp.tetrate.io"), "tsb/"+state.SecretCentralCert)
			f.Hub.Server.CA = ours.PEM
			if tc.change != nil {
				tc.change(&f)
			}
			w := nextWave(f, plan.Goal{To: state.JWT, Sources: plan.Sources{Pair: tc.pair}})
			if tsbfleet.Said(w) != tc.want && !strings.HasPrefix(tsbfleet.Said(w), tc.want+" ") {
				t.Fatalf("next wave is %q, want %q", tsbfleet.Said(w), tc.want)
			}
			if tc.says != "" && !strings.Contains(w.Obstacles[0].Why, tc.says) {
				t.Errorf("why is %q, want %q", w.Obstacles[0].Why, tc.says)
			}
			for _, s := range w.Steps {
				p := s.Writes[0]
				if p.SecretField != plan.PairSecretField || p.BackupAs != state.PairBackup || len(s.Undo) != 1 ||
					!allowsUndo(s.Undo[0], "") {
					t.Errorf("it writes %+v, and goes back with %+v", p, s.Undo)
				}
			}
		})
	}
}

func TestReadPairRefusesWhatIsNone(t *testing.T) {
	good := tsbobjects.NewCA(t, "ours").Leaf("a")
	for _, tc := range []struct{ name, certs, ca, says string }{
		{"no certificate", "x", "", "the given certificate: it holds no PEM certificate"},
		{"no CA", string(good), "x", "the given CA: it holds no PEM certificate"},
	} {
		if _, err := ReadPair([]byte(tc.certs), []byte(tc.ca)); err == nil || err.Error() != tc.says {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
	}
}

// Who keeps Central's certificate is asked of the secret itself, and of every Certificate that makes it.
func TestWhoKeepsCentralsCertificateIsFound(t *testing.T) {
	leaf := tsbobjects.NewCA(t, "ours").Leaf("tsb.example.test")
	secret := func(owner string) apifake.Object {
		o := apifake.Secret("tsb", state.SecretCentralCert, map[string]string{"tls.crt": string(leaf)})
		if owner != "" {
			o["metadata"].(apifake.Object)["ownerReferences"] = []any{apifake.Object{"kind": owner, "name": "central",
				"controller": true}}
		}
		return o
	}
	certificate := func(name string) apifake.Object {
		return apifake.Object{"apiVersion": "cert-manager.io/v1", "kind": "Certificate",
			"metadata": apifake.Object{"name": name, "namespace": "tsb"},
			"spec":     apifake.Object{"secretName": state.SecretCentralCert}}
	}
	for _, tc := range []struct {
		name   string
		owner  string
		makers []any
		keeper string
		issuer string // a part of why its names cannot be changed
	}{
		{"nobody", "", nil, "", "put there by hand or by tctl"},
		{"an ExternalSecret", "ExternalSecret", nil, "ExternalSecret central", "put there by hand or by tctl"},
		{"a Certificate", "Certificate", []any{certificate("central")}, "", ""},
		{"two Certificates", "", []any{certificate("central"), certificate("xcp-central-cert")}, "",
			"re-issue it in turns; delete all but one"},
	} {
		hub := tsbfleet.Snapshot("hub", append(apifake.Hub("eu"), secret(tc.owner))...)
		list, err := json.Marshal(apifake.Object{"items": append([]any{}, tc.makers...)})
		if err != nil {
			t.Fatal(err)
		}
		hub.Reads[state.Certificates("tsb")] = plan.Result{Body: list}
		f := state.ReadState([]plan.Snapshot{hub}, plan.Selection{}, tsbobjects.Noon)
		if f.Hub.Server.Keeper != tc.keeper || (tc.issuer == "") != (f.Hub.Issuer.Why == "") ||
			!strings.Contains(f.Hub.Issuer.Why, tc.issuer) {
			t.Errorf("%s: kept by %q, want %q; the issuer: %q", tc.name, f.Hub.Server.Keeper, tc.keeper, f.Hub.Issuer.Why)
		}
	}
}
