package release

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// scratch makes a repository of the sources of this checkout as they are now, with a section of the changelog for the
// version and the version's tag on its one commit, which main has.
func scratch(t *testing.T, dir, version string) {
	t.Helper()
	root, err := checkout(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listed, err := output(t.Context(), root, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range strings.Split(strings.Trim(listed, "\x00"), "\x00") {
		if err := copyFile(filepath.Join(root, name), filepath.Join(dir, name)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err) // what is deleted and not committed yet is not there
		}
	}
	file := filepath.Join(dir, "CHANGELOG.md")
	changelog, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const head = "## [Unreleased]\n"
	if n := strings.Count(string(changelog), head); n != 1 {
		t.Fatalf("CHANGELOG.md has %q %d times, want once", head, n)
	}
	released := strings.Replace(string(changelog), head,
		head+"\n## ["+strings.TrimPrefix(version, "v")+"] - 2026-01-31\n", 1)
	if err := os.WriteFile(file, []byte(released), 0o644); err != nil {
		t.Fatal(err)
	}
	gitIn(t, dir, "init", "-q", "-b", "main")
	gitIn(t, dir, "add", "-A")
	gitIn(t, dir, "commit", "-q", "-m", "release "+version)
	gitIn(t, dir, "tag", version)
	gitIn(t, dir, "update-ref", "refs/remotes/origin/main", "HEAD")
}

func copyFile(from, to string) error {
	st, err := os.Stat(from)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, st.Mode().Perm())
}

// gitIn runs git as nobody in particular, at one moment.
func gitIn(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GIT_AUTHOR_DATE=2026-01-31T10:00:00Z", "GIT_COMMITTER_DATE=2026-01-31T10:00:00Z")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %q: %v\n%s", args, err, out)
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
