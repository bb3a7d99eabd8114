package execute

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// world is a small model of the product and of everybody else, without a byte of JSON: Central's pods with what they accept,
// edges and MPC whose pods present what they were started with, operators that lag, the roster, the journal, the webhook. It
// moves by chance whenever somebody pauses, and writes down every dial that is refused for its mode.
type world struct {
	*rand.Rand
	switches

	now     time.Time
	serial  int
	hub     accepts // as declared
	since   time.Time
	lower   int64   // CentralXcp's generation
	taken   accepts // what the operator has taken over
	central []*process
	mpc     *fleetMember
	edges   map[string]*fleetMember
	roster  struct{ namespace, kind bool }
	entries map[string]*plan.Statement // nil statement: registered
	journal *Entry

	writes, killAt int // the write after which the process dies; 0 = never
	cancelAt       int // the pause at which the user presses Ctrl-C; 0 = never
	pauses         int
	cancel         context.CancelFunc
	refused        []string
	log            []string
}

// switches are what the vendor leaves open, and who is in trouble.
type switches struct {
	noRollout, recreate, mintAfter, mpcPrefersMTLS, readyWithoutSession bool
	strangers                                                           bool // somebody else tries to turn mTLS off, through the webhook
	flippers                                                            bool // somebody else puts edges back by hand
	stuck                                                               map[string]bool
}

type accepts struct{ mtls, jwt bool }

func (a accepts) cred(c guard.Cred) bool { return c == tsb.MTLS && a.mtls || c == tsb.JWT && a.jwt }

// process is a pod of Central (accepts), or of an edge or MPC (cred).
type process struct {
	uid       string
	created   time.Time
	accepts   accepts
	cred      guard.Cred
	ready     bool
	ending    bool
	connected bool
	pushes    float64
	connects  float64
}

type fleetMember struct {
	name                string
	declared, effective guard.Cred
	pods                []*process
	reachable           bool
	token, ca           bool
}

// killed is the panic with which a process dies.
type killed struct{}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), hub: accepts{mtls: true}, lower: 1,
		edges: map[string]*fleetMember{}, entries: map[string]*plan.Statement{}}
	w.switches = switches{noRollout: w.chance(4), recreate: w.chance(3), mintAfter: w.chance(3), mpcPrefersMTLS: w.chance(8), readyWithoutSession: w.chance(3),
		strangers: w.chance(2), stuck: map[string]bool{}}
	w.flippers = !w.strangers && w.chance(3) // both at once need the fence: a statement is believed for a while
	w.taken = w.hub
	w.central = []*process{w.pod(&process{accepts: w.hub, ready: true})}
	w.mpc = &fleetMember{name: "mpc", reachable: true, declared: tsb.MTLS, effective: tsb.MTLS, pods: []*process{w.pod(&process{cred: tsb.MTLS, ready: true, connected: true, connects: 1})}}
	for i := range 1 + w.IntN(4) {
		e := &fleetMember{name: fmt.Sprintf("edge-%d", i+1), declared: tsb.MTLS, effective: tsb.MTLS, reachable: true, token: !w.mintAfter, ca: w.chance(2)}
		for range 1 + w.IntN(2) {
			e.pods = append(e.pods, w.pod(&process{cred: tsb.MTLS, ready: true, connected: true, connects: 1}))
		}
		w.edges[e.name] = e
		w.stuck[e.name] = w.chance(8)
	}
	return w
}

func (w *world) chance(oneIn int) bool { return w.IntN(oneIn) == 0 }

func (w *world) pod(p *process) *process {
	w.serial++
	p.created = w.now
	p.uid = fmt.Sprintf("p%d", w.serial)
	return p
}

func (w *world) note(format string, args ...any) {
	w.log = append(w.log, w.now.Format("15:04:05 ")+fmt.Sprintf(format, args...))
}

func (w *world) names() []string { return slices.Sorted(maps.Keys(w.edges)) }

// tick lets everybody but the plugin move a little.
func (w *world) tick() {
	w.now = w.now.Add(time.Duration(1+w.IntN(3)) * time.Second)
	w.tickHub()
	for _, name := range w.names() {
		w.tickEdge(w.edges[name])
	}
	w.tickMPC()
	w.tickOthers()
	w.dial(w.mpc)
	for _, name := range w.names() {
		w.dial(w.edges[name])
	}
}

