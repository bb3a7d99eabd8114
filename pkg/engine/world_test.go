package engine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// world is a small model of the product and of everybody else, without a byte of JSON: Central's pods with what they
// accept, edges and MPC whose pods present what they were started with, operators that lag, the roster, the journal,
// the webhook. It moves by chance whenever somebody pauses, and writes down every dial that is refused for its mode.
type world struct {
	*rand.Rand
	switches
	ledger

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
	voided  map[string]time.Time       // when a statement was taken back
	homes   map[string]Journal         // by context
	cert    certificate                // of Central, in its secret
	asked   []string                   // the names for which its Certificate asks
	rehears struct {                   // the same, beside the real one
		asked []string
		cert  *certificate
	}
	seen struct { // by this run, of each cluster when it looked at it last
		hub     plan.Hub
		mpc     plan.Member
		members map[string]plan.Member
		entries map[string]*plan.Statement
	}
	restartedFor string
	byStranger   bool // it was somebody else who turned mTLS off

	noHub  bool   // this run is of a team without access to the hub
	mayNot string // the edge that the user of this run may only look at, "" when there is none

	writes, killAt int // the write after which the process dies; 0 = never
	cancelAt       int // the look or pause in which the user presses Ctrl-C; 0 = never
	passed         int
	cancel         context.CancelFunc
	refused        []string
	log            []string
}

// switches are what the vendor leaves open, and who is in trouble.
type switches struct {
	noRollout, recreate, mintAfter, mpcPrefersMTLS, readyWithoutSession bool
	// somebody else tries to turn mTLS off, through the webhook
	strangers bool
	flippers  bool // somebody else puts edges back by hand
	stuck     map[string]bool
	// an edge keeps the token with which its pod started; a stream ends with it
	noHotReload, cutAtExpiry bool
	// Central's certificate lacks the name; its pods keep what they began with; its issuer has a CA that nobody trusts
	unnamed, keepsCert, newCA bool
	noWebhook                 bool
	// operators take their time to make a token that was deleted
	mintsLate bool
	// this one's renews the token that is there, and never makes one that is not
	forgets map[string]bool
	// clusters have no such policies; they store them, and enforce nothing
	noFences, toothless bool
}

// certificate is one of Central: has it the name that edges dial, and do they trust it?
type certificate struct {
	serial         int
	named, trusted bool
}

// tokenLives and tokenRenewed are the life of a token, and the age at which its operator renews it.
const (
	tokenLives   = 40 * time.Second
	tokenRenewed = 25 * time.Second
)

type accepts struct{ mtls, jwt bool }

func (a accepts) cred(c guard.Cred) bool { return c == state.MTLS && a.mtls || c == state.JWT && a.jwt }

// process is a pod of Central (accepts), or of an edge or MPC (cred).
type process struct {
	uid       string
	created   time.Time
	accepts   accepts
	serves    certificate
	late      int       // for how many ticks it has not taken the modes over
	since     time.Time // when its container started
	expires   time.Time // of the token that it holds
	cred      guard.Cred
	ready     bool
	restart   bool // it was asked to make way for a new one
	ending    bool
	connected bool
	to        *process // of Central, while it is connected
	alone     bool     // it was started by the wave in flight of a run without a hub
	pushes    float64
	connects  float64
}

type fleetMember struct {
	name                string
	declared, effective guard.Cred
	pods                []*process
	reachable           bool
	token, ca           bool
	minted              time.Time // when its token was written
	copied              time.Time // when the token was written of which a copy is kept; zero when none is
	gone                int       // for how many ticks there is no token
	cert                bool      // its certificate is there
	fence               int       // the serial of its fence, 0 when there is none
	enforced            int       // the fence that its API server enforces: it follows some time later
	touched             bool      // a run without a hub has changed it, and its operator and pods are still following
}

