package zones

import (
	"bytes"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Keys that could not be read are not said to be missing: a migration would be told to make one.
func TestKeysThatWereNotReadAreNotCalledMissing(t *testing.T) {
	for _, tc := range []struct {
		name, says string
		keys       []plan.Key
	}{
		{"not read", "the signing keys are not known: secrets could not be listed", nil},
		{"none", "there is no signing key for zone tokens", []plan.Key{}},
	} {
		f := plan.State{Hub: plan.Hub{HubTokens: plan.HubTokens{Keys: tc.keys},
			HubDeclaration: plan.HubDeclaration{Anomalies: []string{"secrets could not be listed"}}}}
		var out bytes.Buffer
		NewKeys(f, state.Kid).Table(&out, false)
		if got := strings.Join(strings.Fields(out.String()), " "); !strings.HasPrefix(got, tc.says) {
			t.Errorf("%s: %q, want %q", tc.name, got, tc.says)
		}
	}
}

// Nor are zones that could not be listed.
func TestZonesThatWereNotReadAreNotCalledMissing(t *testing.T) {
	for why, says := range map[string]string{
		"the list was cut": "it is not known which zones there are: the list was cut",
		"":                 "the global knows of no zone",
	} {
		var out bytes.Buffer
		NewTokens(plan.State{Hub: plan.Hub{HubMembers: plan.HubMembers{InventoryErr: why}}}).Table(&out, false)
		if got := strings.Join(strings.Fields(out.String()), " "); got != says {
			t.Errorf("%q, want %q", got, says)
		}
	}
}
