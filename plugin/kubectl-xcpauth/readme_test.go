package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// page is a page of the documentation.
type page struct{ name, text string }

// pages are README.md, CONTRIBUTING.md and those below docs.
func pages(t *testing.T) []page {
	t.Helper()
	root := filepath.Join("..", "..")
	names := []string{filepath.Join(root, "README.md"), filepath.Join(root, "CONTRIBUTING.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			names = append(names, path)
		}
		return err
	})
	if err != nil || len(names) < 20 {
		t.Fatalf("%d pages were found: %v", len(names), err)
	}
	var all []page
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			t.Fatal(err)
		}
		if rel = filepath.ToSlash(rel); rel != help {
			all = append(all, page{rel, string(text)})
		}
	}
	return all
}

// help is the page that is made of the help of every command. What it shows is read where it is written, in the sources
// of the plugin.
const help = "docs/reference/commands.md"

// Every command of check and token that a page shows is run as it is there.
func TestREADMECommandsOfCheckAndToken(t *testing.T) {
	text := ""
	for _, page := range pages(t) {
		text += page.text
	}
	m := newMint(t)
	jwt := m.token(t, time.Hour)
	t.Setenv("KUBECONFIG", serve(t, map[string]*apifake.Server{
		"hub": apifake.Start(append(apifake.Hub("edge-1"), apifake.Secret("tsb", "iam-signing-key",
			map[string]string{"private.key": m.private}))...),
		"edge-1": apifake.Start(append(apifake.Edge("edge-1"), apifake.Secret("istio-system", "xcp-edge-central-auth-token",
			map[string]string{"jwt": jwt}))...)}, nil))
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"edge-1.jwt": jwt, "iam.pub": m.public,
		"revoked.txt": "af18923a-34ab-4a3a-8e0b-7a5d0b0f3d01\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	zones, _ := meshFleet(t)
	// what changes something asks first
	ofZones := map[string]int{"token list": 0, "token revoke": exitRefused, "key list": 0, "key rotate": exitRefused,
		"key retire": exitRefused}
	n := 0
	for line := range strings.Lines(text) {
		rest, ours := strings.CutPrefix(line, "kubectl xcpauth ")
		rest, _, _ = strings.Cut(rest, " # ")
		args := strings.Fields(rest)
		if !ours || (args[0] != "check" && args[0] != "token" && args[0] != "key") {
			continue
		}
		n++
		want := map[string]int{"check": 5}[args[0]] // the fleet has errors; the token is valid
		if strings.HasPrefix(rest, "token rotate") {
			want = exitRefused // the fleet presents certificates
		}
		if strings.HasPrefix(rest, "token issue") && !strings.Contains(rest, "--key-file") {
			// what is here of a global issues nothing: test/e2e/mesh has one that does
			want, args = 1, append([]string{"--kubeconfig", zones}, args...)
		}
		if code, mesh := ofZones[strings.Join(args[:min(2, len(args))], " ")]; mesh {
			want, args = code, append([]string{"--kubeconfig", zones}, args...)
		}
		if r := xcpauth(t, "", args...); r.code != want {
			t.Errorf("%s: exit code %d, want %d\n%s%s", line, r.code, want, r.out, r.err)
		}
	}
	if n < 20 {
		t.Errorf("only %d commands were found", n)
	}
}