// killed is the panic with which a process dies.
type killed struct{}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 1)), now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
		hub: accepts{mtls: true}, lower: 1,
		edges: map[string]*fleetMember{}, entries: map[string]*plan.Statement{}, voided: map[string]time.Time{},
		homes: map[string]Journal{}}
	w.switches = switches{noRollout: w.chance(4), recreate: w.chance(3), mintAfter: w.chance(3),
		mpcPrefersMTLS: w.chance(8), readyWithoutSession: w.chance(3),
		strangers: w.chance(2), stuck: map[string]bool{}}
	w.flippers = w.chance(3)
	w.noFences, w.toothless = w.chance(4), w.chance(6)
	w.noHotReload, w.cutAtExpiry = w.chance(6), w.chance(3)
	w.unnamed, w.keepsCert = w.chance(2), w.chance(2)
	w.newCA = w.unnamed && w.chance(4)
	w.noWebhook = !w.strangers && w.chance(2)
	w.mintsLate, w.forgets = w.chance(2), map[string]bool{}
	w.taken = w.hub
	w.cert = certificate{named: !w.unnamed, trusted: true}
	w.central = []*process{w.pod(&process{accepts: w.hub, ready: true, serves: w.cert})}
	w.mpc = &fleetMember{name: "mpc", reachable: true, declared: state.MTLS, effective: state.MTLS, cert: true,
		pods: []*process{w.pod(&process{cred: state.MTLS, ready: true, connected: true, connects: 1, since: w.now})}}
	for i := range 1 + w.IntN(4) {
		e := &fleetMember{name: fmt.Sprintf("edge-%d", i+1), declared: state.MTLS, effective: state.MTLS, reachable: true,
			token: !w.mintAfter, ca: w.chance(2), minted: w.now, cert: true}
		for range 1 + w.IntN(2) {
			e.pods = append(e.pods, w.pod(&process{cred: state.MTLS, ready: true, connected: true, connects: 1, since: w.now}))
		}
		w.edges[e.name] = e
		w.stuck[e.name], w.forgets[e.name] = w.chance(8), !w.mintAfter && w.chance(6)
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
	w.tickCertificate()
	if w.taken != w.hub && w.chance(2) {
		w.taken, w.lower = w.hub, w.lower+1
		w.note("CentralXcp takes over %+v", w.taken)
	}
	newest := func(p *process) bool { return p.accepts == w.taken && !p.ending && !p.restart }
	switch {
	case w.noRollout:
		// within less time than a proof waits: that it does so at all is what the proof assumes
		for _, p := range w.central {
			if p.late++; p.accepts == w.taken || p.late > 5 || w.chance(2) {
				p.accepts, p.late = w.taken, 0
			}
		}
		if slices.ContainsFunc(w.central, func(p *process) bool { return p.restart }) && w.chance(2) {
			w.central = []*process{w.pod(&process{accepts: w.taken, serves: w.cert, ready: true})}
		}
	case !slices.ContainsFunc(w.central, newest) && w.chance(2):
		w.central = append(w.central, w.pod(&process{accepts: w.taken, serves: w.cert}))
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

// tickCertificate lets cert-manager and whoever re-reads certificates move.
func (w *world) tickCertificate() {
	issue := func(asked []string) certificate {
		w.serial++
		return certificate{serial: w.serial, named: !w.unnamed || slices.Contains(asked, dialled), trusted: !w.newCA}
	}
	if c := w.rehears.cert; w.rehears.asked != nil && (c == nil || !c.named) && w.chance(2) {
		made := issue(w.rehears.asked)
		w.rehears.cert = &made
	}
	if wants := !w.unnamed || slices.Contains(w.asked, dialled); wants != w.cert.named && w.chance(2) {
		w.cert = issue(w.asked)
		w.note("Central's certificate is %+v", w.cert)
	}
	for _, p := range w.central {
		if !w.keepsCert && w.chance(3) {
			p.serves = w.cert
		}
	}
}

// tickEdge lets the edge's operator and its pods move.
func (w *world) tickEdge(e *fleetMember) {
	w.tickToken(e)
	for _, p := range e.pods {
		if p.cred == state.JWT && !p.since.IsZero() && !w.noHotReload && e.token {
			p.expires = e.minted.Add(tokenLives)
		}
	}
	if e.declared != e.effective && w.chance(2) {
		e.effective = e.declared
	}
	if !w.toothless && w.chance(3) {
		e.enforced = e.fence
	}
	w.roll(e, w.recreate, w.stuck[e.name])
	if got := presentedBy(e.pods, e.declared, e.effective); len(got) == 1 && len(e.pods) > 0 {
		e.touched = false
	}
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
			e.pods = append(e.pods, w.pod(&process{cred: e.effective, alone: w.alone(e)}))
		}
	}
	for _, p := range e.pods {
		startable := p.cred == state.MTLS && (e.cert || e.name == "mpc") || p.cred == state.JWT && e.token && e.ca
		if startable && p.since.IsZero() {
			p.since, p.expires = w.now, e.minted.Add(tokenLives)
		}
		if p.ready || !startable {
			continue
		}
		if !stuck || w.readyWithoutSession || p.cred == state.MTLS {
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
	case all(state.JWT):
		w.mpc.effective, w.mpc.declared = state.JWT, state.JWT
	}
	w.mpc.token, w.mpc.ca = true, true
	w.roll(w.mpc, false, false)
}

// tickOthers lets people and networks move.
func (w *world) tickOthers() {
	for _, name := range w.names() {
		e := w.edges[name]
		if w.forgets[name] && !e.token {
			e.reachable = true // else its team cannot be helped
		} else if w.chance(60) {
			e.reachable = !e.reachable
		} else if !e.reachable && w.chance(6) {
			e.reachable = true
		}
		if w.flippers && w.hub.mtls && !slices.ContainsFunc(w.central, func(p *process) bool { return !p.accepts.mtls }) &&
			w.chance(60) && !e.denies(state.MTLS) {
			e.declared = state.MTLS
			w.note("%s is put back by hand", name)
		}
	}
	if w.strangers && w.chance(5) && w.hub.mtls && len(w.webhook()) == 0 && (!w.flippers || w.behindFences()) {
		w.hub.mtls, w.since, w.byStranger = false, w.now, true // the webhook does not ask for a token rotation
		w.note("somebody turns mTLS off; the webhook lets it pass")
	}
}

// denies says whether the edge's API server denies an edit that sets a mode.
func (e *fleetMember) denies(mode guard.Cred) bool {
	return e.enforced != 0 && e.declared == state.JWT && mode != state.JWT
}

// behindFences says whether everything that the roster states of edges is stated behind a fence: without one,
// somebody who edits an edge and somebody who edits the hub can meet within the minutes for which a statement is
// believed, and nothing here prevents it.
func (w *world) behindFences() bool {
	return !slices.ContainsFunc(w.names(), func(name string) bool {
		return w.entries[name] != nil &&
			w.entries[name].Fence == ""
	})
}

// webhook is what the webhook knows: the roster, and the hub's inventory, which lists every edge.
func (w *world) webhook() []guard.Blocker {
	var members []guard.Member
	for _, name := range append(w.names(), "mpc") {
		e := guard.Member{Name: name}
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
	return guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.MTLS: tri[a.mtls], state.JWT: tri[a.jwt]},
		Basis: fmt.Sprint(a)}
}

