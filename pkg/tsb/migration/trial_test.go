package migration

import (
	"maps"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// A run that dies between the two deletions leaves a secret with a private key, which the next one deletes.
func TestTheSecretOfARehearsalIsDeletedWithoutItsCertificate(t *testing.T) {
	ca := tsbfleet.NewAuthority(t)
	f := tsbfleet.Fleet(guard.Yes, guard.Yes, tsbfleet.Edge("eu", state.MTLS))
	f.Hub.Issuer = plan.Issuer{Kind: state.CertManager, Object: plan.Ref{Kind: "Certificate", Name: "central"},
		Ready: true}
	f.Hub.TrialCertificate = state.CertificateOf([]byte(ca.Leaf(t, nil)), "tsb/"+state.TrialSecret)
	w := nextWave(f, plan.Goal{To: state.JWT})
	if tsbfleet.Said(w) != "tidy" {
		t.Fatalf("next: %s, want tidy", tsbfleet.Said(w))
	}
	last := w.Steps[0].Writes[len(w.Steps[0].Writes)-1]
	if last.Op != plan.OpDelete || last.Object.Name != state.TrialSecret || last.Object.Kind != "Secret" {
		t.Errorf("the last write is %+v", last)
	}
}

// Who signs may change between the rehearsal and the real request; then the rehearsal says nothing about what every
// member would be served.
func TestARehearsalOfAnotherRequestIsMadeAgain(t *testing.T) {
	ca := tsbfleet.NewAuthority(t)
	spec := map[string]any{"secretName": state.SecretCentralCert, "issuerRef": map[string]any{"name": "ours"},
		"usages": []any{"server auth", "client auth"}, "dnsNames": []any{"old.example.test"}}
	for _, tc := range []struct {
		name   string
		change func(real map[string]any, rehearsal *plan.Certificate)
		want   string
	}{
		{"the same request", func(map[string]any, *plan.Certificate) {}, "certify"},
		{"another issuer", func(s map[string]any, _ *plan.Certificate) { s["issuerRef"] = map[string]any{"name": "theirs"} },
			"tidy"},
		{"other usages", func(s map[string]any, _ *plan.Certificate) { s["usages"] = []any{"server auth"} }, "tidy"},
		{"what the rehearsal had and is gone", func(s map[string]any, _ *plan.Certificate) { delete(s, "usages") }, "tidy"},
		{"a rehearsal of last week", func(_ map[string]any,
			c *plan.Certificate) {
			c.Began = tsbobjects.Noon.Add(-7 * 24 * time.Hour)
		}, "tidy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := tsbfleet.Fleet(guard.Yes, guard.Yes, tsbfleet.With(tsbfleet.Edge("eu", state.MTLS), func(m *plan.Member) {
				m.ServerName, m.Trust, m.TrustAnchors = "tsb.example.test", plan.Trust{Unnamed: true, Why: "unnamed"},
					[][]byte{[]byte(ca.PEM())}
			}))
			real, tried := maps.Clone(spec), maps.Clone(spec)
			tried["secretName"], tried["dnsNames"] = state.TrialSecret, []any{"old.example.test", "tsb.example.test"}
			f.Hub.TrialCertificate = state.CertificateOf([]byte(ca.Leaf(t, nil)), "tsb/"+state.TrialSecret)
			f.Hub.Server = f.Hub.TrialCertificate
			f.Hub.Server.Names, f.Hub.Server.Chain = []string{"old.example.test"}, nil
			tc.change(real, &f.Hub.TrialCertificate)
			f.Hub.Issuer = plan.Issuer{Kind: state.CertManager, Object: plan.Ref{Kind: "Certificate", Name: "central"},
				Spec: real, Names: map[string]any{"dnsNames": real["dnsNames"]}, Ready: true}
			f.Hub.TrialIssuer = plan.Issuer{Kind: state.CertManager, Object: plan.Ref{Kind: "Certificate",
				Name: state.TrialSecret}, Spec: tried, Names: map[string]any{"dnsNames": tried["dnsNames"]}, Ready: true}
			w := nextWave(f, plan.Goal{To: state.JWT})
			if tsbfleet.Said(w) != tc.want {
				t.Fatalf("next: %s, want %s", tsbfleet.Said(w), tc.want)
			}
			if before := w.Steps[0].Writes[0].Before; tc.want == "certify" && state.Field(before, "spec", "issuerRef",
				"name") != "ours" {
				t.Errorf("the write is not held to the issuer that was rehearsed: %v", before)
			}
		})
	}
}
