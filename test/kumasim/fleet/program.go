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

// runProgram is the process of a control plane's container: it returns nil at the end of ctx, and an error where the process ends by itself.
func (f *Fleet) runProgram(ctx context.Context, p *pod, files, env map[string]string, ready func()) error {
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
	switch mode := env[modeName]; mode {
	case "global":
		return f.runGlobal(ctx, p, v, env, ready)
	case "zone":
		return f.runZone(ctx, p, v, files, env, ready)
	default:
		return fmt.Errorf("%s is %q: want global or zone", modeName, mode)
	}
}

// runGlobal is a global's process:
//  1. read the secrets, and make the first signing key and the administrator's token if there is none; one that keeps its state elsewhere
//     reads and writes none;
//  2. serve zones, with the authentication that the environment says, and the API;
//  3. stop serving: every stream is cut.
func (f *Fleet) runGlobal(ctx context.Context, p *pod, v version, env map[string]string, ready func()) error {
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
		source = &kumasim.Memory{}
	}
	for !elsewhere {
		if _, err = limited(ctx, func(ctx context.Context) (any, error) {
			return nil, errors.Join(f.secrets.makeKey(ctx), f.secrets.makeAdmin(ctx))
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
		Log:    func(format string, args ...any) { f.logf(p.obj.Name, format, args...) },
		Noted:  func(c kumasim.Call) { f.noted(p.obj.Name, c) },
		Opened: func(s kumasim.Subscription) func() { return f.opened(p, s, !elsewhere) },
	})
	if err != nil {
		return err
	}
	api, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() {
		served <- f.serveAPI(api, p, v, g, env, func() {
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

// runZone is a zone's process, with the token that its environment has. All pods of a zone run, the oldest leads, and it alone dials.
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
	m := &member{}
	f.mu.Lock()
	z := f.zones[p.k.c.zone]
	if z == nil {
		f.mu.Unlock()
		return errors.New("a zone's control plane in the global's cluster")
	}
	m.cut = z.switches.CutAfterNext
	m.process = kumasim.StartZone(nil, kumasim.ZoneOptions{
		Name: name, Names: v.names(), Env: env, Retry: f.opts.Retry, HealthEvery: f.opts.HealthEvery, Instance: p.instance(),
		Find: func() *kumasim.Global { return f.find(z, m) },
	})
	if err := m.process.Err(); err != nil {
		f.mu.Unlock()
		m.process.Stop()
		return err
	}
	z.pods = append(z.pods, m)
	f.mu.Unlock()
	ready()
	<-ctx.Done()
	m.process.Stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	z.pods = slices.DeleteFunc(z.pods, func(other *member) bool { return other == m })
	return nil
}

// find is the global that a pod of a zone dials now; none while another pod leads, or a switch keeps it from it.
func (f *Fleet) find(z *zone, m *member) *kumasim.Global {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(z.pods) == 0 || z.pods[0] != m || z.switches.Asleep || m.cut && z.switches.CutAfterNext {
		return nil
	}
	return f.anyGlobal()
}
