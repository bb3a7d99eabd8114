package tsb

import (
	"maps"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A run that dies between the two deletions leaves a secret with a private key, which the next one deletes.
func TestTheSecretOfARehearsalIsDeletedWithoutItsCertificate(t *testing.T) {
	ca := newAuthority(t)
	f := fleet(guard.Yes, guard.Yes, edge("eu", MTLS))
	f.Hub.Issuer = plan.Issuer{Kind: certManager, Object: plan.Ref{Kind: "Certificate", Name: "central"}, Ready: true}
	f.Hub.TrialCertificate = certificateOf([]byte(ca.leaf(t, nil)), "tsb/"+trialSecret)
	w := nextWave(f, plan.Goal{To: JWT})
	if said(w) != "tidy" {
		t.Fatalf("next: %s, want tidy", said(w))
	}
	last := w.Steps[0].Writes[len(w.Steps[0].Writes)-1]
	if last.Op != plan.OpDelete || last.Object.Name != trialSecret || last.Object.Kind != "Secret" {
		t.Errorf("the last write is %+v", last)
	}
}

// Who signs may change between the rehearsal and the real request; then the rehearsal says nothing about what every member would be served.
func TestARehearsalOfAnotherRequestIsMadeAgain(t *testing.T) {
	ca := newAuthority(t)
	spec := map[string]any{"secretName": secretCentralCert, "issuerRef": map[string]any{"name": "ours"}, "usages": []any{"server auth", "client auth"}, "dnsNames": []any{"old.example.test"}}
	for _, tc := range []struct {
		name   string
		change func(real map[string]any, rehearsal *plan.Certificate)
		want   string
	}{
		{"the same request", func(map[string]any, *plan.Certificate) {}, "certify"},
		{"another issuer", func(s map[string]any, _ *plan.Certificate) { s["issuerRef"] = map[string]any{"name": "theirs"} }, "tidy"},
		{"other usages", func(s map[string]any, _ *plan.Certificate) { s["usages"] = []any{"server auth"} }, "tidy"},
		{"what the rehearsal had and is gone", func(s map[string]any, _ *plan.Certificate) { delete(s, "usages") }, "tidy"},
		{"a rehearsal of last week", func(_ map[string]any, c *plan.Certificate) { c.Began = noon.Add(-7 * 24 * time.Hour) }, "tidy"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := fleet(guard.Yes, guard.Yes, with(edge("eu", MTLS), func(m *plan.Member) {
				m.ServerName, m.Trust, m.TrustAnchors = "tsb.example.test", plan.Trust{Unnamed: true, Why: "unnamed"}, [][]byte{[]byte(ca.pem())}
			}))
			real, tried := maps.Clone(spec), maps.Clone(spec)
			tried["secretName"], tried["dnsNames"] = trialSecret, []any{"old.example.test", "tsb.example.test"}
			f.Hub.TrialCertificate = certificateOf([]byte(ca.leaf(t, nil)), "tsb/"+trialSecret)
			f.Hub.Server = f.Hub.TrialCertificate
			f.Hub.Server.Names, f.Hub.Server.Chain = []string{"old.example.test"}, nil
			tc.change(real, &f.Hub.TrialCertificate)
			f.Hub.Issuer = plan.Issuer{Kind: certManager, Object: plan.Ref{Kind: "Certificate", Name: "central"}, Spec: real, Names: map[string]any{"dnsNames": real["dnsNames"]}, Ready: true}
			f.Hub.TrialIssuer = plan.Issuer{Kind: certManager, Object: plan.Ref{Kind: "Certificate", Name: trialSecret}, Spec: tried, Names: map[string]any{"dnsNames": tried["dnsNames"]}, Ready: true}
			w := nextWave(f, plan.Goal{To: JWT})
			if said(w) != tc.want {
				t.Fatalf("next: %s, want %s", said(w), tc.want)
			}
			if before := w.Steps[0].Writes[0].Before; tc.want == "certify" && field(before, "spec", "issuerRef", "name") != "ours" {
				t.Errorf("the write is not held to the issuer that was rehearsed: %v", before)
			}
		})
	}
}
