package kongmesh_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// A list of revoked tokens that somebody keeps is not written: it would come back as it was, and a revoked token
// would be accepted again.
func TestAListOfRevokedTokensThatIsKeptElsewhereIsNotWritten(t *testing.T) {
	list := apifake.GlobalSecret(zonetoken.RevocationsName, "22222222-2222-4222-8222-222222222222")
	meta(list)["ownerReferences"] = []any{apifake.Object{"kind": "ExternalSecret", "name": "revoked", "controller": true}}
	f := namespaced(mesh(token(t, "west", nil), list)).facts(t, kongmesh.Provider(), nil)
	d := kongmesh.Provider()
	f.Hub.Revocations.Expired = []string{"22222222-2222-4222-8222-222222222222"}
	f.Hub.Revocations.IDs = append(f.Hub.Revocations.IDs, "33333333-3333-4333-8333-333333333333")
	for _, goal := range []plan.Goal{{RevocationTask: plan.RevocationTask{Revoke: []string{"99999999-9999-4999-8999-999999999999"}}}, {Prune: true}} {
		goal.Within = time.Minute
		w := d.Next(f, d.Complete(f, goal))
		if len(w.Steps) != 0 || !strings.Contains(fmt.Sprint(w.Obstacles), "is kept by ExternalSecret revoked") {
			t.Errorf("%+v: %+v", goal, w)
		}
	}
}

// A token names its zone, and the global takes it from no other: revoking it waits for that zone alone.
func TestRevokingATokenWaitsForItsZoneAlone(t *testing.T) {
	const id = "11111111-1111-4111-8111-111111111111"
	d := kongmesh.Provider()
	fl := namespaced(mesh(token(t, "west", nil)))
	fl["global"] = append(fl["global"], apifake.Object{"apiVersion": "kuma.io/v1alpha1", "kind": "Zone",
		"metadata": apifake.Object{"name": "north"}})
	f := fl.facts(t, d, nil)
	if m := f.Member("north"); m == nil || m.Err == "" {
		t.Fatalf("north is to be a zone of which nothing is known: %+v", m)
	}
	for name, tc := range map[string]struct {
		whose   map[string]string
		blocked bool
	}{
		"it is known whose it is": {map[string]string{id: migration.Whose(f, id)}, false},
		"it is not":               {nil, true},
	} {
		goal := plan.Goal{RevocationTask: plan.RevocationTask{Revoke: []string{id}, RevokedOf: tc.whose},
			Pace: plan.Pace{Within: time.Minute}}
		p := plan.Build(d, f, d.Complete(f, goal))
		var ids []string
		for _, w := range p.Waves {
			for _, s := range w.Steps {
				ids = append(ids, s.ID)
			}
		}
		north := slices.ContainsFunc(p.Obstacles, func(b plan.Obstacle) bool { return b.Member == "north" })
		if north != tc.blocked || !tc.blocked && !slices.Contains(ids, "revoke/"+id) || !slices.Contains(ids, "move/west") {
			t.Errorf("%s: steps %v, blocked %v", name, ids, p.Obstacles)
		}
	}
}
