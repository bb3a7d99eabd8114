package zonetoken

import (
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

func TestWhatEachVersionTakesAndLacks(t *testing.T) {
	const oldType, newType = "KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE=cpToken", "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE=zoneToken"
	const oldPath, newPath = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_PATH", "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_PATH"
	for _, tc := range []struct {
		product  Product
		version  string
		names    []string // GlobalType=GlobalOn ZonePath
		findings string
		legacy   bool
	}{
		{KongMesh, "1.2.0", []string{oldType + " KMESH_MULTIZONE_REMOTE_KDS_AUTH_CP_TOKEN_PATH"},
			"version-legacy-tokens", true},
		{KongMesh, "1.3.0", []string{oldType + " " + oldPath}, "version-legacy-tokens", true},
		{KongMesh, "2.0.8", []string{oldType + " " + oldPath}, "version-scope-check version-legacy-tokens", true},
		{KongMesh, "2.7.25", []string{oldType + " " + oldPath}, "version-kid-panic version-scope-check version-legacy-tokens",
			true},
		{KongMesh, "2.7.26", []string{oldType + " " + oldPath}, "version-kid-panic version-legacy-tokens", true},
		{KongMesh, "2.7.29", []string{oldType + " " + oldPath}, "version-legacy-tokens", true},
		{KongMesh, "2.8.99", []string{oldType + " " + oldPath}, "version-kid-panic version-scope-check version-legacy-tokens",
			true},
		{KongMesh, "2.10.0", []string{oldType + " " + oldPath}, "version-kid-panic version-scope-check", false},
		{KongMesh, "2.13.5", []string{oldType + " " + oldPath}, "version-kid-panic version-scope-check", false},
		{KongMesh, "2.13.7", []string{oldType + " " + oldPath}, "version-kid-panic", false},
		{KongMesh, "2.13.10", []string{oldType + " " + oldPath}, "", false},
		{KongMesh, "2.14.0", []string{oldType + " " + oldPath}, "version-kid-panic", false},
		{KongMesh, "v2.14.5", []string{oldType + " " + oldPath}, "", false},
		{KongMesh, "2.14.6", []string{newType + " " + newPath, oldType + " " + oldPath}, "", false},
		{KongMesh, "3.0.0", []string{newType + " " + newPath}, "", false},
		{Kuma, "2.13.5", nil, "version-no-zone-authentication version-kid-panic", false},
		{Kuma, "3.0.0-rc1", []string{newType + " " + newPath}, "", false},
	} {
		v, err := ParseVersion(tc.product, tc.version)
		if err != nil {
			t.Fatal(err)
		}
		var names, ids []string
		for _, e := range v.Environments() {
			names = append(names, e.GlobalType+"="+e.GlobalOn+" "+e.ZonePath)
		}
		for _, f := range v.Findings() {
			ids = append(ids, f.Name)
		}
		if !slices.Equal(names, tc.names) || strings.Join(ids, " ") != tc.findings || v.HasLegacyTokens() != tc.legacy {
			t.Errorf("%s: %v, findings %v, legacy %v\nwant %v, %s, %v", v, names, ids, v.HasLegacyTokens(), tc.names,
				tc.findings, tc.legacy)
		}
	}
	if v := (Version{}); len(v.Environments()) > 0 || !has(v.Findings(), "version-unknown") || v.HasLegacyTokens() {
		t.Errorf("of an unknown version: %v %+v", v.Environments(), v.Findings())
	}
	for _, bad := range []string{"", "2.13", "two", "2.13.5.1", "2.13.99999", "2.13.5 ", "-2.1.1"} {
		if v, err := ParseVersion(KongMesh, bad); err == nil {
			t.Errorf("%q is %s", bad, v)
		}
	}
	if _, err := ParseVersion("istio", "1.2.3"); err == nil {
		t.Error("a product that is none is taken")
	}
}

func TestWhatIsWrongWithAnEnvironment(t *testing.T) {
	old, fresh := OldNames.GlobalType, NewNames.GlobalType
	for _, tc := range []struct {
		name, version string
		env           map[string]string
		findings      string
	}{
		{"as it should be", "2.13.5", map[string]string{old: "cpToken", "KUMA_MODE": "global"}, ""},
		{"authentication off, said so", "2.13.5", map[string]string{old: "none"}, ""},
		{"a hosted global", "2.13.5", map[string]string{old: "konnect"}, ""},
		{"the new value under the old name", "2.13.5", map[string]string{old: "zoneToken"}, "environment-value"},
		{"the new name too early: the global is open", "2.14.5", map[string]string{fresh: "zoneToken"},
			"environment-not-read"},
		{"a zone's new name too early", "2.14.5", map[string]string{NewNames.ZoneInline: ""}, "environment-not-read"},
		{"the old name where both are taken", "2.14.6", map[string]string{old: "cpToken"}, "environment-deprecated"},
		{"the new name where both are taken", "2.14.6", map[string]string{fresh: "zoneToken"}, ""},
		{"the old name on 3.0", "3.0.0", map[string]string{old: "none"}, "environment-exits"},
		{"any old name on 3.0", "3.0.0", map[string]string{fresh: "zoneToken", "KMESH_MULTIZONE_ANYTHING": ""},
			"environment-exits"},
		{"a misspelt value", "3.0.0", map[string]string{fresh: "zonetoken"}, "environment-value"},
		{"of another product's", "3.0.0", map[string]string{"KUMA_STORE_TYPE": "kubernetes"}, ""},
	} {
		f := version(t, tc.version).CheckEnvironment(tc.env)
		var ids []string
		for _, g := range f {
			ids = append(ids, g.Name)
		}
		if strings.Join(ids, " ") != tc.findings {
			t.Errorf("%s: %+v, want %q", tc.name, f, tc.findings)
		}
	}
}

// Whether a revoked token, or one whose key is gone, ends a session that lasts is said by version.
func TestWhenATokenIsLookedAtAgainIsSaidByVersion(t *testing.T) {
	for text, want := range map[string]string{"1.6.0": "not again while it lasts", "2.4.9": "not again while it lasts",
		"2.5.0": "at each health check of the zone", "2.13.5": "at each health check of the zone",
		"3.0.0": "at each health check of the zone"} {
		if got := version(t, text).LooksAgain(); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q in it", text, got, want)
		}
	}
	if got := (Version{}).LooksAgain(); !strings.Contains(got, "from 2.5 on") {
		t.Errorf("of an unknown version: %q", got)
	}
}

