package kongmesh_test

import (
	"slices"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// What 3.0 would not start with, not read, or refuse is found from what is there now, when that is asked; and nothing
// of it otherwise.
func TestWhatAnUpgradeWouldBreakIsFound(t *testing.T) {
	const inline = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	hmac := func() string {
		old := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"Zone": "west", "Scope": []string{"cp"},
			"exp": noon.AddDate(0, 1, 0).Unix()})
		old.Header["kid"] = "0"
		text, err := old.SignedString([]byte("a key of the time before RS256"))
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	universal := []any{apifake.Variable(environmentName, "universal"), apifake.Variable(storeName, "postgres")}
	with, whole := asked(t, "2.14.6")
	for _, tc := range []struct {
		name         string
		global, west []apifake.Object
		zone         string
		want         []string
	}{
		{"as it is to be", whole.of(apifake.Global("2.14.6", nil, universal...)),
			apifake.Zone("2.14.6", "west"), "west", nil},
		{"the state in Kubernetes", apifake.Global("2.14.6", nil), apifake.Zone("2.14.6", "west"), "west",
			[]string{"upgrade-store"}},
		{"an old variable", whole.of(apifake.Global("2.14.6", nil, append(universal,
			apifake.Variable("KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "none"))...)), apifake.Zone("2.14.6", "west"), "west",
			[]string{"upgrade-settings"}},
		{"an old setting in the file", withConfig(whole.of(apifake.Global("2.14.6", nil, universal...)),
			"kmesh: {multizone: {global: {kds: {auth: {type: cpToken}}}}}"), apifake.Zone("2.14.6", "west"), "west",
			[]string{"upgrade-ignored"}},
		{"a zone's name", whole.of(apifake.Global("2.14.6", nil, universal...)), apifake.Zone("2.14.6", "1-west"), "1-west",
			[]string{"upgrade-zone-name"}},
		{"a token that is taken today", append(apifake.Global("2.13.5", map[string]bool{"west": true}), key("1"),
			apifake.GlobalSecret("zone-token-signing-key", "a key of the time before RS256")),
			append(apifake.Zone("2.13.5", "west", apifake.SecretVariable(inline, "cp-token", "token")),
				apifake.TokenSecret("cp-token", hmac())), "west",
			[]string{"upgrade-settings", "upgrade-store", "upgrade-token"}},
	} {
		fl := with(nil)
		delete(fl, "east")
		fl["global"], fl["west"] = tc.global, tc.west
		d := kongmesh.CheckProvider()
		for _, release := range []string{"", "3.0.0"} {
			f := d.ReadState(fl.snapshots(t, d, nil), plan.Selection{For: release}, noon)
			var found []string
			for _, in := range []*plan.Inspection{f.Hub.Inspection, f.Member(tc.zone).Inspection} {
				for _, x := range in.Findings {
					if len(x.Name) > 8 && x.Name[:8] == "upgrade-" && !slices.Contains(found, x.Name) {
						found = append(found, x.Name)
					}
				}
			}
			slices.Sort(found)
			want := tc.want
			if release == "" {
				want = nil
			}
			if !slices.Equal(found, want) {
				t.Errorf("%s, asked of %q: %v, want %v", tc.name, release, found, want)
			}
		}
	}
}
