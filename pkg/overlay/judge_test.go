package overlay_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/overlay"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

type m = map[string]any

func overlays(list ...any) m { return m{"overlays": list} }

func edgeXcp(patches ...any) m {
	return m{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp", "name": "edge-xcp", "patches": patches}
}

func patch(path string, value any) m { return m{"path": path, "value": value} }

func TestEveryOverlayIsJudgedByWhatItCanReach(t *testing.T) {
	for _, c := range cases.Overlays() {
		t.Run(c.Name, func(t *testing.T) {
			if found := overlay.Judge(c.KubeSpec); (len(found) > 0) != c.Reaches {
				t.Errorf("reaches %v, want %v: %+v", len(found) > 0, c.Reaches, found)
			}
		})
	}
}

func TestAFindingNamesThePlaceAndHowSureItIs(t *testing.T) {
	for _, tc := range []struct {
		name     string
		kubeSpec any
		want     []overlay.Reach
	}{
		{"a patch of the mode, behind a harmless one", overlays(edgeXcp(patch("spec.logLevels", "x"),
			patch("spec.centralAuthMode", "JWT"))),
			[]overlay.Reach{{Path: "kubeSpec.overlays[0].patches[1]", What: "a patch of spec.centralAuthMode of EdgeXcp",
				Known: true}}},
		{"the whole object", overlays(edgeXcp(patch("", "x"))), []overlay.Reach{{Path: "kubeSpec.overlays[0].patches[0]",
			What: "a patch of the whole object of EdgeXcp"}}},
		{"a parent", overlays(edgeXcp(patch("spec", m{}))), []overlay.Reach{{Path: "kubeSpec.overlays[0].patches[0]",
			What: "a patch of spec of EdgeXcp", Known: true}}},
		{"no overlay at all", "x", []overlay.Reach{{Path: "kubeSpec", What: "not an object"}}},
		{"one that is not as documented", overlays("x"), []overlay.Reach{{Path: "kubeSpec.overlays[0]",
			What: "an overlay that is not as documented"}}},
		{"a key and a variable", m{"deployment": m{"args": []any{}, "env": []any{m{"name": "A"}, "B"}}}, []overlay.Reach{
			{Path: "kubeSpec.deployment.args", What: "a field that may change what the container runs"},
			{Path: "kubeSpec.deployment.env[1]", What: "a variable that may change authentication"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found := overlay.Judge(tc.kubeSpec)
			for i := range found {
				found[i].ID = ""
			}
			if d := cmp.Diff(tc.want, found); d != "" {
				t.Error(d)
			}
		})
	}
}

// A patch is known again wherever it is, as long as its overlay's kind, name and apiVersion are the same.
func TestThePlaceInAListIsNoPartOfAnID(t *testing.T) {
	mode, other := patch("spec.centralAuthMode", "JWT"), patch("spec.logLevels", "x")
	ids := func(kubeSpec m) []string {
		var all []string
		for _, r := range overlay.Judge(kubeSpec) {
			all = append(all, r.ID)
		}
		return all
	}
	alone := ids(overlays(edgeXcp(mode)))
	for name, kubeSpec := range map[string]m{
		"a patch before it":    overlays(edgeXcp(other, mode)),
		"an overlay before it": overlays(edgeXcp(other), edgeXcp(mode)),
		"in two overlays":      overlays(m{"kind": "Service"}, edgeXcp(mode, other)),
	} {
		if got := ids(kubeSpec); !slices.Equal(got, alone) {
			t.Errorf("%s: %v, want %v", name, got, alone)
		}
	}
	odd := m{"name": "CENTRAL_AUTH_MODE", "value": "x"}
	if one, list := ids(m{"deployment": m{"env": odd}}), ids(m{"deployment": m{"env": []any{odd}}}); slices.Equal(one,
		list) {
		t.Errorf("a variable and a list of it are taken for the same: %v", one)
	}
	renamed := edgeXcp(mode)
	renamed["name"] = "x"
	for name, kubeSpec := range map[string]m{"another value": overlays(edgeXcp(patch("spec.centralAuthMode",
		"MUTUAL_TLS"))), "another name": overlays(renamed)} {
		if got := ids(kubeSpec); len(got) != 1 || slices.Equal(got, alone) {
			t.Errorf("%s is taken for the same: %v", name, got)
		}
	}
}

func TestTheDocumentedFieldsAreTold(t *testing.T) {
	found := overlay.Documented(overlays(m{"kind": "Service", "patches": []any{patch(overlay.CentralSNI, "a")}},
		edgeXcp(patch("spec.logLevels", "x"), patch(overlay.CentralSNI, "b"), patch(overlay.CentralCASecret, "c"))))
	want := []overlay.Setting{{"kubeSpec.overlays[1].patches[1]", overlay.CentralSNI, "b"},
		{"kubeSpec.overlays[1].patches[2]", overlay.CentralCASecret, "c"}}
	if d := cmp.Diff(want, found); d != "" {
		t.Error(d)
	}
	for _, odd := range []any{nil, "x", m{"overlays": "x"}, overlays("x"), overlays(edgeXcp("x", patch(overlay.CentralSNI,
		1)))} {
		if found := overlay.Documented(odd); found != nil {
			t.Errorf("%v: %v", odd, found)
		}
	}
}

func TestTheSpellingsOfAKeyAreOne(t *testing.T) {
	for _, key := range []string{"centralAuthMode", "central_auth_mode", "CENTRALAUTHMODE", "Central-Auth-Mode",
		"centralAuthM\u006fde"} {
		if got := overlay.Plain(key); got != "centralauthmode" {
			t.Errorf("%q is %q", key, got)
		}
	}
	if overlay.Plain("\u017fpec") != "spec" || overlay.Plain("\u212aubeSpec") != "kubespec" {
		t.Error("two characters that JSON decoders take for an s and a k are not")
	}
	if overlay.Plain("centralAuthModes") == overlay.Plain("centralAuthMode") {
		t.Error("the two planes' keys are one")
	}
}