// What 3.0 refuses of a zone's name is a warning before, and an error then.
func TestTheNamesOfZonesThat30RefusesAreFound(t *testing.T) {
	for _, tc := range []struct {
		zone, zoneVersion, globalVersion string
		want                             finding.Severity
	}{
		{"east", "2.14.3", "2.14.3", ""}, {"east-1", "3.0.0", "3.0.0", ""}, {strings.Repeat("a", 63), "3.0.0", "3.0.0", ""},
		{"East", "2.14.3", "2.14.3", finding.Warning}, {"eu.west", "2.14.3", "2.14.3", finding.Warning},
		{"1st", "2.14.3", "2.14.3", finding.Warning}, {"a-", "2.14.3", "2.14.3", finding.Warning},
		{"East", "3.0.0", "2.14.3", finding.Error}, {"eu.west", "2.14.3", "3.0.0", finding.Error},
		{strings.Repeat("a", 64), "3.0.0", "3.0.0", finding.Error},
	} {
		f := ZoneName(tc.zone, version(t, tc.zoneVersion), version(t, tc.globalVersion))
		if tc.want == "" && len(f) != 0 || tc.want != "" && (len(f) != 1 || f[0].Severity != tc.want) {
			t.Errorf("%s at %s, %s: %+v, want %q", tc.zone, tc.zoneVersion, tc.globalVersion, f, tc.want)
		}
	}
}

// has says whether a finding of the rule of that name is there.
func has(all finding.Findings, name string) bool {
	return slices.ContainsFunc(all, func(f finding.Finding) bool { return f.Name == name })
}
