package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Binaries returns the directory with kube-apiserver, kube-controller-manager, kubectl, etcd and cert-manager,
// building them first when this machine has none yet (minutes; progress goes to log). It runs test/k8s, found from
// the working directory upwards.
func Binaries(ctx context.Context, log io.Writer) (string, error) {
	src, err := k8sModule()
	if err != nil {
		return "", err
	}
	var out, said bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "run", ".")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "GOWORK=off")
	cmd.Stdout, cmd.Stderr = &out, io.MultiWriter(log, &said)
	cmd.WaitDelay = time.Second // an interrupted build finishes its current binary by itself; do not wait for that
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("building Kubernetes (go run . in %s): %w\n%s", src, err, lastLines(said.Bytes(), 30))
	}
	return strings.TrimSpace(out.String()), nil
}

// k8sModule returns the directory test/k8s of the checkout that the working directory is in.
func k8sModule() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding test/k8s: %w", err)
	}
	for from := dir; ; dir = filepath.Dir(dir) {
		src := filepath.Join(dir, "test", "k8s")
		_, err := os.Stat(filepath.Join(src, "go.mod"))
		if err == nil {
			return src, nil
		}
		if !errors.Is(err, os.ErrNotExist) {
			return "", fmt.Errorf("finding test/k8s: %w", err)
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no test/k8s in %s or above: run this inside the checkout", from)
		}
	}
}

// tail returns the last n lines of a file, or why there are none.
func tail(path string, n int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return lastLines(b, n)
}

func lastLines(b []byte, n int) string {
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
