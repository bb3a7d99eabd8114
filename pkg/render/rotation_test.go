package render

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// How the renewal of a token goes is told alike in every format: shortly beside the credential, in full in a field of
// its own.
func TestTheRotationOfATokenIsTold(t *testing.T) {
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	hour := plan.Credential{State: plan.CredentialReady, Written: at.Add(-20 * time.Minute),
		Expires: at.Add(40 * time.Minute)}
	ending := plan.Credential{State: plan.CredentialReady, Written: at.Add(-58 * time.Minute),
		Expires: at.Add(2 * time.Minute)}
	for _, tc := range []struct {
		name       string
		credential plan.Credential
		rotation   plan.Rotation
		rotates    string
		short      string
	}{
		{"seen", hour, plan.Rotation{Seen: true},
			"seen: minted 2026-01-02T11:40:00Z, its session has outlived the token that it began with", "token 40m"},
		{"still to be seen", hour, plan.Rotation{At: at.Add(time.Hour), Why: "its pods are young"},
			"not seen yet: minted 2026-01-02T11:40:00Z, due by 2026-01-02T13:00:00Z", "token 40m"},
		{"nobody knows when", hour, plan.Rotation{Why: "it has no pods"},
			"not seen yet: minted 2026-01-02T11:40:00Z, it has no pods", "token 40m"},
		{"late", ending, plan.Rotation{Seen: true},
			"late: minted 2026-01-02T11:02:00Z, and of the 60m that it lives 2m are left", "token 2m, late"},
		{"expired", plan.Credential{State: plan.CredentialBad, Written: at.Add(-2 * time.Hour), Expires: at.Add(-time.Hour)},
			plan.Rotation{Why: "there is no token to be renewed"},
			"late: minted 2026-01-02T10:00:00Z, expired 2026-01-02T11:00:00Z", "token expired, late"},
		{"nothing renews it", hour, plan.Rotation{Static: true, Why: "there is no service account"},
			"none: minted 2026-01-02T11:40:00Z, there is no service account", "token 40m, not renewed"},
		{"nor would it be made again", with(hour, "no service account"), plan.Rotation{Seen: true},
			"seen: minted 2026-01-02T11:40:00Z, its session has outlived the token that it began with; the operator would not make it again: no service account", "token 40m"},
		{"a product that renews none", hour, plan.Rotation{}, "", "token 40m"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := plan.Member{Identity: plan.Identity{Name: "edge-1", Role: plan.RoleEdge},
				Evidence: guard.Member{Presents: []guard.Cred{"jwt"}}, Credentials: plan.Credentials{Credential: tc.credential,
					Rotation: tc.rotation}}
			r := memberRow(plan.Words{Rotates: "jwt"}, m, at, plan.Step{}, "")
			if r.Rotation != tc.rotates || r.Credential != tc.short {
				t.Errorf("%q and %q, want %q and %q", r.Rotation, r.Credential, tc.rotates, tc.short)
			}
			if told := strings.Contains(strings.Join(r.Witnesses, "\n"), "rotation: "+tc.rotates); told != (tc.rotates != "") {
				t.Errorf("the table says %q", r.Witnesses)
			}
			m.Evidence.Presents = []guard.Cred{"mtls"}
			if r := memberRow(plan.Words{Rotates: "jwt"}, m, at, plan.Step{}, ""); r.Rotation != "" {
				t.Errorf("an edge that presents a certificate has a rotation: %q", r.Rotation)
			}
		})
	}
}

func with(c plan.Credential, lost string) plan.Credential { c.Irreplaceable = lost; return c }
