package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// A saved plan is printed again as it was, in every format, and no cluster is asked for that.
func TestASavedPlanIsShownAgainWithoutACluster(t *testing.T) {
	mesh, secrets := meshObjects(t)
	for name, tc := range map[string]struct {
		fleet map[string][]apifake.Object
		args  []string
		verb  string
	}{
		"a migration": {map[string][]apifake.Object{"hub": apifake.Hub("eu"), "eu": apifake.Edge("eu")}, nil, "migrate"},
		"a rollback":  {map[string][]apifake.Object{"hub": migratedHub("eu")}, []string{"--rollback"}, "rollback"},
		"of a mesh":   {mesh, nil, "migrate"},
		"what is verified without a write": {map[string][]apifake.Object{"hub": bed.OpenHub("eu"), "eu": bed.OnJWT("eu")}, nil,
			"migrate"},
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig, w := watch(t, tc.fleet)
			saved := filepath.Join(t.TempDir(), "plan.json")
			plan := func(more ...string) map[string]any {
				r := xcpauth(t, kubeconfig, append(append([]string{"plan", "--diff", "-o", "json"}, tc.args...), more...)...)
				return decodedPlan(t, r.out)
			}
			want := plan("--out", saved)
			for _, of := range append([]any{want}, want["waves"].([]any)...) { // which depends on the clusters
				delete(of.(map[string]any), "expectedSeconds")
				delete(of.(map[string]any), "atMostSeconds")
			}
			text, err := os.ReadFile(saved)
			if err != nil {
				t.Fatal(err)
			}
			for _, format := range []string{"json", "yaml", "table", "wide", "name", "jsonpath={.kind}"} {
				r := xcpauth(t, filepath.Join(t.TempDir(), "no-kubeconfig"), "plan", "show", saved, "--diff", "-o", format)
				if r.code != 0 || r.out == "" {
					t.Errorf("%s: exit code %d: %s%s", format, r.code, r.out, r.err)
				}
				for _, s := range secrets {
					if strings.Contains(r.out+string(text), s) {
						t.Errorf("%s: a secret is printed or kept", format)
					}
				}
				if format != "json" {
					continue
				}
				got := decodedPlan(t, r.out)
				if next, _ := got["next"].(string); next != "run it with: kubectl xcpauth "+tc.verb+" --plan "+saved {
					t.Errorf("next: %s", next)
				}
				for key := range want {
					if key != "next" && !reflect.DeepEqual(got[key], want[key]) {
						t.Errorf("%s is\n%v, and the plan says\n%v", key, got[key], want[key])
					}
				}
			}
			if stored, dry := w.taken(); len(stored)+len(dry) > 0 {
				t.Errorf("written: %v, %v", stored, dry)
			}
		})
	}
}

func decodedPlan(t *testing.T, text string) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if len(v["waves"].([]any)) == 0 {
		t.Fatalf("the plan has no waves: %s", text)
	}
	return v
}

// A file that is no plan, is of another version, or is the plan of another verb is refused by name, before a cluster
// is asked.
func TestWhatIsNoPlanOfTheVerbIsRefusedByName(t *testing.T) {
	hub := map[string][]apifake.Object{"hub": bed.OpenHub("eu"), "eu": apifake.Edge("eu")}
	kubeconfig, w := watch(t, hub)
	forth, back := filepath.Join(t.TempDir(), "forth.json"), filepath.Join(t.TempDir(), "back.json")
	xcpauth(t, kubeconfig, "plan", "--out", forth)
	xcpauth(t, kubeconfig, "plan", "--rollback", "--out", back)
	for _, tc := range []struct{ name, args, says string }{
		{"a file that is not there", "plan show nowhere.json", "reading the saved plan: open nowhere.json"},
		{"no JSON", "plan show " + file(t, 0o600, "kind: SavedPlan"), "reading the saved plan"},
		{"another kind", "plan show " + file(t, 0o600, `{"kind":"Plan","apiVersion":"xcpauth.io/v1alpha1"}`),
			`is no saved plan (kind "Plan"`},
		{"another version", "plan show " + file(t, 0o600, `{"kind":"SavedPlan","apiVersion":"xcpauth.io/v9","x":1}`),
			`is a saved plan of another version ("xcpauth.io/v9"`},
		{"a key of a newer one", "plan show " +
			file(t, 0o600, `{"kind":"SavedPlan","apiVersion":"xcpauth.io/v1alpha1","x":1}`), `unknown field "x"`},
		{"a rollback given to migrate", "migrate -y --plan " + back,
			"is the plan of a rollback, and this is migrate; run it with: kubectl xcpauth rollback --plan " + back},
		{"a migration given to rollback", "rollback -y --plan " + forth,
			"is the plan of a migration, and this is rollback; run it with: kubectl xcpauth migrate --plan " + forth},
		{"a flag that the plan has", "rollback -y --edge eu --plan " + back, "--edge goes with making a plan"},
		{"where a migration ends, for the way back", "plan --rollback --to dual", "--to is of a migration"},
		{"an edge, for a migration", "plan --edge eu", "--edge goes with --rollback"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if r := xcpauth(t, kubeconfig, strings.Fields(tc.args)...); r.code != 1 || !strings.Contains(r.err, tc.says) {
				t.Errorf("exit code %d, want 1 and %q: %s%s", r.code, tc.says, r.out, r.err)
			}
		})
	}
	if stored, dry := w.taken(); len(stored)+len(dry) > 0 {
		t.Errorf("written: %v, %v", stored, dry)
	}
}

// A saved rollback writes what it shows, and nothing else: one that was changed in its file ends before the write.
func TestASavedRollbackIsCarriedOutAsItIsSaved(t *testing.T) {
	for name, tc := range map[string]struct {
		change [2]string
		writes bool
		says   string
	}{
		"as it was":    {writes: true},
		"another hub":  {change: [2]string{"uid-of-hub", "uid-of-another"}, says: "is stale: it is of the hub in cluster"},
		"other values": {change: [2]string{`"mutualTls": true`, `"mutualTls": "x"`}, says: "plan --rollback --out FILE"},
	} {
		t.Run(name, func(t *testing.T) {
			kubeconfig, w := watch(t, map[string][]apifake.Object{"hub": migratedHub("eu")})
			saved := filepath.Join(t.TempDir(), "back.json")
			if r := xcpauth(t, kubeconfig, "plan", "--rollback", "--prove-within", "1ms", "--out", saved); r.code != 0 {
				t.Fatalf("%s%s", r.out, r.err)
			}
			text, err := os.ReadFile(saved)
			if err != nil {
				t.Fatal(err)
			}
			changed := strings.ReplaceAll(string(text), tc.change[0], tc.change[1])
			if tc.change[0] == "" {
				changed = string(text)
			} else if changed == string(text) {
				t.Fatalf("nothing was changed: %s", text)
			}
			if err := os.WriteFile(saved, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			r := xcpauth(t, kubeconfig, "rollback", "--plan", saved, "-y", "--poll", "1ms")
			stored, _ := w.taken()
			wrote := strings.Contains(strings.Join(stored, "\n"), "/managementplanes/")
			if wrote != tc.writes || !strings.Contains(r.out+r.err, tc.says) {
				t.Errorf("exit code %d, wrote %v, want %v and %q\n%s%s", r.code, stored, tc.writes, tc.says, r.out, r.err)
			}
		})
	}
}
