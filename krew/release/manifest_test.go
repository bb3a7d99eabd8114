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

// The manifest has each platform, with where its archive is and what that is called in it.
func TestTheManifestDescribesEveryPlatform(t *testing.T) {
	m := manifest{Version: "v1.2.3", CompletionCommand: completionCommand}
	for _, at := range all {
		a := artifact{at, plugin}
		m.Platforms = append(m.Platforms, entry{OS: at.OS, Arch: at.Arch, URI: "https://example.com/" + a.archive(named),
			SHA256: digest([]byte(at.OS + at.Arch)), Bin: a.binary()})
	}
	rendered, err := m.render(readTemplate(t))
	if err != nil {
		t.Fatal(err)
	}
	var read struct {
		Metadata struct{ Name string }
		Spec     struct {
			Version   string
			Platforms []struct {
				Selector         struct{ MatchLabels platform }
				URI, SHA256, Bin string
			}
		}
	}
	if err := yaml.UnmarshalStrict(rendered, &struct {
		APIVersion, Kind string
		Metadata, Spec   any
	}{}); err != nil {
		t.Error(err)
	}
	if err := yaml.Unmarshal(rendered, &read); err != nil {
		t.Fatal(err)
	}
	if read.Metadata.Name != "xcpauth" || read.Spec.Version != "v1.2.3" || len(read.Spec.Platforms) != 6 {
		t.Errorf("name %s, version %s, %d platforms", read.Metadata.Name, read.Spec.Version, len(read.Spec.Platforms))
	}
	for i, p := range read.Spec.Platforms {
		at := p.Selector.MatchLabels
		if got := (entry{at.OS, at.Arch, p.URI, p.SHA256, p.Bin}); got != m.Platforms[i] {
			t.Errorf("got %+v, want %+v", got, m.Platforms[i])
		}
	}
}

// Nothing of a release is in the tree: what describes its archives is in dist, and git sees no difference.
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
		if name, _, _ := strings.Cut(strings.TrimLeft(f, "-"), "="); name == "dist" || name == "root" {
			t.Errorf("make release-snapshot passes %s; it writes to dist alone", f)
		}
	}
	if _, err := git("../..", "check-ignore", "dist/xcpauth.yaml"); err != nil {
		t.Errorf("git does not ignore dist: %v", err)
	}
	if kept, err := git("../..", "grep", "-lE", "[0-9a-f]{64}", "--", "krew", "manifests"); err == nil {
		t.Errorf("a digest is kept in the tree: %s", kept)
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