// alone says whether an edge is in flight in a run without a hub, which cannot look whether the hub will accept it,
// or was and still follows being put back.
func (w *world) alone(e *fleetMember) bool {
	in := w.homes[e.name].InFlight
	return e.touched || in != nil && slices.ContainsFunc(in.Steps, func(s EntryStep) bool { return s.Member == e.name })
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
		if p.since.IsZero() || p.cred == state.JWT && w.stuck[m.name] {
			continue // cannot even start, or reaches nobody
		}
		if p.connected && p.to != nil && !slices.Contains(w.central, p.to) {
			p.connected = false // its Central is gone
		}
		to := up[w.IntN(len(up))]
		expired := p.cred == state.JWT && m.name != "mpc" && !w.now.Before(p.expires) && (!p.connected || w.cutAtExpiry)
		switch {
		case p.alone && p.cred == state.JWT && (!to.serves.named || !to.accepts.jwt):
			p.connected = false // its team cannot see the hub; it is in flight, and its way back is written down
			continue
		case !p.connected && (p.cred == state.JWT && m.name != "mpc" && !to.serves.named || !to.serves.trusted):
			w.refused = append(w.refused, fmt.Sprintf("%s pod %s of %s refuses Central's certificate %+v",
				w.now.Format("15:04:05"), p.uid, m.name, to.serves))
			continue
		case expired:
			p.connected = false
			if !w.hub.mtls && !w.byStranger { // before that it has a way back, and is for its own credential alone
				w.refused = append(w.refused, fmt.Sprintf("%s pod %s of %s presents an expired token, and mTLS is off",
					w.now.Format("15:04:05"), p.uid, m.name))
			}
			continue
		}
		if !to.accepts.cred(p.cred) {
			p.connected = false
			w.refused = append(w.refused, fmt.Sprintf("%s pod %s of %s presents %s to %s, which accepts %+v",
				w.now.Format("15:04:05"), p.uid, m.name, p.cred, to.uid, to.accepts))
			continue
		}
		if !p.connected {
			p.connected, p.connects, p.to = true, p.connects+1, to
		}
		if w.chance(2) {
			p.pushes++
		}
	}
}
