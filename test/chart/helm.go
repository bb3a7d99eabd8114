package chart

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Helm is the path of the real helm, built from its module where this machine has none yet (about two minutes), and of
// the chart in this checkout.
func Helm(ctx context.Context) (helm, chart string, err error) {
	top := exec.CommandContext(ctx, "git", "rev-parse", "--show-toplevel")
	out, err := top.Output()
	if err != nil {
		return "", "", fmt.Errorf("finding the checkout: %w", err)
	}
	root := strings.TrimSpace(string(out))
	var errs bytes.Buffer
	build := exec.CommandContext(ctx, "go", "tool", "-n", "helm")
	build.Dir, build.Stderr = filepath.Join(root, "test", "helm"), &errs
	if out, err = build.Output(); err != nil {
		return "", "", fmt.Errorf("building helm: %w\n%s", err, errs.String())
	}
	return strings.TrimSpace(string(out)), filepath.Join(root, "chart"), nil
}
