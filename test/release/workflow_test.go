package release

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	imagename "github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"sigs.k8s.io/yaml"
)

// workflow is what is read of a file in .github/workflows.
type workflow struct {
	Jobs map[string]struct {
		Steps []step
	}
}

// step is a step that runs something, where Run says what, or uses an action.
type step struct {
	Name, Uses, Run string
	Env             map[string]string
}

func readWorkflow(t *testing.T, name string) workflow {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", ".github", "workflows", name))
	if err != nil {
		t.Fatal(err)
	}
	var w workflow
	if err := yaml.Unmarshal(b, &w); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return w
}

// runner runs the shell steps of a workflow, as GitHub does, in a directory.
type runner struct {
	workflow
	env []string
	ran []string // job/step
}

// run runs one step of a job in a directory, and returns what it printed and what it set as outputs.
func (r *runner) run(t *testing.T, dir, job, name string, env ...string) (printed, outputs string, err error) {
	t.Helper()
	i := slices.IndexFunc(r.Jobs[job].Steps, func(s step) bool { return s.Name == name })
	if i < 0 {
		t.Fatalf("the job %s has no step %q", job, name)
	}
	s := r.Jobs[job].Steps[i]
	set := filepath.Join(t.TempDir(), "output")
	cmd := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
	cmd.Dir = dir
	cmd.Env = append(append(slices.Clone(r.env), "GITHUB_OUTPUT="+set), env...)
	for name, value := range s.Env {
		if strings.Contains(value, "${{") && value != "${{ github.token }}" {
			t.Fatalf("the step %q has %s=%s, which this runner does not know", s.Name, name, value)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.ReplaceAll(value, "${{ github.token }}", "the token"))
	}
	out, err := cmd.CombinedOutput()
	b, readErr := os.ReadFile(set)
	if readErr != nil && !os.IsNotExist(readErr) {
		t.Fatal(readErr)
	}
	r.ran = append(r.ran, job+"/"+name)
	return string(out), string(b), err
}

// must runs a step that has to pass.
func (r *runner) must(t *testing.T, dir, job, name string, env ...string) (printed, outputs string) {
	t.Helper()
	printed, outputs, err := r.run(t, dir, job, name, env...)
	if err != nil {
		t.Fatalf("%s/%s: %v\n%s", job, name, err, printed)
	}
	return printed, outputs
}

// mustNot runs a step that has to fail and say why.
func (r *runner) mustNot(t *testing.T, dir, job, name, says string, env ...string) {
	t.Helper()
	if out, _, err := r.run(t, dir, job, name, env...); err == nil || !strings.Contains(out, says) {
		t.Errorf("%s/%s: %v, want it to fail and say %q\n%s", job, name, err, says, out)
	}
}

// TestTheReleaseWorkflow runs every shell step of release.yaml, in its order, on a tagged repository of these sources:
// two builds at different places, their comparison, the images into a registry, and the release. Programs that need
// GitHub or Sigstore are replaced by ones that write down how they were called.
func TestTheReleaseWorkflow(t *testing.T) {
	const version = "v0.9.8"
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	team := strings.TrimPrefix(server.URL, "http://") + "/team"
	work := t.TempDir()
	calls := filepath.Join(work, "calls")
	r := &runner{workflow: readWorkflow(t, "release.yaml"), env: runnersEnv(t, work, calls)}
	r.env = append(r.env, "PLATFORMS="+*platforms, "REGISTRY="+team, "GITHUB_REF_NAME="+version,
		"GITHUB_REPOSITORY=xcpauth/kubectl-xcpauth", "GITHUB_ACTOR=somebody", "DOCKER_CONFIG="+work)

	one, two := filepath.Join(work, "one"), filepath.Join(work, "at", "another", "place")
	scratch(t, one, version)
	gitIn(t, work, "clone", "-q", one, two)
	built := r.builds(t, one, filepath.Join(work, "built-one"))
	again := r.builds(t, two, filepath.Join(work, "built-two"))
	r.must(t, work, "compare", "Compare the builds")
	t.Run("what it built", func(t *testing.T) { isComplete(t, filepath.Join(built, "dist")) })

	r.must(t, one, "images", "Log in")
	r.must(t, one, "images", "Push the images")
	r.must(t, one, "images", "Sign the images")
	_, outputs := r.must(t, one, "images", "Name the images")
	r.must(t, built, "release", "Sign the checksums")
	r.must(t, built, "release", "Publish the release")
	r.must(t, built, "release", "Publish the release", "GITHUB_REF_NAME=v0.9.8-rc.1")
	references := strings.Fields(read(t, filepath.Join(one, "dist", "images.txt")))
	if want := pushed(t, team, version, references); outputs != want {
		t.Errorf("the images are named\n%swant\n%s", outputs, want)
	}
	wantCalls(t, calls, references, filepath.Join(built, "dist"))
	r.allRan(t)

	// What must stop it does.
	r.mustNot(t, one, "build", "Check the tag", "names the version v0.9.8", "GITHUB_REF_NAME=v9.9.9")
	gitIn(t, two, "checkout", "-q", "--orphan", "unmerged")
	gitIn(t, two, "commit", "-q", "-m", "not merged")
	gitIn(t, two, "tag", "-f", version)
	r.mustNot(t, two, "build", "Check the tag", "a commit that main does not have")
	if err := os.Remove(filepath.Join(built, "dist", "checksums.txt.sigstore.json")); err != nil {
		t.Fatal(err)
	}
	spoil(t, filepath.Join(again, "dist", "install.yaml"))
	r.mustNot(t, work, "compare", "Compare the builds", "built-two/dist/install.yaml")
	spoil(t, filepath.Join(built, "dist", "install.yaml"))
	r.mustNot(t, work, "compare", "Compare the builds", "install.yaml: FAILED")
}