func (w *world) tickHub() {
	if w.taken != w.hub && w.chance(2) {
		w.taken, w.lower = w.hub, w.lower+1
		w.note("CentralXcp takes over %+v", w.taken)
	}
	newest := func(p *process) bool { return p.accepts == w.taken && !p.ending }
	switch {
	case w.noRollout:
		for _, p := range w.central {
			if w.chance(2) {
				p.accepts = w.taken
			}
		}
	case !slices.ContainsFunc(w.central, newest) && w.chance(2):
		w.central = append(w.central, w.pod(&process{accepts: w.taken}))
	default:
		for _, p := range w.central {
			p.ready = p.ready || w.chance(2)
		}
		if up := slices.ContainsFunc(w.central, func(p *process) bool { return newest(p) && p.ready }); up {
			for _, p := range w.central {
				p.ending = p.ending || (!newest(p) && w.chance(2))
			}
		}
		w.central = slices.DeleteFunc(w.central, func(p *process) bool { return p.ending && w.chance(2) })
	}
}

// tickEdge lets the edge's operator and its pods move.
func (w *world) tickEdge(e *fleetMember) {
	if e.declared != e.effective && w.chance(2) {
		e.effective = e.declared
	}
	e.token = e.token || (e.declared == tsb.JWT && w.chance(2))
	w.roll(e, w.recreate, w.stuck[e.name])
}

// roll replaces pods that present something else than the effective mode: new ones first, or old ones first.
func (w *world) roll(e *fleetMember, recreate, stuck bool) {
	want := max(1, len(slices.DeleteFunc(slices.Clone(e.pods), func(p *process) bool { return p.cred == e.effective })))
	isNew := func(p *process) bool { return p.cred == e.effective && !p.ending }
	old := slices.ContainsFunc(e.pods, func(p *process) bool { return p.cred != e.effective })
	fresh := slices.ContainsFunc(e.pods, isNew)
	switch {
	case recreate && old:
		for _, p := range e.pods {
			p.ending = p.ending || p.cred != e.effective
		}
	case !fresh && w.chance(2):
		for range min(want, 2) {
			e.pods = append(e.pods, w.pod(&process{cred: e.effective}))
		}
	}
	for _, p := range e.pods {
		startable := p.cred == tsb.MTLS || (e.token && e.ca)
		if p.ready || !startable {
			continue
		}
		if !stuck || w.readyWithoutSession || p.cred == tsb.MTLS {
			p.ready = w.readyWithoutSession || p.connected
		}
	}
	if !recreate && old && !slices.ContainsFunc(e.pods, func(p *process) bool { return isNew(p) && !p.ready }) && fresh {
		for _, p := range e.pods {
			p.ending = p.ending || p.cred != e.effective
		}
	}
	e.pods = slices.DeleteFunc(e.pods, func(p *process) bool { return p.ending && w.chance(2) })
}

// tickMPC follows the hub: JWT as soon as every running Central accepts it; or mTLS as long as that is accepted.
func (w *world) tickMPC() {
	all := func(c guard.Cred) bool {
		return !slices.ContainsFunc(w.central, func(p *process) bool { return !p.accepts.cred(c) })
	}
	switch {
	case w.mpcPrefersMTLS && w.hub.mtls && w.taken.mtls:
	case all(tsb.JWT):
		w.mpc.effective, w.mpc.declared = tsb.JWT, tsb.JWT
	}
	w.mpc.token, w.mpc.ca = true, true
	w.roll(w.mpc, false, false)
}

// tickOthers lets people and networks move.
func (w *world) tickOthers() {
	for _, name := range w.names() {
		e := w.edges[name]
		if w.chance(60) {
			e.reachable = !e.reachable
		} else if !e.reachable && w.chance(6) {
			e.reachable = true
		}
		if w.flippers && w.hub.mtls && !slices.ContainsFunc(w.central, func(p *process) bool { return !p.accepts.mtls }) && w.chance(60) {
			e.declared = tsb.MTLS
			w.note("%s is put back by hand", name)
		}
	}
	if w.strangers && w.chance(5) && w.hub.mtls && len(w.webhook()) == 0 {
		w.hub.mtls, w.since = false, w.now
		w.note("somebody turns mTLS off; the webhook lets it pass")
	}
}

// webhook is what the webhook knows: the roster, and the hub's inventory, which lists every edge.
func (w *world) webhook() []guard.Blocker {
	var members []guard.Edge
	for _, name := range append(w.names(), "mpc") {
		e := guard.Edge{Name: name}
		if st := w.entries[name]; st != nil {
			e.Presents, e.Until = st.Presents, st.Until
		}
		if _, registered := w.entries[name]; registered || name != "mpc" {
			members = append(members, e)
		}
	}
	return guard.Withdraw(asHub(w.hub), asHub(accepts{jwt: w.hub.jwt}), members, w.now)
}

