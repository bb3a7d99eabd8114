package fleetfile_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/xcpauth/kubectl-xcpauth/pkg/fleetfile"
)

const head = "apiVersion: xcpauth.io/v1alpha1\nkind: Fleet\n"

var products = []string{"auto", "tsb", "kong-mesh"}

func TestEachKeyStandsForItsFlag(t *testing.T) {
	got, err := fleetfile.Parse([]byte(head+`kubeconfig: a/b
product: tsb
hub: hub
contexts: [&first edge-1, "/^edge,x/"]
standby: hub-2
waves:
  canary: edge-1
  size: 0
  soak: 0
  proveWithin: 1h30m
  rotationWithin: 90s
  maxFailures: 2
globalAPI:
- https://a:5682
globalCA: ca.pem
stateContext: "1"
`), products)
	if err != nil {
		t.Fatal(err)
	}
	want := []fleetfile.Setting{
		{Key: "kubeconfig", Flag: "kubeconfig", Values: []string{"a/b"}, Path: true, Line: 3},
		{Key: "product", Flag: "product", Values: []string{"tsb"}, Line: 4},
		{Key: "hub", Flag: "context", Values: []string{"hub"}, Line: 5},
		{Key: "contexts", Flag: "contexts", Values: []string{"edge-1", "/^edge,x/"}, List: true, Line: 6},
		{Key: "standby", Flag: "standby", Values: []string{"hub-2"}, Line: 7},
		{Key: "waves.canary", Flag: "canary", Values: []string{"edge-1"}, Line: 9},
		{Key: "waves.size", Flag: "wave-size", Values: []string{"0"}, Line: 10},
		{Key: "waves.soak", Flag: "soak", Values: []string{"0"}, Line: 11},
		{Key: "waves.proveWithin", Flag: "prove-within", Values: []string{"1h30m"}, Line: 12},
		{Key: "waves.rotationWithin", Flag: "rotation-within", Values: []string{"90s"}, Line: 13},
		{Key: "waves.maxFailures", Flag: "max-failures", Values: []string{"2"}, Line: 14},
		{Key: "globalAPI", Flag: "global-api", Values: []string{"https://a:5682"}, List: true, Line: 16},
		{Key: "globalCA", Flag: "global-ca", Values: []string{"ca.pem"}, Path: true, Line: 17},
		{Key: "stateContext", Flag: "state-context", Values: []string{"1"}, Line: 18},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestWhatAFleetFileMayNotSayIsRefusedByItsLine(t *testing.T) {
	const all = "apiVersion, kind, kubeconfig, product, hub, contexts, standby, globalAPI, globalCA, kumactlConfig, " +
		"kumactlContext, stateContext, waves"
	for _, tc := range []struct{ name, text, says string }{
		{"nothing", "", "line 1: it is empty; it begins with apiVersion: xcpauth.io/v1alpha1 and kind: Fleet"},
		{"only a comment", "# a fleet\n", "line 1: it is empty"},
		{"a text", "hello", `line 1: it is "hello"; it must have the keys ` + all},
		{"no YAML", head + "hub: [a\n", "line "},
		{"no apiVersion", "kind: Fleet\n", "line 1: apiVersion is missing; write apiVersion: xcpauth.io/v1alpha1"},
		{"no kind", "\napiVersion: xcpauth.io/v1alpha1\n", "line 2: kind is missing; write kind: Fleet"},
		{"another apiVersion", "apiVersion: xcpauth.io/v2\nkind: Fleet\n",
			`line 1: apiVersion is "xcpauth.io/v2"; it must be xcpauth.io/v1alpha1`},
		{"another kind", "apiVersion: xcpauth.io/v1alpha1\nkind: Config\n", `line 2: kind is "Config"; it must be Fleet`},
		{"an unknown key", head + "context: hub\n", `line 3: key "context" is not known; allowed are ` + all},
		{"an unknown key of waves", head + "waves:\n  sizes: 1\n", `line 4: key "waves.sizes" is not known; allowed are ` +
			"below waves: canary, size, soak, proveWithin, rotationWithin, maxFailures"},
		{"a token", head + "apiToken: eyJ\n",
			`line 3: key "apiToken" is not known; ` +
				`no secret belongs in this file, and a token is given with --api-token; allowed are ` +
				all},
		{"a key of another type", head + "[a]: b\n", `line 3: key "" is not known`},
		{"a key twice", head + "hub: a\nhub: b\n", "line 4: hub is there twice; it is in line 3 too"},
		{"no value", head + "standby:\nhub: a\n", "line 3: standby has no value; give it one, or leave the key out"},
		{"an empty value", head + "hub: ''\n", "line 3: hub is empty; it must be text"},
		{"a number for text", head + "hub: 12\n",
			"line 3: hub is the number 12; it must be text, in quotes where it looks like something else"},
		{"a truth for text", head + "hub: true\n", "line 3: hub is true; it must be text"},
		{"a list for text", head + "hub: [a]\n", "line 3: hub is a list; it must be text"},
		{"text for a list", head + "contexts: a\n", `line 3: contexts is "a"; it must be a list of text, such as [a, b]`},
		{"a number in a list", head + "contexts:\n- a\n- 7\n",
			"line 5: contexts holds the number 7; each of it must be text"},
		{"a reference in a list", head + "hub: &h a\ncontexts: [*h]\n", "line 4: contexts holds a reference"},
		{"an unknown product", head + "product: kuma\n",
			`line 3: product is "kuma"; it must be one of auto, tsb, kong-mesh`},
		{"text for waves", head + "waves: fast\n", `line 3: waves is "fast"; it must have keys of its own: canary, size`},
		{"text for a count", head + "waves: {size: ten}\n",
			`line 3: waves.size is "ten"; it must be a whole number of 0 or more`},
		{"quotes around a count", head + "waves: {size: '1'}\n", `line 3: waves.size is "1"; it must be a whole number`},
		{"a negative count", head + "waves: {maxFailures: -1}\n", "line 3: waves.maxFailures is the number -1; it must be"},
		{"a duration without a unit", head + "waves: {soak: 10}\n",
			"line 3: waves.soak is the number 10; it must be a duration of 0 or more, such as 90s or 1h"},
		{"a negative duration", head + "waves: {soak: -1s}\n", `line 3: waves.soak is "-1s"; it must be a duration`},
		{"no time at all", head + "waves: {proveWithin: 0s}\n",
			`line 3: waves.proveWithin is "0s"; it must be a duration of more than 0, such as 90s or 1h`},
		{"two documents", head + "---\nhub: a\n", "line "},
		{"a global in two places", head + "globalAPI: [a]\nhub: a\nkumactlConfig: b\n",
			"line 5: globalAPI and kumactlConfig both say where the global is; keep one of them"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := fleetfile.Parse([]byte(tc.text), products)
			if err == nil || !strings.HasPrefix(err.Error(), tc.says) {
				t.Errorf("it says %v, want %s", err, tc.says)
			}
		})
	}
}

// A reference to a value is that value: a team may name its hub once.
func TestAReferenceIsItsValue(t *testing.T) {
	got, err := fleetfile.Parse([]byte(head+"hub: &h hub\nstateContext: *h\n"), products)
	if err != nil || len(got) != 2 || got[1].Values[0] != "hub" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestNoTextMakesTheReaderFail(t *testing.T) {
	word := rapid.SampledFrom([]string{"apiVersion", "kind", "hub", "waves", "size", "contexts", ":", " ", "\n", "  ",
		"- ",
		"[", "]", "{", "}", "&a", "*a", "!!str ", "1", "a", "'", "\"", "#", "---\n", "<<", "? ", "|\n", head})
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(word, 0, 20).Draw(t, "words"), "")
		got, err := fleetfile.Parse([]byte(text), products)
		if err == nil && !strings.Contains(text, "Fleet") {
			t.Fatalf("%q is taken for a fleet file: %+v", text, got)
		}
	})
}
