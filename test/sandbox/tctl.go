package sandbox

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// startTctl puts the fake tctl on PATH, logged in to the hub by its profile "default".
func (s *Sandbox) startTctl(ctx context.Context) error {
	fmt.Fprintln(s.options.Log, "Building the stand-in for tctl ...")
	if err := Build(ctx, "./test/faketctl", filepath.Join(s.BinDir(), "tctl")); err != nil {
		return err
	}
	if err := s.TctlProfile(ctx, "default", hub, s.options.Installation.Host+":8443"); err != nil {
		return err
	}
	return os.Remove(s.tctlLog()) // what the sandbox itself ran
}

// TctlProfile adds a profile, or changes it, and makes it the current one: it leads to the management plane of a
// context, which it knows under an address ("host:port").
func (s *Sandbox) TctlProfile(ctx context.Context, name, context, address string) error {
	for _, args := range [][]string{
		{"config", "clusters", "set", name, "--bridge-address", address, "--context", context},
		{"config", "profiles", "set", name, "--cluster", name, "--username", "admin"},
		{"config", "profiles", "set-current", name},
	} {
		cmd := exec.CommandContext(ctx, filepath.Join(s.BinDir(), "tctl"), args...)
		cmd.Env = s.Env()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("setting up tctl (%v): %w\n%s", args, err, out)
		}
	}
	return nil
}

// TctlRuns returns the arguments of every run of tctl since it was put there, oldest first.
func (s *Sandbox) TctlRuns() (runs [][]string, err error) {
	b, err := os.ReadFile(s.tctlLog())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading tctl's log: %w", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var args []string
		if err := json.Unmarshal(lines.Bytes(), &args); err != nil {
			return nil, fmt.Errorf("reading tctl's log: %w", err)
		}
		runs = append(runs, args)
	}
	return runs, lines.Err()
}

func (s *Sandbox) tctlLog() string { return filepath.Join(s.Dir, "tctl.log") }

// tctlEnv is what the fake reads.
func (s *Sandbox) tctlEnv() []string {
	return []string{
		"TCTL_CONFIG=" + filepath.Join(s.Dir, "tctl.yaml"), "FAKETCTL_LOG=" + s.tctlLog(),
		"FAKETCTL_KUBECONFIG=" + s.Bed.Kubeconfig, "FAKETCTL_VERSION=" + s.options.Tctl,
	}
}