func asHub(a accepts) guard.Hub {
	tri := map[bool]guard.Tri{true: guard.Yes, false: guard.No}
	return guard.Hub{Accepts: map[guard.Cred]guard.Tri{tsb.MTLS: tri[a.mtls], tsb.JWT: tri[a.jwt]}, Basis: fmt.Sprint(a)}
}

// dial lets each pod of a member reach a Central pod that is up: refused for its mode is what the promise forbids.
func (w *world) dial(m *fleetMember) {
	var up []*process
	for _, p := range w.central {
		if p.ready {
			up = append(up, p)
		}
	}
	for _, p := range m.pods {
		if p.cred == tsb.JWT && (w.stuck[m.name] || !m.token || !m.ca) {
			continue // cannot even start, or reaches nobody
		}
		to := up[w.IntN(len(up))]
		if !to.accepts.cred(p.cred) {
			p.connected = false
			w.refused = append(w.refused, fmt.Sprintf("%s pod %s of %s presents %s to %s, which accepts %+v", w.now.Format("15:04:05"), p.uid, m.name, p.cred, to.uid, to.accepts))
			continue
		}
		if !p.connected {
			p.connected, p.connects = true, p.connects+1
		}
		if w.chance(2) {
			p.pushes++
		}
	}
}

// Observe implements Clusters: the facts that the dialect would make of this world.
func (w *world) Observe(context.Context, ...string) plan.Facts {
	f := plan.Facts{At: w.now, Hub: plan.Hub{Found: true, Context: "hub", Object: plan.Ref{Group: "install.tetrate.io", Kind: "ManagementPlane", Resource: "managementplanes", Name: "mp"},
		Accepts: asHub(w.hub), Since: w.since, Declared: map[string]any{"jwt": w.hub.jwt, "mutualTls": w.hub.mtls}, Lower: w.lower, Inventory: w.names(),
		Roster: plan.RosterState{Namespace: w.roster.namespace, Kind: w.roster.kind}}}
	f.Hub.Workload = workloadOf(w.central, w.taken == w.hub && (w.noRollout || !slices.ContainsFunc(w.central, func(p *process) bool { return p.accepts != w.taken })), nil)
	f.Hub.Connections = &plan.Connections{Config: len(w.edges), State: len(w.edges) + 1}
	for _, name := range w.names() {
		f.Members = append(f.Members, w.member(w.edges[name]))
	}
	m := w.member(w.mpc)
	m.Role, m.Declared, m.Effective, m.Edge.Presents = plan.RoleMPC, "", "", presentedBy(w.mpc.pods)
	f.Members = append(f.Members, m)
	return f
}

func (w *world) member(e *fleetMember) plan.Member {
	m := plan.Member{Name: e.name, ClusterName: e.name, Role: plan.RoleEdge, Context: e.name, Object: plan.Ref{Group: "install.tetrate.io", Resource: "controlplanes", Kind: "ControlPlane", Name: e.name, UID: e.name}}
	st, registered := w.entries[e.name]
	m.Registered, m.Statement = registered, st
	if !e.reachable {
		m.Err = "the API server did not answer in time"
		m.Edge = guard.Edge{Name: e.name, Why: m.Err}
		return m
	}
	m.Declared, m.Effective = e.declared, e.effective
	m.DeclaredFields = map[string]any{"centralAuthMode": modeWord(e.declared)}
	m.Edge = guard.Edge{Name: e.name, Presents: presentedBy(e.pods, e.declared, e.effective), Until: w.now.Add(30 * time.Second)}
	m.Workload = workloadOf(e.pods, e.declared == e.effective && !slices.ContainsFunc(e.pods, func(p *process) bool { return p.cred != e.effective }), w)
	m.Credential = plan.Credential{State: plan.CredentialReady}
	if !e.token {
		m.Credential.State = plan.CredentialMintable
	}
	m.Trust = plan.Trust{OK: true, Absent: !e.ca}
	return m
}

