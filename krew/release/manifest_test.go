package main

import (
	"os"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func readTemplate(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../xcpauth.yaml.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestManifestInTheTreeIsRendered holds krew/xcpauth.yaml to the template: rendered for its own version and sums, it is
// what the program writes.
func TestManifestInTheTreeIsRendered(t *testing.T) {
	committed, err := os.ReadFile("../xcpauth.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Spec struct {
			Version   string
			Platforms []struct {
				Selector         struct{ MatchLabels platform }
				URI, SHA256, Bin string
			}
		}
	}
	if err := yaml.Unmarshal(committed, &read); err != nil {
		t.Fatal(err)
	}
	m := manifest{Version: read.Spec.Version, CompletionCommand: completionCommand}
	for _, p := range read.Spec.Platforms {
		at := p.Selector.MatchLabels
		m.Platforms = append(m.Platforms, entry{OS: at.OS, Arch: at.Arch, URI: p.URI, SHA256: p.SHA256, Bin: p.Bin})
		a := artifact{at, plugin}
		want := "https://github.com/xcpauth/kubectl-xcpauth/releases/download/" + m.Version + "/" +
			a.archive(build{Version: m.Version})
		if p.URI != want || p.Bin != a.binary() {
			t.Errorf("%s/%s: %s with %s, want %s with %s", at.OS, at.Arch, p.URI, p.Bin, want, a.binary())
		}
	}
	rendered, err := m.render(readTemplate(t))
	if err != nil {
		t.Fatal(err)
	}
	if string(rendered) != string(committed) {
		t.Errorf("krew/xcpauth.yaml is not what its template gives; run: go run ./krew/release -manifest "+
			"krew/xcpauth.yaml.\nrendered:\n%s", rendered)
	}
}

// A snapshot is for one who tries it: what it describes is in dist, and git sees no difference. The manifest in the
// tree is a release's.
func TestASnapshotWritesNothingIntoTheTree(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, found := strings.Cut(string(makefile), "\nrelease-snapshot:")
	recipe, _, _ = strings.Cut(recipe, "\n\n")
	_, flags, runs := strings.Cut(recipe, "./krew/release ")
	if !found || !runs {
		t.Fatalf("the Makefile has no release-snapshot that runs ./krew/release:\n%s", recipe)
	}
	for _, f := range strings.Fields(flags) {
		if name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "="); name == "manifest" || name == "dist" || name == "root" {
			t.Errorf("make release-snapshot passes %s; it writes to dist alone", f)
		}
	}
	if _, err := git("../..", "check-ignore", "dist/xcpauth.yaml"); err != nil {
		t.Errorf("git does not ignore dist: %v", err)
	}
}

func TestTemplateErrorsAreReported(t *testing.T) {
	for _, bad := range []string{"{{.Nothing}}", "{{"} {
		if got, err := (manifest{}).render(bad); err == nil {
			t.Errorf("%s: got %q, want an error", bad, got)
		}
	}
}

func TestCaveatsCarryTheCompletionCommandOnce(t *testing.T) {
	got, err := manifest{CompletionCommand: completionCommand}.render(readTemplate(t))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(got), completionCommand); n != 1 {
		t.Errorf("the completion command is there %d times, want once", n)
	}
}
