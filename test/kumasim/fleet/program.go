package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// syncEvery is how often a global looks for what is to be synced (multizone.global.kds.refreshInterval is 1 s).
const syncEvery = time.Second

// runProgram is the process of a control plane's container: it returns nil at the end of ctx, and an error where the
// process ends by itself.
func (f *Fleet) runProgram(
	ctx context.Context, p *pod, run *process, files, env map[string]string, ready func(),
) error {
	if f.opts.Program != nil {
		return f.runProcess(ctx, p, run, files, env, ready)
	}
	v, err := versionOf(p.container().Image)
	if err != nil {
		return err
	}
	if err := v.removed(env); err != nil {
		return err
	}
	var config map[string]any
	if err := yaml.Unmarshal([]byte(files[configFile]), &config); err != nil {
		return fmt.Errorf("read the configuration: %w", err)
	}
	env = v.configured(env, config)
	if err := v.valid(env); err != nil {
		return err
	}
	switch mode := env[modeName]; mode {
	case "global":
		return f.runGlobal(ctx, p, run, v, env, ready)
	case "zone":
		return f.runZone(ctx, p, v, files, env, ready)
	default:
		return fmt.Errorf("%s is %q: want global or zone", modeName, mode)
	}
}

// runGlobal is a global's process:
//  1. read the secrets, and make the first signing key and the administrator's token if there is none; one that keeps
//     its state elsewhere reads and writes none;
//  2. serve zones, with the authentication that the environment says, and the API;
//  3. stop serving: every stream is cut, and its ZoneInsight says so; but not when the process was killed.
func (f *Fleet) runGlobal(
	ctx context.Context, p *pod, run *process, v version, env map[string]string, ready func(),
) error {
	auth, err := v.auth(env)
	if err != nil {
		return err
	}
	select {
	case <-f.secrets.filled:
	case <-ctx.Done():
		return nil
	}
	var source kumasim.Source = f.secrets
	elsewhere := env[environment] == universal
	if elsewhere { // nothing of it is in this cluster, and nothing that is put there counts
		if err := makeElsewhere(&f.elsewhere); err != nil {
			return err
		}
		source = &f.elsewhere
	}
	for !elsewhere {
		if _, err = limited(ctx, func(ctx context.Context) (any, error) {
			return nil, f.secrets.makeFirst(ctx)
		}); err == nil {
			break
		}
		f.logf(p.obj.Name, "%v", err)
		if pause(ctx, retryAfter); ctx.Err() != nil {
			return nil
		}
	}
	g, err := kumasim.Start(kumasim.Options{
		Source: source, Auth: auth, Switches: v.switches(), SyncEvery: syncEvery,
		Log:   func(format string, args ...any) { f.logf(p.obj.Name, format, args...) },
		Noted: func(c kumasim.Call) { f.noted(p.obj.Name, c) },
		Opened: func(s kumasim.Subscription) func() {
			return f.opened(p.obj.Name, p.instance(), run.killed.Load, s, env)
		},
	})
	if err != nil {
		return err
	}
	var rest *kumasim.Rest
	if elsewhere {
		rest = &kumasim.Rest{Store: &f.elsewhere, Config: v.settings(env), Version: v.String(), Instance: p.instance(),
			LocalhostIsAdmin: env[localhostIsAdmin] != "false", Answered: f.opts.APIAnswered}
	}
	api, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- f.serveAPI(api, p, v, g, rest, env, func() {
			f.mu.Lock()
			f.globals[p.obj.Name] = g
			f.mu.Unlock()
			ready()
		})
	}()
	select {
	case <-ctx.Done():
	case <-g.Ended():
		err = errors.New("the process panicked")
	case err = <-served:
		served <- nil
	}
	stop()
	<-served
	f.mu.Lock()
	delete(f.globals, p.obj.Name)
	f.mu.Unlock()
	g.Stop()
	return err
}

// runZone is a zone's process, with the token that its environment has. All pods of a zone run, one of them leads, and
// it alone dials.
func (f *Fleet) runZone(ctx context.Context, p *pod, v version, files, env map[string]string, ready func()) error {
	name := p.k.c.zone
	if own := env[zoneName]; own != "" {
		name = own
	}
	if !v.hasAuth() {
		env = map[string]string{} // Kuma has no such variables yet
	}
	for _, variable := range []string{oldPath, newPath} {
		if env[variable] == "" {
			continue
		}
		dir, file, err := p.tokenFile(ctx, env[variable], files)
		defer os.RemoveAll(dir)
		if err != nil {
			return err
		}
		env[variable] = file
	}
	shown := v.shown(name, env)
	m := &member{pod: p.obj.Name}
	f.mu.Lock()
	z := f.zones[p.k.c.zone]
	if z == nil {
		f.mu.Unlock()
		return errors.New("a zone's control plane in the global's cluster")
	}
	m.cut = z.switches.CutAfterNext
	process := kumasim.StartZone(nil, kumasim.ZoneOptions{
		Name: name, Names: v.names(), Env: env, Retry: f.opts.Pace.Retry, RetryMost: f.opts.Pace.RetryMost,
		HealthEvery: v.healthEvery(f.opts.Pace), Instance: p.instance(), Config: shown,
		Find: func() *kumasim.Global { return f.find(z, m) },
	})
	m.disconnect = process.Disconnect
	if err := process.Err(); err != nil {
		f.mu.Unlock()
		process.Stop()
		return err
	}
	z.pods = append(z.pods, m)
	f.mu.Unlock()
	ready()
	f.elect(ctx, z, m)
	process.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	z.pods = slices.DeleteFunc(z.pods, func(other *member) bool { return other == m })
	return nil
}

// elect takes part in the election of a zone's leader until ctx ends. Who leads renews its lease, which lasts for a
// while after the last time and is never released; then the oldest pod is the next. (Kuma
// pkg/plugins/bootstrap/k8s/plugin.go at v2.14.3: the lease cp-leader-lease, without LeaderElectionReleaseOnCancel;
// there any pod may be the next one, and one whose API server is away for longer than renewDeadline ends. Neither is
// played.)
func (f *Fleet) elect(ctx context.Context, z *zone, m *member) {
	for ctx.Err() == nil {
		f.mu.Lock()
		if z.renew(m, time.Now(), f.opts.Pace.LeaseFor) {
			f.say("leader election", "%s leads %s", m.pod, z.name)
		}
		f.mu.Unlock()
		pause(ctx, f.opts.Pace.LeaseFor*2/15) // retryPeriod is 2 s
	}
}

// renew has a pod renew the lease that it has, or take one that has ended, of which it tells.
func (z *zone) renew(m *member, now time.Time, leaseFor time.Duration) (taken bool) {
	taken = z.leader != m
	if taken && (z.pods[0] != m || z.leader != nil && now.Sub(z.renewed) < leaseFor) {
		return false
	}
	z.leader, z.renewed = m, now
	return taken
}

// find is the global that a pod of a zone dials now; none while another pod leads, or a switch keeps it from it.
func (f *Fleet) find(z *zone, m *member) *kumasim.Global {
	f.mu.Lock()
	defer f.mu.Unlock()
	if z.leader != m || z.switches.Asleep || m.cut && z.switches.CutAfterNext {
		return nil
	}
	return f.anyGlobal()
}