func presentedBy(pods []*process, more ...guard.Cred) []guard.Cred {
	all := slices.Clone(more)
	for _, p := range pods {
		all = append(all, p.cred)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func modeWord(c guard.Cred) string {
	if c == tsb.JWT {
		return "JWT"
	}
	return "MUTUAL_TLS"
}

func workloadOf(pods []*process, newest bool, counters *world) plan.Workload {
	wl := plan.Workload{Found: true, Replicas: int64(max(1, len(pods))), Settled: newest && len(pods) > 0}
	for _, p := range pods {
		proc := plan.Process{Name: p.uid, UID: p.uid, Created: p.created, Ready: p.ready, Started: true, Ending: p.ending, Presents: p.cred}
		if counters != nil {
			proc.Counters = map[string]float64{"xcp_edge_last_push_to_central_timestamp_ms": p.pushes, `xcp_edge_stream_connect_count{statusLabel="ok"}`: p.connects}
		}
		wl.Processes = append(wl.Processes, proc)
		wl.Settled = wl.Settled && p.ready && !p.ending
	}
	return wl
}

// count counts a write, and ends the process right before it when its time has come (killAt), or right after it (-killAt).
func (w *world) count() {
	w.writes++
	if w.writes == w.killAt {
		panic(killed{})
	}
}

// Write implements Clusters.
func (w *world) Write(_ context.Context, p plan.Patch, still func() error) (bool, error) {
	w.count()
	defer w.afterWrite()
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	switch {
	case p.Object.Kind == "Namespace":
		w.roster.namespace = true
	case p.Object.Kind == "CustomResourceDefinition":
		w.roster.kind = true
	case p.Object.Kind == "EdgeCluster" && p.Status:
		w.entries[p.Object.Name] = nil
	case p.Object.Kind == "EdgeCluster":
		if _, there := w.entries[p.Object.Name]; !there {
			w.entries[p.Object.Name] = nil
		}
	case p.Object.Kind == "Secret":
		if e := w.edges[p.Context]; e.reachable {
			e.ca = true
			return true, nil
		}
		return false, fmt.Errorf("writing %s: the API server did not answer in time", p.Object)
	case p.Object.Kind == "ManagementPlane":
		return w.writeHub(p)
	case p.Object.Kind == "ControlPlane":
		return w.writeEdge(p)
	}
	return true, nil
}

func (w *world) afterWrite() {
	if w.writes == -w.killAt {
		panic(killed{})
	}
}

func (w *world) writeHub(p plan.Patch) (bool, error) {
	modes := func(m map[string]any) accepts {
		for _, k := range []string{"spec", "components", "xcp", "centralAuthModes"} {
			m, _ = m[k].(map[string]any)
		}
		return accepts{jwt: m["jwt"] == true, mtls: m["mutualTls"] == true}
	}
	switch before, after := modes(p.Before), modes(p.After); {
	case w.hub == after:
		return false, nil
	case w.hub != before:
		return false, &ChangedError{Object: p.Object, Context: p.Context}
	case before.mtls && !after.mtls && len(w.webhook()) > 0:
		return false, &DeniedError{Object: p.Object, Context: p.Context, Message: w.webhook()[0].String()}
	default:
		w.hub, w.since = after, w.now
		w.note("the plugin writes the hub %+v", after)
	}
	return true, nil
}

func (w *world) writeEdge(p plan.Patch) (bool, error) {
	mode := func(m map[string]any) guard.Cred {
		for _, k := range []string{"spec", "components", "xcp"} {
			m, _ = m[k].(map[string]any)
		}
		if m["centralAuthMode"] == "JWT" {
			return tsb.JWT
		}
		return tsb.MTLS
	}
	e := w.edges[p.Context]
	switch {
	case !e.reachable:
		return false, fmt.Errorf("writing %s in %s: the API server did not answer in time", p.Object, p.Context)
	case e.declared == mode(p.After):
		return false, nil
	case e.declared != mode(p.Before):
		return false, &ChangedError{Object: p.Object, Context: p.Context}
	}
	e.declared = mode(p.After)
	w.note("the plugin writes %s %s", e.name, e.declared)
	return true, nil
}

// ReadJournal, WriteJournal, Publish, Now and Pause implement Clusters.
func (w *world) ReadJournal(context.Context, string) (*Entry, error) { return w.journal, nil }

func (w *world) WriteJournal(_ context.Context, _ string, e *Entry) error {
	w.count()
	defer w.afterWrite()
	w.journal = e
	return nil
}

func (w *world) Publish(_ context.Context, _ string, m plan.Member, st api.EdgeClusterStatus) error {
	w.count()
	defer w.afterWrite()
	s := &plan.Statement{Observed: st.ObservedTime.UTC(), Until: st.ValidUntil.UTC(), Source: st.Source}
	for _, c := range st.Presents {
		s.Presents = append(s.Presents, guard.Cred(c))
	}
	w.entries[m.Name] = s
	w.note("the plugin states %s of %s", strings.Join(st.Presents, "+"), m.Name)
	return nil
}

func (w *world) Now() time.Time { return w.now }

func (w *world) Pause(context.Context, time.Duration) {
	if w.pauses++; w.pauses == w.cancelAt {
		w.cancel()
	}
	w.tick()
}
