package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestVersionFollowsTheTag(t *testing.T) {
	for _, c := range []struct {
		described string
		dirty     bool
		want      string
	}{
		{"6e1342caa997", false, "v0.1.0-snapshot.g6e1342caa997"},
		{"6e1342caa997", true, "v0.1.0-snapshot.g6e1342caa997.dirty"},
		{"012345678901", false, "v0.1.0-snapshot.g012345678901"}, // without the g a number with a leading zero
		{"v0.1.0-0-g6e1342caa997", false, "v0.1.0"},
		{"v0.1.0-0-g6e1342caa997", true, "v0.1.1-snapshot.dirty"},
		{"v0.1.9-4-g6e1342caa997", false, "v0.1.10-snapshot.4.g6e1342caa997"},
		{"v0.1.9-4-g6e1342caa997", true, "v0.1.10-snapshot.4.g6e1342caa997.dirty"},
		{"v1.0.0-rc.1-0-g6e1342caa997", false, "v1.0.0-rc.1"},
		{"v1.0.0-rc.1-2-g6e1342caa997", false, "v1.0.0-rc.1.snapshot.2.g6e1342caa997"},
		{"v2-3-g6e1342caa997", false, "v0.1.0-snapshot.g6e1342caa997"}, // a tag that is no version
		{"v1.0.0+meta-0-g6e1342caa997", false, "v0.1.0-snapshot.g6e1342caa997"},
	} {
		got := versionOf(c.described, c.dirty)
		if got != c.want {
			t.Errorf("%s, dirty %t: got %s, want %s", c.described, c.dirty, got, c.want)
		}
		if !semver.MatchString(got) {
			t.Errorf("%s, dirty %t: %s is not a semantic version", c.described, c.dirty, got)
		}
	}
}

func TestSemverIsStrict(t *testing.T) {
	for version, want := range map[string]bool{
		"v0.1.0": true, "v10.20.30": true, "v1.0.0-rc.1": true, "v1.0.0-0a": true, "v1.0.0--": true,
		"0.1.0": false, "v0.1": false, "v01.0.0": false, "v1.0.0-": false, "v1.0.0-a.": false, "v1.0.0-01": false,
		"v1.0.0+x": false, "v1.0.0 ": false, "v1.0.0\n": false, "v1.0.0/../x": false, "": false,
	} {
		if got := semver.MatchString(version); got != want {
			t.Errorf("%q: got %t, want %t", version, got, want)
		}
	}
}

func TestBuildIsNamedByGit(t *testing.T) {
	root := t.TempDir()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
			"GIT_COMMITTER_DATE=2026-01-31T12:00:00+02:00")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	named := func(given build, date string) build {
		t.Helper()
		b, err := name(root, given, date, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if got := named(build{}, ""); got != (build{Version: "v0.1.0-snapshot", Commit: "unknown", Date: epoch}) {
		t.Errorf("outside a repository: got %+v", got)
	}

	git("init", "-q")
	write("a.go", "package a\n")
	git("add", ".")
	git("commit", "-q", "-m", "one")
	head := git("rev-parse", "HEAD")
	snapshot := "v0.1.0-snapshot.g" + head[:12]
	if got := named(build{}, ""); got.Version != snapshot || got.Commit != head ||
		got.Date.Format("2006-01-02T15:04:05Z07:00") != "2026-01-31T10:00:00Z" {
		t.Errorf("a commit without a tag: got %+v, want %s of %s at 10:00 UTC", got, snapshot, head)
	}
	write("notes.txt", "not git's\n")
	if got := named(build{}, ""); got.Version != snapshot {
		t.Errorf("a file that git does not track: got %s, want %s", got.Version, snapshot)
	}
	write("a.go", "package b\n")
	if got := named(build{}, ""); got.Version != snapshot+".dirty" {
		t.Errorf("a tracked file differs: got %s, want %s.dirty", got.Version, snapshot)
	}
	git("checkout", "-q", ".")
	git("tag", "v0.2.0")
	if got := named(build{}, ""); got.Version != "v0.2.0" {
		t.Errorf("a tag on the commit: got %s, want v0.2.0", got.Version)
	}
	given := build{Version: "v9.9.9", Commit: "c"}
	if got := named(given, "2020-02-02T02:02:02Z"); got.Version != "v9.9.9" || got.Commit != "c" ||
		got.Date.Year() != 2020 {
		t.Errorf("flags win over git: got %+v", got)
	}
	for _, bad := range []struct {
		given build
		date  string
	}{{build{Version: "1.0"}, ""}, {build{}, "yesterday"}, {build{}, "1979-12-31T00:00:00Z"}} {
		if got, err := name(root, bad.given, bad.date, io.Discard); err == nil {
			t.Errorf("%+v: got %+v, want an error", bad, got)
		}
	}
}
