package kongmesh_test

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

func TestWhereAZoneStandsOnTheWay(t *testing.T) {
	const its, another = "11111111-1111-4111-8111-111111111111", "55555555-5555-4555-8555-555555555555"
	good := token(t, "west", nil)
	soon := token(t, "west", func(g *zonetoken.Grant, _ *time.Time) { g.ValidFor = time.Hour })
	to := state.Kid("22")
	for _, tc := range []struct {
		name     string
		token    string
		goal     plan.Goal
		there    bool
		presents string
	}{
		{"a token of an older key is as good", good, plan.Goal{To: to}, true, "a token of key 1"},
		{"unless it expires soon", soon, plan.Goal{To: to}, false, "a token of key 1"},
		{"or the older key is to go", good, plan.Goal{To: to, RotationTask: plan.RotationTask{Rotate: true}}, false,
			"a token of key 1"},
		{"its token is to be revoked", good, plan.Goal{To: to,
			RevocationTask: plan.RevocationTask{Revoke: []string{its}}}, false, "a token of key 1"},
		{"another's is", good, plan.Goal{To: to, RevocationTask: plan.RevocationTask{Revoke: []string{another}}}, true,
			"a token of key 1"},
		{"the list is to be pruned", good, plan.Goal{To: to, Prune: true}, true, "a token of key 1"},
		{"no token", "", plan.Goal{To: to}, false, "no token"},
	} {
		d := kongmesh.Provider()
		f := mesh(tc.token, key("22")).facts(t, d, nil)
		if there, presents := d.Converged(f, *f.Member("west"), tc.goal); there != tc.there || presents != tc.presents {
			t.Errorf("%s: there: %v, it presents %q", tc.name, there, presents)
		}
	}
	f := fleet{"global": mesh("")["global"]}.facts(t, kongmesh.Provider(), nil)
	if there, presents := kongmesh.Provider().Converged(f, *f.Member("west"), plan.Goal{To: to}); there || presents != "" {
		t.Errorf("one that is not seen: %v, %q", there, presents)
	}
}
