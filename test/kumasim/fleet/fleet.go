package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// Fleet is a global and zones that are being played.
type Fleet struct {
	opts      Options
	ctx       context.Context
	cancel    context.CancelFunc
	all       sync.WaitGroup
	runners   []*podRunner
	secrets   *secrets
	insights  *insights
	outside   *outsideGlobal // nil where the global is in its cluster
	elsewhere kumasim.Store  // of a global that keeps nothing in its cluster

	mu        sync.Mutex
	globals   map[string]*kumasim.Global // that are ready, by pod
	zones     map[string]*zone
	universal map[string]*kumasim.Zone
	calls     []Call
	issued    []kumasim.Issued
	live      map[int]Stream
	next      int
	log       []string
}

// Call is one authentication, or a dial that did not come to one.
type Call struct {
	kumasim.Call
	Pod    string // of the zone; "" of a zone outside of clusters
	Global string // the pod that was called
}

// Stream is a zone's open stream.
type Stream struct {
	kumasim.Subscription
	Pod    string // of the zone; "" of a zone outside of clusters
	Global string // the pod that serves it
}

// Switches are how a zone behaves; all false is as it should.
type Switches struct {
	Asleep       bool // its control plane holds no stream, and does not dial
	CutAfterNext bool // pods that start while it is set reach no global, as long as it is set
	InsightsLate bool // the global's ZoneInsight of it is not written, and is when it is no longer set
}

// zone is what the fleet knows of a zone.
type zone struct {
	name     string
	pods     []*member // those that run, oldest first
	leader   *member   // the last one that led
	renewed  time.Time // when it last said so
	switches Switches
}

// member is a running pod of a zone.
type member struct {
	pod        string
	disconnect func() // ends its session
	cut        bool   // started while CutAfterNext was set
}

// Start plays until Close, or the end of ctx:
//  1. on every cluster, the node and its pods;
//  2. the secrets of the global's cluster, its Zones and ZoneInsights;
//  3. the zones outside of clusters, without a token.
//
// It fails only where a client cannot be made, or a node's port cannot be opened; an API server that is away is
// waited for.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	o = o.filled()
	all, err := o.clusters()
	if err != nil {
		return nil, err
	}
	f := &Fleet{opts: o, globals: map[string]*kumasim.Global{}, zones: map[string]*zone{},
		universal: map[string]*kumasim.Zone{}, live: map[int]Stream{}}
	f.ctx, f.cancel = context.WithCancel(ctx)
	f.secrets, f.insights = newSecrets(all[0], o.Namespace), newInsights(all[0], o.Pace, f.logf)
	if o.StoredElsewhere || o.Outside {
		f.insights.store = &f.elsewhere
	}
	for _, z := range o.Zones {
		f.zones[z.Name] = &zone{name: z.Name}
	}
	for _, name := range o.Universal {
		f.zones[name] = &zone{name: name}
	}
	for _, c := range all {
		k, err := newPodRunner(f, c)
		if err != nil {
			for _, other := range f.runners {
				_ = other.node.Close()
			}
			return nil, err
		}
		f.runners = append(f.runners, k)
	}
	if o.Outside {
		if err := f.startOutside(); err != nil {
			f.cancel()
			return nil, err
		}
	}
	f.all.Go(func() { f.secrets.run(f.ctx) })
	if o.Program == nil {
		f.all.Go(func() { f.insights.run(f.ctx) })
	}
	for _, k := range f.runners {
		f.all.Go(func() { k.run(f.ctx) })
	}
	for _, name := range o.Universal {
		f.SetUniversalToken(name, "")
	}
	return f, nil
}

// Close ends every process and returns when all have ended. The objects in the clusters stay.
func (f *Fleet) Close() {
	f.mu.Lock()
	universal := f.universal
	f.universal = map[string]*kumasim.Zone{}
	f.mu.Unlock()
	for _, z := range universal {
		z.Stop()
	}
	if f.outside != nil {
		f.outside.close()
	}
	f.cancel()
	f.all.Wait()
}

