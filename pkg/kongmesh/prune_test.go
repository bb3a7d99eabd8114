package kongmesh_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// revokedID is the n-th ID of a test.
func revokedID(n int) string { return fmt.Sprintf("44444444-4444-4444-8444-%012d", n) }

// ended is a token with an ID that expired as long before noon; signed with key 1 unless another is given.
func ended(t *testing.T, id string, ago time.Duration, with ...*rsa.PrivateKey) string {
	t.Helper()
	signer := meshKeys()[1]
	if len(with) > 0 {
		signer = with[0]
	}
	s, _, err := zonetoken.Issue(zonetoken.Grant{Zone: "west", ValidFor: time.Hour, ID: id, KeyID: "1"}, signer,
		noon.Add(-ago-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return string(s.Reveal())
}

// pruning is a mesh with this list and these tokens beside west, which are used by nobody.
func pruning(list string, beside ...string) fleet {
	fl := mesh("", apifake.GlobalSecret(zonetoken.RevocationsName, list),
		apifake.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": apifake.Object{"name": "xcpauth-system"}})
	for i, token := range beside {
		fl["west"] = append(fl["west"], apifake.TokenSecret(fmt.Sprintf("old-%d", i), token))
	}
	return fl
}

// pruned is the list that a plan leaves, what it takes off it, and what it says besides; the list as it was when
// nothing is written.
func pruned(t *testing.T, list string, f plan.State) (left string, ids []string, said string) {
	t.Helper()
	p := plan.Build(kongmesh.Provider(), f, plan.Goal{Prune: true, Pace: plan.Pace{Within: time.Minute}})
	left = list
	for _, n := range slices.Concat(p.Obstacles, p.Notes) {
		said += n.Why + "\n"
	}
	if len(p.Waves) > 1 || p.Changes() > 1 {
		t.Fatalf("%d waves, %d changes", len(p.Waves), p.Changes())
	}
	if p.Changes() == 1 {
		w := p.Waves[0].Steps[0].Writes
		if len(w) != 1 || w[0].Op == plan.OpDelete || w[0].Op == plan.OpCreate {
			t.Fatalf("%+v", w)
		}
		b, err := base64.StdEncoding.DecodeString(w[0].After["data"].(map[string]any)["value"].(string))
		if err != nil || len(b) == 0 {
			t.Fatalf("it writes %q (%v)", b, err)
		}
		left, ids = string(b), strings.Split(strings.TrimPrefix(p.Waves[0].Steps[0].ID, "prune/"), ",")
	}
	return left, ids, said
}

func TestWhatIsKnownToHaveExpiredIsTakenOffTheList(t *testing.T) {
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	a, b := revokedID(1), revokedID(2)
	both := a + "," + b
	old, fresh := ended(t, a, time.Hour), ended(t, a, -time.Hour)
	j := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"Zone": "west", "Scope": []string{"cp"},
		"exp": noon.Add(-time.Hour).Unix()})
	j.Header["kid"] = "1"
	unnamed, err := j.SignedString(meshKeys()[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		list   string
		beside []string
		handed []string
		ahead  time.Duration // the global's clock
		left   string
		says   string
	}{
		{"a token that is next to a zone", both, []string{old}, nil, 0, b, "1 ID stays"},
		{"one that was provided", both, nil, []string{old}, 0, b, "1 ID stays"},
		{"nobody knows the tokens", both, nil, nil, 0, both, "2 IDs stay"},
		{"it has not expired", both, []string{fresh}, nil, 0, both, "2 IDs stay"},
		{"another of the same ID has not", both, []string{old, fresh}, nil, 0, both, "2 IDs stay"},
		{"it has by our clock, and not by the global's", both, []string{old}, nil, -2 * time.Hour, both, "2 IDs stay"},
		{"it has by the global's clock, and not by ours", both, []string{fresh}, nil, 3 * time.Hour, both, "2 IDs stay"},
		{"it has just now, and clocks differ", both, []string{ended(t, a, time.Minute)}, nil, 0, both, "2 IDs stay"},
		{"anyone who made it has no key of the global", both, []string{ended(t, a, time.Hour, stranger)}, nil, 0,
			both, "2 IDs stay"},
		{"its last part was changed", both, []string{old[:len(old)-12] + "AAAAAAAAAAAA"}, nil, 0, both, "2 IDs stay"},
		{"a newline at the end is what the product takes", both + "\n", []string{old}, nil, 0, b, "1 ID stays"},
		{"the empty ID stays", a + ",", []string{old}, nil, 0, ",", "1 ID stays"},
		{"one that is there twice", a + "," + b + "," + a, []string{old}, nil, 0, b, "1 ID stays"},
		{"the list is never empty", both, []string{old, ended(t, b, time.Hour)}, nil, 0, b, ""},
		{"the last one stays", a, []string{old}, nil, 0, a, ""},
		{"what was meant is not revoked by the way", a + ", " + b, []string{old}, nil, 0, a + ", " + b,
			"is not revoked (" + b + ")"},
		{"the empty ID stays, of whatever token without one", both + ",", []string{unnamed}, nil, 0, both +
			",", "3 IDs stay"},
		{"no list", "", []string{old}, nil, 0, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := kongmesh.Provider()
			facts := d.ReadState
			d.ReadState = func(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
				for _, token := range tc.handed {
					where.Revoked = append(where.Revoked, plan.NewSecret([]byte(token)))
				}
				return facts(snaps, where, at)
			}
			f := pruning(tc.list, tc.beside...).facts(t, d, map[string]time.Duration{"global": tc.ahead})
			left, _, said := pruned(t, tc.list, f)
			if left != tc.left || !strings.Contains(said, tc.says) || tc.says == "" && said != "" {
				t.Errorf("left %q, want %q; said %q, want %q", left, tc.left, said, tc.says)
			}
		})
	}
}

// Of random lists and tokens, whatever is not known to have expired stays revoked, and nothing else becomes so.
func TestPruningNeverTakesBackWhatMayBeInUse(t *testing.T) {
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for range 40 {
		var ids, beside []string
		dead := map[string]bool{}
		for n := range 1 + r.IntN(6) {
			id := revokedID(n)
			ids = append(ids, id)
			switch ago := time.Duration(r.IntN(400)-200) * time.Minute; r.IntN(3) {
			case 0:
				beside = append(beside, ended(t, id, ago))
				dead[id] = ago > 5*time.Minute
			case 1:
				beside = append(beside, ended(t, id, time.Hour), ended(t, id, -time.Hour))
			}
		}
		r.Shuffle(len(beside), func(i, j int) { beside[i], beside[j] = beside[j], beside[i] })
		list := strings.Join(ids, ",")
		left, taken, _ := pruned(t, list, pruning(list, beside...).facts(t, kongmesh.Provider(), nil))
		after := zonetoken.ParseRevocations([]byte(left))
		for _, id := range ids {
			if off := slices.Contains(taken, id); after.Revoked(id) == off || off && !dead[id] {
				t.Fatalf("of %s, %q is left, and %v taken off; %v have expired", list, left, taken, dead)
			}
		}
		if extra := slices.DeleteFunc(after.IDs(), func(id string) bool { return slices.Contains(ids, id) }); len(extra) > 0 {
			t.Fatalf("%v became revoked", extra)
		}
	}
}

func TestThePruningIsProvedByWhatIsLeft(t *testing.T) {
	a, b, c := revokedID(1), revokedID(2), revokedID(3)
	hub := func(ids ...string) plan.State {
		return plan.State{Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true},
			HubTokens: plan.HubTokens{Revocations: &plan.Revocations{IDs: ids}}}}
	}
	f := pruning(a+","+b, ended(t, a, time.Hour)).facts(t, kongmesh.Provider(), nil)
	claim := plan.Build(kongmesh.Provider(), f,
		plan.Goal{Prune: true, Pace: plan.Pace{Within: time.Minute}}).Waves[0].Steps[0].Conditions[0]
	for name, tc := range map[string]struct {
		now          plan.State
		holds, never bool
	}{
		"as it should be":                        {hub(b), true, false},
		"somebody has revoked another meanwhile": {hub(b, c), true, false},
		"it is on the list again":                {hub(a, b), false, true},
		"another is lost":                        {hub(c), false, true},
	} {
		if j := claim.Evaluate(hub(a, b), tc.now); j.Met != tc.holds || j.Hopeless != tc.never ||
			j.Evidence == "" {
			t.Errorf("%s: %+v", name, j)
		}
	}
}