// builds does the job build in a repository, and puts what it uploads into a directory, which it returns.
func (r *runner) builds(t *testing.T, dir, built string) string {
	t.Helper()
	r.must(t, dir, "build", "Check the tag")
	r.must(t, dir, "build", "Write the notes")
	r.must(t, dir, "build", "Build")
	if changed, err := output(t.Context(), dir, "git", "status", "--porcelain"); err != nil || changed != "?? notes.md" {
		t.Errorf("the build changed the checkout: %s, %v", changed, err)
	}
	if notes := read(t, filepath.Join(dir, "notes.md")); !strings.HasPrefix(notes, "### ") {
		t.Errorf("the notes:\n%s", notes)
	}
	if err := os.CopyFS(filepath.Join(built, "dist"), os.DirFS(filepath.Join(dir, "dist"))); err != nil {
		t.Fatal(err)
	}
	if err := copyFile(filepath.Join(dir, "notes.md"), filepath.Join(built, "notes.md")); err != nil {
		t.Fatal(err)
	}
	return built
}

// pushed looks for the images in the registry, and returns by which outputs the workflow names them.
func pushed(t *testing.T, team, version string, references []string) (outputs string) {
	t.Helper()
	if len(references) != 2 {
		t.Fatalf("images.txt names %q", references)
	}
	for i, program := range []string{"kubectl-xcpauth", "xcpauth-webhook"} {
		_, digest, _ := strings.Cut(references[i], "@")
		outputs += fmt.Sprintf("%[1]s=%[2]s/%[1]s\n%[1]s-digest=%[3]s\n", program, team, digest)
		tag, err := imagename.NewTag(team + "/" + program + ":" + version)
		if err != nil {
			t.Fatal(err)
		}
		if head, err := remote.Head(tag); err != nil || head.Digest.String() != digest {
			t.Errorf("%s is %+v, %v; want %s", tag, head, err, references[i])
		}
	}
	return outputs
}

// wantCalls holds what was written down of the calls of docker, cosign and gh against what they should be.
func wantCalls(t *testing.T, calls string, references []string, dist string) {
	t.Helper()
	files := ""
	for _, name := range entries(t, dist) {
		files += " dist/" + name
	}
	if !strings.Contains(files, " dist/checksums.txt.sigstore.json ") || !strings.Contains(files, " dist/xcpauth.yaml") {
		t.Errorf("published:%s", files)
	}
	release := func(version, prerelease string) string {
		return fmt.Sprintf("gh release create %[1]s --repo xcpauth/kubectl-xcpauth --verify-tag --title %[1]s "+
			"--notes-file notes.md%[2]s", version, prerelease) + files
	}
	want := []string{
		"docker login ghcr.io --username somebody --password-stdin",
		"cosign sign --yes " + strings.Join(references, " "),
		"cosign sign-blob --yes --bundle dist/checksums.txt.sigstore.json dist/checksums.txt",
		release("v0.9.8", ""), release("v0.9.8-rc.1", " --prerelease"),
	}
	if got := strings.Split(strings.TrimSpace(read(t, calls)), "\n"); !slices.Equal(got, want) {
		t.Errorf("called:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// allRan is an error for each shell step that was not run.
func (r *runner) allRan(t *testing.T) {
	t.Helper()
	for job, j := range r.Jobs {
		for _, s := range j.Steps {
			if s.Run != "" && !slices.Contains(r.ran, job+"/"+s.Name) {
				t.Errorf("the shell step %q of the job %s was not run: run it here", s.Name, job)
			}
		}
	}
}

// runnersEnv is the environment of a runner: this one, without what a make that runs this test passes on, and with
// docker, cosign and gh that write down how they were called.
func runnersEnv(t *testing.T, work, calls string) []string {
	t.Helper()
	bin := filepath.Join(work, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, does := range map[string]string{
		"docker": `[ "$(cat)" = "the token" ]`,
		"cosign": `[ "$1" = sign ] || echo bundle >"$4"`,
		"gh":     `[ "$GH_TOKEN" = "the token" ] && test -s notes.md`,
	} {
		script := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >>'%s'\n%s\n", name, calls, does)
		if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var env []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PATH":
		default:
			env = append(env, kv)
		}
	}
	return append(env, "LC_ALL=C", "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
}

// spoil changes a file.
func spoil(t *testing.T, file string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(read(t, file)+"# another\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// entries are the names of a directory's files, as a shell sorts them in the C locale.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names
}
