// Command k8s makes sure that real Kubernetes binaries exist on this machine and prints the directory that holds them.
//
// Steps:
//  1. Take each binary from $KUBEBUILDER_ASSETS where it is there (the convention of envtest).
//  2. Name the rest by content: the pinned versions, the toolchain and the platform; look in the user's cache.
//  3. Build what is missing from the Go module proxy, one binary at a time (a link takes 2 GB), under a lock so
//     that two test processes never build the same thing twice.
//  4. Copy cert-manager's CRDs from its module, beside its binary, to the directory cert-manager-crds.
//
// Progress goes to stderr, the directory alone to stdout. It needs nothing but the standard library.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// version is the Kubernetes release; it must be the one that go.mod requires (checked below).
const version = "v1.37.1"

// binary is one program to build: its file name, its main package and what building it first takes on two cores.
type binary struct{ name, pkg, cost string }

var binaries = []binary{
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver", "about 4 minutes"},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager", "about 1 minute"},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl", "about 20 seconds"},
	{"etcd", "./etcd", "about 10 seconds"},
	{"cert-manager", "./cert-manager", "about 15 seconds"},
}

// certManager is the module of cert-manager, which go.mod pins; crdsDir is where its CRDs are copied to.
const (
	certManager = "github.com/cert-manager/cert-manager"
	crdsDir     = "cert-manager-crds"
)

func main() {
	dir, err := ensure()
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}

// ensure returns a directory that holds every binary.
func ensure() (string, error) {
	digest, err := contentDigest()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the cache directory: %w; set XDG_CACHE_HOME", err)
	}
	dir := filepath.Join(cache, "kubectl-xcpauth", "k8s-"+version+"-"+digest)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("making the cache directory: %w", err)
	}
	unlock, err := lock(filepath.Join(dir, "lock"))
	if err != nil {
		return "", err
	}
	defer unlock()

	var missing []binary
	for _, b := range binaries {
		if present(filepath.Join(dir, b.name)) {
			continue
		}
		if given := filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), b.name); os.Getenv("KUBEBUILDER_ASSETS") != "" &&
			present(given) {
			if err := link(given, filepath.Join(dir, b.name)); err != nil {
				return "", err
			}
			continue
		}
		missing = append(missing, b)
	}
	if len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "Building Kubernetes %s from its modules, once, into %s (about 6 minutes on two cores).\n",
			version, dir)
	}
	for i, b := range missing {
		fmt.Fprintf(os.Stderr, "  [%d/%d] %s: %s ...\n", i+1, len(missing), b.name, b.cost)
		began := time.Now()
		if err := build(b, filepath.Join(dir, b.name)); err != nil {
			return "", err
		}
		fmt.Fprintf(os.Stderr, "  [%d/%d] %s: done in %s\n", i+1, len(missing), b.name, time.Since(began).Round(time.Second))
	}
	return dir, copyCRDs(filepath.Join(dir, crdsDir))
}

// copyCRDs copies deploy/crds of the pinned cert-manager module, whole or not at all; what is there already is of
// that version.
func copyCRDs(to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	out, err := exec.Command("go", "mod", "download", "-json", certManager).Output()
	var module struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &module)
	}
	if err != nil {
		return fmt.Errorf("finding the module %s: %w", certManager, err)
	}
	part := to + ".part"
	for _, step := range []func() error{
		func() error { return os.RemoveAll(part) },
		func() error { return os.CopyFS(part, os.DirFS(filepath.Join(module.Dir, "deploy", "crds"))) },
		func() error { return os.Rename(part, to) },
	} {
		if err := step(); err != nil {
			return fmt.Errorf("copying the CRDs of %s: %w", certManager, err)
		}
	}
	return nil
}

// contentDigest names what a build depends on: the pinned modules, our own mains, where binaries are taken from, the
// toolchain and the platform. It also refuses a go.mod that no longer requires version.
func contentDigest() (string, error) {
	h := sha256.New()
	for _, f := range []string{"go.mod", "go.sum", filepath.Join("etcd", "main.go"),
		filepath.Join("cert-manager", "main.go")} {
		b, err := os.ReadFile(f)
		if err != nil {
			return "", fmt.Errorf("reading %s (run this in test/k8s): %w", f, err)
		}
		if f == "go.mod" && !strings.Contains(string(b), "k8s.io/kubernetes "+version) {
			return "", fmt.Errorf("go.mod does not require k8s.io/kubernetes %s: change the constant in main.go with it",
				version)
		}
		h.Write(b)
	}
	fmt.Fprintln(h, runtime.Version(), runtime.GOOS, runtime.GOARCH, os.Getenv("KUBEBUILDER_ASSETS"))
	return hex.EncodeToString(h.Sum(nil))[:12], nil
}

// build compiles one binary beside its place and renames it there, so that a killed build leaves nothing half done.
func build(b binary, to string) error {
	var x []string
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	for _, p := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, kv := range []string{"gitVersion=" + version, "gitMajor=" + major, "gitMinor=" + minor,
			"gitCommit=gomod", "gitTreeState=clean", "buildDate=1970-01-01T00:00:00Z"} {
			x = append(x, "-X "+p+"."+kv)
		}
	}
	part := to + ".part"
	cmd := exec.Command("go", "build", "-mod=readonly", "-trimpath", "-ldflags", "-s -w "+strings.Join(x, " "),
		"-o", part, b.pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", b.name, err)
	}
	if err := os.Rename(part, to); err != nil {
		return fmt.Errorf("placing %s: %w", b.name, err)
	}
	return nil
}

func present(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

func link(from, to string) error {
	abs, err := filepath.Abs(from)
	if err != nil {
		return fmt.Errorf("resolving %s: %w", from, err)
	}
	os.Remove(to)
	if err := os.Symlink(abs, to); err != nil {
		return fmt.Errorf("using %s from KUBEBUILDER_ASSETS: %w", from, err)
	}
	return nil
}

// lock holds the file until unlock is called or the process ends; a second process waits and says so.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the build lock: %w", err)
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		io.WriteString(os.Stderr, "Waiting for another build of Kubernetes to finish ...\n")
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, fmt.Errorf("waiting for the build lock %s: %w", path, err)
		}
	}
	return func() { f.Close() }, nil
}
