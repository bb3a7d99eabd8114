package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// KrewInstall builds the archive and the manifest of this platform, and installs them with `kubectl krew install
// --manifest --archive`. Everything it writes is below dir. It returns the directory that a user has in PATH: with it,
// and with kubectl, `kubectl xcpauth` is what krew installed.
//
// Steps:
//  1. Find kubectl and krew, building them first when this machine has none yet (minutes for kubectl, seconds for
//     krew).
//  2. Build the archive and the manifest.
//  3. Install into an empty krew root.
func KrewInstall(ctx context.Context, dir string) (binDir string, err error) {
	t, err := findTools(ctx)
	if err != nil {
		return "", err
	}
	dist := filepath.Join(dir, "dist")
	if err := Build(ctx, "-dist", dist, "-platforms", runtime.GOOS+"/"+runtime.GOARCH); err != nil {
		return "", err
	}
	archive, err := only(filepath.Join(dist, "kubectl-xcpauth_*.tar.gz"))
	if err != nil {
		return "", err
	}
	root := filepath.Join(dir, "krew")
	cmd := exec.CommandContext(ctx, t.kubectl, "krew", "install", "--manifest", filepath.Join(dist, "xcpauth.yaml"),
		"--archive", archive)
	cmd.Env = t.env(root)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("installing with krew: %w\n%s", err, out)
	}
	return filepath.Join(root, "bin"), nil
}

// Build runs the release program of this checkout with the given flags.
func Build(ctx context.Context, flags ...string) error {
	root, err := checkout(ctx)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", append([]string{"run", "./krew/release"}, flags...)...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the release: %w\n%s", err, out)
	}
	return nil
}

// tools are the real programs.
type tools struct {
	kubectl  string // file
	krewDir  string // holds kubectl-krew
	validate string // krew's validate-krew-manifest
}

// env is the environment of a user whose krew root is the given directory.
func (t tools) env(krewRoot string) []string {
	var env []string
	for _, kv := range os.Environ() {
		switch name, _, _ := strings.Cut(kv, "="); name {
		case "PATH", "KUBECONFIG", "KREW_ROOT", "KREW_OS", "KREW_ARCH":
		default:
			env = append(env, kv)
		}
	}
	path := strings.Join([]string{filepath.Join(krewRoot, "bin"), t.krewDir, filepath.Dir(t.kubectl), os.Getenv("PATH")},
		string(os.PathListSeparator))
	return append(env, "PATH="+path, "KREW_ROOT="+krewRoot, "KREW_NO_UPGRADE_CHECK=1", "KUBECONFIG="+os.DevNull)
}

// findTools finds the real programs, built where they are not cached. krew is kept in the user's cache under the
// digest of what it was built from; two builds at once make the same files, and the first to finish wins.
func findTools(ctx context.Context) (tools, error) {
	root, err := checkout(ctx)
	if err != nil {
		return tools{}, err
	}
	kubernetes, err := output(ctx, filepath.Join(root, "test", "k8s"), "go", "run", ".")
	if err != nil {
		return tools{}, fmt.Errorf("finding kubectl: %w", err)
	}
	module := filepath.Join(root, "test", "release", "krew")
	h := sha256.New()
	for _, file := range []string{"go.mod", "go.sum"} {
		b, err := os.ReadFile(filepath.Join(module, file))
		if err != nil {
			return tools{}, fmt.Errorf("reading what krew is built from: %w", err)
		}
		h.Write(b)
	}
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	cache, err := os.UserCacheDir()
	if err != nil {
		return tools{}, fmt.Errorf("finding the cache directory: %w; set XDG_CACHE_HOME", err)
	}
	dir := filepath.Join(cache, "kubectl-xcpauth", "krew-"+hex.EncodeToString(h.Sum(nil))[:12])
	found := tools{kubectl: filepath.Join(kubernetes, "kubectl"), krewDir: dir,
		validate: filepath.Join(dir, "validate-krew-manifest")}
	if _, err := os.Stat(dir); err == nil {
		return found, nil
	}
	part, err := os.MkdirTemp(mkdir(filepath.Dir(dir)), "krew-part-")
	if err != nil {
		return tools{}, fmt.Errorf("making the cache directory: %w", err)
	}
	defer os.RemoveAll(part)
	for name, pkg := range map[string]string{"kubectl-krew": "sigs.k8s.io/krew/cmd/krew",
		"validate-krew-manifest": "sigs.k8s.io/krew/cmd/validate-krew-manifest"} {
		if _, err := output(ctx, module, "go", "build", "-mod=readonly", "-trimpath", "-o", filepath.Join(part, name),
			pkg); err != nil {
			return tools{}, fmt.Errorf("building krew: %w", err)
		}
	}
	if err := os.Rename(part, dir); err != nil {
		if _, statErr := os.Stat(found.validate); statErr != nil {
			return tools{}, fmt.Errorf("placing krew: %w", err)
		}
	}
	return found, nil
}

// mkdir makes the directory if it can and returns its name; using it tells what was wrong.
func mkdir(dir string) string {
	os.MkdirAll(dir, 0o755)
	return dir
}

// checkout is the root of the checkout that the working directory is in.
func checkout(ctx context.Context) (string, error) {
	mod, err := output(ctx, "", "go", "env", "GOMOD")
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	return filepath.Dir(mod), nil
}

// output runs a command of the go tool without cgo or a workspace and returns what it printed, trimmed.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stderr = dir, &errs
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, errs.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// only is the one file of that pattern.
func only(pattern string) (string, error) {
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("looking for one file %s: found %q: %w", pattern, files, err)
	}
	return files[0], nil
}