// SetUniversalToken starts the process of a zone outside of clusters again, with that token; "" is none.
func (f *Fleet) SetUniversalToken(name, token string) {
	f.mu.Lock()
	old := f.universal[name]
	delete(f.universal, name)
	f.mu.Unlock()
	if old != nil {
		old.Stop()
	}
	v, err := versionOf(f.opts.image(f.opts.Version))
	if err != nil {
		f.logf(name, "%v", err)
		return
	}
	variable := oldInline
	if v.names() == kumasim.NewNames {
		variable = newInline
	}
	process := kumasim.StartZone(nil, kumasim.ZoneOptions{
		Name: name, Names: v.names(), Env: map[string]string{variable: token}, Retry: f.opts.Pace.Retry,
		RetryMost: f.opts.Pace.RetryMost, HealthEvery: v.healthEvery(f.opts.Pace),
		Config: v.shown(name, map[string]string{environment: universal, modeName: "zone", variable: token}),
		Find: func() *kumasim.Global {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.zones[name].switches.Asleep {
				return nil
			}
			return f.anyGlobal()
		},
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.universal[name] = process
}

// anyGlobal is one of those that are ready, as a Service picks it; the caller holds the lock.
func (f *Fleet) anyGlobal() *kumasim.Global {
	names := slices.Sorted(maps.Keys(f.globals))
	if len(names) == 0 {
		return nil
	}
	return f.globals[names[rand.IntN(len(names))]]
}

// Set changes how a zone behaves from now on; a name that is not of a zone is a mistake in the caller, which panics.
func (f *Fleet) Set(name string, to Switches) {
	f.mu.Lock()
	z := f.zones[name]
	if z == nil {
		f.mu.Unlock()
		panic(fmt.Sprintf("fleet: there is no zone %q", name))
	}
	z.switches = to
	var ends []func()
	if to.Asleep {
		for _, m := range z.pods {
			ends = append(ends, m.disconnect)
		}
		if p := f.universal[name]; p != nil {
			ends = append(ends, p.Disconnect)
		}
	}
	f.mu.Unlock()
	for _, end := range ends {
		end()
	}
	f.insights.setLate(name, to.InsightsLate)
}

// Calls are all authentications so far, and the dials that did not come to one, oldest first.
func (f *Fleet) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Refused are the calls that failed for a credential.
func (f *Fleet) Refused() []Call {
	return slices.DeleteFunc(f.Calls(), func(c Call) bool { return !c.Refused() })
}

// Live are the streams that are open, by zone; where a zone has two, the newer one.
func (f *Fleet) Live() map[string]Stream {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]Stream{}
	for _, n := range slices.Sorted(maps.Keys(f.live)) {
		all[f.live[n].Zone] = f.live[n]
	}
	return all
}

// Log is what the control planes and kubelets said so far.
func (f *Fleet) Log() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.log, "")
}

func (f *Fleet) logf(who, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.say(who, format, args...)
}

// say is logf for who holds the lock.
func (f *Fleet) say(who, format string, args ...any) {
	line := fmt.Sprintf("%s %s: %s\n", time.Now().UTC().Format("15:04:05.000"), who, fmt.Sprintf(format, args...))
	f.log = append(f.log, line)
	if f.opts.Log != nil {
		fmt.Fprint(f.opts.Log, line)
	}
}

// saidBy is what one of them said so far.
func (f *Fleet) saidBy(who string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for _, line := range f.log {
		if _, said, _ := strings.Cut(line, " "); strings.HasPrefix(said, who+": ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// noted records a call to the global of a pod.
func (f *Fleet) noted(global string, c kumasim.Call) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{Call: c, Pod: podOf(c.Instance), Global: global})
}

// opened records a stream to the global of a pod, until the returned function is called. Of one whose process was
// killed nobody writes the end.
func (f *Fleet) opened(
	global, instance string, killed func() bool, s kumasim.Subscription, env map[string]string,
) (ended func()) {
	f.mu.Lock()
	f.next++
	n := f.next
	f.live[n] = Stream{Subscription: s, Pod: podOf(s.Instance), Global: global}
	f.mu.Unlock()
	written := f.insights.opened(f.ctx, s, instance, env[compactFinished] == "true")
	return func() {
		f.mu.Lock()
		delete(f.live, n)
		f.mu.Unlock()
		written(killed())
	}
}

// Store is what a global keeps that keeps nothing in its cluster.
func (f *Fleet) Store() *kumasim.Store { return &f.elsewhere }

// Kill ends the process of a pod as SIGKILL does; the pod stays, and its next process follows as after any crash. It
// fails where no such pod runs.
func (f *Fleet) Kill(pod string) error {
	for _, k := range f.runners {
		if p := k.named(pod); p != nil {
			p.kill()
			return nil
		}
	}
	return fmt.Errorf("kill the process of pod %s: no such pod runs", pod)
}

// Issue issues a token as one of the globals would, with the key that it signs with; nobody is asked for leave.
func (f *Fleet) Issue(zone string, scope []string, validFor time.Duration) (string, error) {
	f.mu.Lock()
	g := f.anyGlobal()
	f.mu.Unlock()
	if g == nil {
		return "", errors.New("no global is ready")
	}
	return g.Issue(zone, scope, validFor)
}

// podOf is the pod of an instance, which is called after it.
func podOf(instance string) string {
	if at := strings.LastIndexByte(instance, '-'); at >= 0 {
		return instance[:at]
	}
	return ""
}

// Verdict says what a global would answer now to a zone that presents a token, without a call: nil, or a gRPC status.
// It is an error too where no global is ready.
func (f *Fleet) Verdict(zone, token string) error {
	if f.opts.Program != nil {
		return f.ask(zone, token)
	}
	f.mu.Lock()
	g := f.anyGlobal()
	f.mu.Unlock()
	if g == nil {
		return errors.New("no global is ready")
	}
	return g.Ask(zone, token)
}
