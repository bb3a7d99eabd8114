package apply

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A step may be about the hub or about the standby. What the other one accepts says nothing of it.
func TestADryRunAsksTheRuleOfTheHubThatTheStepIsAbout(t *testing.T) {
	now := time.Now()
	both := guard.Hub{Accepts: map[guard.Cred]guard.Tri{"mtls": guard.Yes, "jwt": guard.Yes}}
	jwtOnly := guard.Hub{Accepts: map[guard.Cred]guard.Tri{"mtls": guard.No, "jwt": guard.Yes}}
	for _, tc := range []struct {
		about        string
		hub, standby guard.Hub
		refused      bool
	}{
		{"hub", both, jwtOnly, true},
		{"hub", jwtOnly, both, false},
		{"standby", both, jwtOnly, false},
		{"standby", jwtOnly, both, true},
	} {
		f := plan.State{Hub: plan.Hub{HubDeclaration: plan.HubDeclaration{Accepts: tc.hub}},
			Standby: &plan.Hub{HubDeclaration: plan.HubDeclaration{Accepts: tc.standby}},
			Members: []plan.Member{{Identity: plan.Identity{Name: "edge-1"},
				Evidence: guard.Member{Presents: []guard.Cred{"mtls"}, Until: now.Add(time.Hour)}}}}
		step := plan.Step{ID: "close", Member: tc.about, Withdraws: &jwtOnly}
		l := &Live{}
		said, _ := l.DryRun(t.Context(), f, plan.Plan{Waves: []plan.Wave{{Steps: []plan.Step{step}}}})
		if got := strings.Contains(strings.Join(said["close"], " "),
			"not sent: today edge-1 may still present mtls"); got != tc.refused {
			t.Errorf("%s, of a hub that accepts %v and a standby that accepts %v: refused is %v (%v)", tc.about, tc.hub.Accepts,
				tc.standby.Accepts, got, said)
		}
	}
}
