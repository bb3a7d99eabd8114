package supply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// Tctl has the vendor's CLI make credentials. Every run of it names a cluster and a profile, never makes a cluster,
// never takes default values for what it was not given, and has no terminal to ask on.
type Tctl struct {
	Program string        // its path
	Profile string        // "" takes the current one
	Within  time.Duration // how long one run of it may take

	slots   chan struct{}
	mu      sync.Mutex
	checked map[string]profile // by the hosts that were asked about
	version *[2]int
}

// profile is what is known of the profile in use.
type profile struct {
	name string
	said string // what the check rests on
}

// sideBySide is how many runs of tctl there are at a time.
const sideBySide = 4

// NewTctl finds the program.
func NewTctl(program, profileName string) (*Tctl, error) {
	path, err := exec.LookPath(program)
	if err != nil {
		return nil, fmt.Errorf("tctl is not found as %q (%w); put it on PATH, or name it with --tctl=PATH", program, err)
	}
	return &Tctl{Program: path, Profile: profileName, Within: 2 * time.Minute, slots: make(chan struct{}, sideBySide),
		checked: map[string]profile{}}, nil
}

// From implements apply.Supplier.
func (t *Tctl) From() string {
	if t.Profile != "" {
		return "tctl (profile " + t.Profile + ")"
	}
	return "tctl (its current profile)"
}

// Makes implements apply.Supplier: each service account key is a new one.
func (t *Tctl) Makes() bool { return true }

// Secrets implements apply.Supplier:
//
//  1. see that the profile leads to the hub of the member, or end;
//  2. tctl install manifest control-plane-secrets: of what it prints the wanted secrets are taken, and the rest is
//     named;
//  3. tctl install cluster-service-account, where no valid account lies in the cluster: its secret is made of the key,
//     which is read from tctl's output and never put on a command line (older than 1.5 there are none, and the manifest
//     has the token).
func (t *Tctl) Secrets(ctx context.Context, s plan.Supply) (secrets []map[string]any, said []string, err error) {
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	p, accounts, err := t.prepare(ctx, s.Hosts)
	if err != nil {
		return nil, nil, err
	}
	said = append(said, p.said)
	var taken state.Manifest
	printed, failed := t.run(ctx, p.name, "install", "manifest", "control-plane-secrets", "--cluster", s.ClusterName,
		"--controlplane", s.Namespace, "--create-cluster=false")
	if failed == nil {
		if taken, err = state.ReadManifest(printed, s, time.Now()); err != nil {
			return nil, said, fmt.Errorf("the manifest that it prints: %w", err)
		}
		said = append(said, leftAlone(taken.Ignored, "tctl's manifest")...)
	}
	switch wantsAccount := slices.Contains(s.Wants, state.ServiceAccountSecret); {
	case failed != nil && (!wantsAccount || !accounts || ctx.Err() != nil):
		return nil, said, failed
	case failed != nil:
		said = append(said, "tctl prints no manifest, and a service account is enough: "+failed.Error())
		fallthrough
	case wantsAccount && accounts:
		key, err := t.run(ctx, p.name, "install", "cluster-service-account", "--cluster", s.ClusterName,
			"--create-cluster=false")
		if err != nil {
			return nil, said, err
		}
		account, err := state.ServiceAccount(key, s)
		if err != nil {
			return nil, said, fmt.Errorf("what tctl install cluster-service-account prints: %w", err)
		}
		taken.Secrets = append(taken.Secrets, account)
	}
	if why := taken.Lacks(s); why != "" {
		return nil, said, errors.New(why)
	}
	return taken.Secrets, said, nil
}

// prepare looks once at the profile and the version.
func (t *Tctl) prepare(ctx context.Context, hosts []string) (p profile, accounts bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	host := strings.Join(hosts, " ")
	p, known := t.checked[host]
	if !known {
		if p, err = t.check(ctx, hosts); err != nil {
			return p, false, err
		}
		t.checked[host] = p
	}
	if t.version == nil {
		out, err := t.run(ctx, p.name, "version") // it prints its own version even when it cannot log in
		v := versionOf(out)
		if v == nil && ctx.Err() != nil {
			return p, false, err
		}
		if v == nil {
			v = &[2]int{1, 5} // whatever it is, it is not from before 2022
		}
		t.version = v
	}
	return p, t.version[0] > 1 || t.version[1] >= 5, nil
}

var versionLine = regexp.MustCompile(`(?m)^TCTL version:\s*v?(\d+)\.(\d+)`)

// versionOf reads the version from what `tctl version` prints (seen in public logs), nil when it is not there.
func versionOf(out []byte) *[2]int {
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return nil
	}
	major, err1 := strconv.Atoi(string(m[1]))
	minor, err2 := strconv.Atoi(string(m[2]))
	if err1 != nil || err2 != nil {
		return nil
	}
	return &[2]int{major, minor}
}

// maxPrinted is how much of what tctl prints is kept: more is no manifest.
const maxPrinted = maxFile + 1

// run runs tctl with a profile, "" for none, and returns what it printed. Its error says what tctl said, redacted.
func (t *Tctl) run(ctx context.Context, profileName string, args ...string) ([]byte, error) {
	within, cancel := context.WithTimeout(ctx, t.Within)
	defer cancel()
	name := "tctl " + strings.Join(args[:min(len(args), 3)], " ")
	if profileName != "" {
		args = append(args, "--profile", profileName)
	}
	cmd := exec.CommandContext(within, t.Program, args...)
	cmd.WaitDelay = 2 * time.Second // for a child that holds its pipes
	out, errOut := &capped{max: maxPrinted}, &capped{max: 64 << 10}
	cmd.Stdout, cmd.Stderr = out, errOut
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return out.Bytes(), fmt.Errorf("running %s: %w", name, ctx.Err())
	case within.Err() != nil:
		return out.Bytes(), fmt.Errorf("running %s: it did not end within %s; try it by hand", name, t.Within)
	case err != nil:
		return out.Bytes(), fmt.Errorf("running %s: %w: %s", name, err, said(errOut.String()))
	}
	return out.Bytes(), nil
}

// capped keeps the first bytes that are written to it.
type capped struct {
	bytes.Buffer
	max int
}

func (c *capped) Write(p []byte) (int, error) {
	if room := c.max - c.Len(); room > 0 {
		c.Buffer.Write(p[:min(len(p), room)])
	}
	return len(p), nil
}
