package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// connectedWithin is how long the zones may take to connect on a busy machine.
const connectedWithin = 2 * time.Minute

// startMesh starts a global control plane and two zones that present nothing.
func startMesh(ctx context.Context) (p *played, err error) {
	dir, err := os.MkdirTemp("", "xcpauth-mesh-")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the mesh: %w", err)
	}
	stops := []func(){func() { os.RemoveAll(dir) }}
	stop := func() {
		for i := len(stops) - 1; i >= 0; i-- {
			stops[i]()
		}
	}
	defer func() {
		if err != nil {
			stop()
		}
	}()
	bed, err := testbed.Start(ctx, testbed.Options{Clusters: []string{"global", "east", "west"}, NoVendorCRDs: true,
		Dir: filepath.Join(dir, "bed"), Log: os.Stderr})
	if err != nil {
		return nil, err
	}
	stops = append(stops, bed.Stop)
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return nil, fmt.Errorf("making a directory for the plugin: %w", err)
	}
	fmt.Fprintln(os.Stderr, "Building the plugin ...")
	if err := errors.Join(os.Symlink(filepath.Join(bed.Bin, "kubectl"), filepath.Join(bin, "kubectl")),
		sandbox.Build(ctx, "./plugin/kubectl-xcpauth", filepath.Join(bin, "kubectl-xcpauth"))); err != nil {
		return nil, err
	}
	site := func(name string) fleet.Site {
		c := bed.Cluster(name)
		return fleet.Site{Name: name, Config: c.Config, KubeletIP: c.KubeletIP}
	}
	o := fleet.Options{Global: site("global"), Zones: []fleet.Site{site("east"), site("west")}}
	fmt.Fprintln(os.Stderr, "Playing Kong Mesh in them ...")
	if err := fleet.Install(ctx, o); err != nil {
		return nil, err
	}
	f, err := fleet.Start(context.WithoutCancel(ctx), o)
	if err != nil {
		return nil, err
	}
	stops = append(stops, f.Close)
	env := append(os.Environ(), "KUBECONFIG="+bed.Kubeconfig, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"),
		"KUBECACHEDIR="+filepath.Join(dir, "kubecache"), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	command := func(ctx context.Context, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(bin, "kubectl"), args...)
		cmd.Env = env
		return cmd
	}
	if err := sandbox.Await(ctx, "the global tells of both zones", connectedWithin, func() bool {
		return len(f.Live()) == len(o.Zones) && command(ctx, "xcpauth", "status").Run() == nil
	}); err != nil {
		return nil, err
	}
	quick := []string{"-y", "--poll=200ms"}
	return &played{stop: stop, command: command, env: env, try: "A global control plane and two zones are running",
		story: []scene{
			{"A global that accepts every zone, and two zones that present nothing:", []string{"xcpauth", "status"}, 0},
			{"Each zone gets a token, and then the global asks for one:", append([]string{"xcpauth", "migrate"}, quick...), 0},
			{"The tokens:", []string{"xcpauth", "token", "list"}, 0},
			{"The key that signs them is replaced. No zone is refused meanwhile:",
				append([]string{"xcpauth", "key", "rotate"}, quick...), 0},
			{"And the mesh is:", []string{"xcpauth", "status"}, 0},
		}, ending: func() error {
			if refused := f.Refused(); len(refused) > 0 {
				return fmt.Errorf("%d authentications were refused, the first: %v", len(refused), refused[0])
			}
			fmt.Printf("\nZones authenticated %d times in all of this, and none was ever refused.\n", len(f.Calls()))
			return nil
		}}, nil
}
