package engine

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// transcript writes down whole runs: the fleet in, each command, every line of progress, the end.
type transcript struct {
	strings.Builder
	clusters Clusters
	provider plan.Provider
	fleet    func() []string // the state of the fleet, one line per member
	refused  *[]string       // the members that the hub refused
}

// line writes one line without trailing blanks.
func (tr *transcript) line(format string, args ...any) {
	tr.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

// show writes the state of the fleet under a title.
func (tr *transcript) show(title string) {
	tr.line("\n%s", title)
	for _, l := range tr.fleet() {
		tr.line("  %s", l)
	}
}

// run runs the real executor and writes down what it reports, and how it ended or died.
func (tr *transcript) run(command string, goal plan.Goal) (r Result) {
	tr.line("\n$ %s", command)
	defer func() {
		switch p := recover().(type) {
		case nil:
			tr.ended(r)
		case killed:
			tr.line("-- the process is killed here --")
		default:
			panic(p)
		}
	}()
	return tr.execute(goal, func(ev Event) {
		tr.line("%s  %-8s %-8s %s", ev.At.Format(time.TimeOnly), ev.Phase, ev.Member, ev.Text)
	})
}

func (tr *transcript) execute(goal plan.Goal, report func(Event)) Result {
	goal.Within = cmp.Or(goal.Within, time.Minute)
	e := &Executor{Clusters: tr.clusters, Provider: tr.provider, Goal: goal, Source: "ops@laptop", Poll: time.Second,
		UndoWithin: time.Minute, Report: report, oneByOne: true}
	return e.Migrate(context.Background())
}

// before brings the fleet to where a transcript begins, without writing anything down.
func (tr *transcript) before(t *testing.T, goal plan.Goal) {
	t.Helper()
	if r := tr.execute(goal, nil); !r.Done {
		t.Fatalf("the run before did not reach its goal: %v, %+v", r.Err, r.Outcomes)
	}
}

// ended writes down the exit code and what became of each member.
func (tr *transcript) ended(r Result) {
	how := "goal reached"
	switch {
	case r.Err != nil:
		how = r.Err.Error()
	case !r.Done:
		how = "goal not reached"
	}
	tr.line("exit code %d: %s", r.ExitCode(), how)
	said := tr.String()
	for _, o := range r.Outcomes {
		if strings.Contains(said, ": "+o.Why+"\n") {
			o.Why = "" // a line of progress has said it
		}
		tr.line("  %-8s %-13s %s", o.Member, o.State, o.Why)
	}
}

// golden compares the transcript with the file that serves as documentation, or writes it with -update.
func (tr *transcript) golden(t *testing.T, name, about string) {
	t.Helper()
	if len(*tr.refused) > 0 {
		t.Errorf("members were refused: %q", *tr.refused)
	}
	var head strings.Builder
	for l := range strings.Lines(about) {
		head.WriteString(strings.TrimRight("# "+l, " \n") + "\n")
	}
	got, file := head.String()+tr.String(), filepath.Join("..", "..", "test", "transcripts", name+".txt")
	if *updateLedgers {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := gocmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("%s is not what the run says now; where that is meant, run this with -update (-file +run):\n%s", file, d)
	}
}

// steadyFleet is a fleet of TSB without moods. Its networks change only as away says.
type steadyFleet struct {
	*world
	away    string // the edge whose API server does not answer, "" when there is none
	dieOnce string // the edge right after whose mode is written the process dies, "" when there is none
}

func (s *steadyFleet) Pause(ctx context.Context, d time.Duration) {
	s.world.Pause(ctx, d)
	s.settle()
}

func (s *steadyFleet) settle() {
	for name, e := range s.edges {
		e.reachable = name != s.away
	}
}

func (s *steadyFleet) Write(ctx context.Context, p plan.Write, still func() error) (bool, error) {
	wrote, err := s.world.Write(ctx, p, still)
	if s.dieOnce != "" && p.Object.Kind == "ControlPlane" && p.Context == s.dieOnce {
		s.dieOnce = ""
		panic(killed{})
	}
	return wrote, err
}

// Observe adds what a reader sees and the model leaves empty: names of a certificate, the words on a rotation.
func (s *steadyFleet) Observe(ctx context.Context, contexts ...string) plan.State {
	f := s.world.Observe(ctx, contexts...)
	if s.cert.named {
		f.Hub.Server.Names = []string{dialled}
	}
	for i := range f.Members {
		switch r := &f.Members[i].Rotation; {
		case r.Seen:
			r.Why = "its token was renewed since its newest pod started"
		case r.Why == "young":
			r.Why = fmt.Sprintf("a token lives %s, and its newest pod is younger", tokenLives)
		}
	}
	return f
}

// Glance adds that too.
func (s *steadyFleet) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	return s.Observe(ctx, contextsIn(moves)...)
}

// tsbFleet is a hub, its MPC and edges, all on mTLS, with tokens that their operators made, and trusted certificates.
func tsbFleet(edges ...string) (*transcript, *steadyFleet) {
	w := newWorld(1)
	w.switches = switches{stuck: map[string]bool{}, forgets: map[string]bool{}}
	w.cert = certificate{named: true, trusted: true}
	w.central = []*process{w.pod(&process{accepts: w.hub, ready: true, serves: w.cert})}
	w.edges = map[string]*fleetMember{}
	for _, name := range edges {
		pod := w.pod(&process{cred: state.MTLS, ready: true, connected: true, connects: 1, since: w.now})
		w.edges[name] = &fleetMember{name: name, declared: state.MTLS, effective: state.MTLS, token: true, ca: true,
			minted: w.now, cert: true, pods: []*process{pod}}
	}
	w.asked = []string{dialled}
	s := &steadyFleet{world: w}
	s.settle()
	return &transcript{clusters: s, provider: tsb.Provider(), fleet: s.lines, refused: &w.refused}, s
}

// toJWT is a goal of TSB as the plugin makes it.
func toJWT(g plan.Goal) plan.Goal {
	g.To, g.FenceFor = state.JWT, 10*time.Second
	return g
}

// lines is the state of the fleet.
func (s *steadyFleet) lines() []string {
	var accepted []guard.Cred
	if s.hub.mtls {
		accepted = append(accepted, state.MTLS)
	}
	if s.hub.jwt {
		accepted = append(accepted, state.JWT)
	}
	all := []string{fmt.Sprintf("%-8s accepts %s", "hub", list(accepted))}
	for _, m := range append([]*fleetMember{s.mpc}, s.members()...) {
		l := fmt.Sprintf("%-8s presents %s", m.name, list(presentedBy(m.pods)))
		if !slices.Equal(presentedBy(m.pods), presentedBy(m.pods, m.declared)) {
			l += "; set to " + string(m.declared)
		}
		if s.stuck[m.name] {
			l += "; its pods cannot connect with a token"
		}
		if !m.reachable {
			l += "; its API server does not answer"
		}
		all = append(all, l)
	}
	return all
}

func list(creds []guard.Cred) string {
	var words []string
	for _, c := range creds {
		words = append(words, string(c))
	}
	return strings.Join(words, ", ")
}

func (s *steadyFleet) members() []*fleetMember {
	var all []*fleetMember
	for _, name := range s.names() {
		all = append(all, s.edges[name])
	}
	return all
}

// kongMesh is a global control plane with one signing key that authenticates nobody, and zones without tokens.
func kongMesh(t *testing.T, zones int) (*transcript, *mesh) {
	t.Helper()
	var w *mesh
	for seed := uint64(0); w == nil || len(w.zones) != zones || w.hopeless() || w.hadTokens || w.keyless || w.away != "" ||
		w.version != "2.14.5" || w.manyProcesses; seed++ {
		w = newMesh(seed)
	}
	w.crashes, w.strangers, w.checksHealth, w.backsOff, w.lateSessions, w.steady = false, false, true, false, false, true
	return &transcript{clusters: w, provider: kongmesh.Provider(), fleet: w.lines, refused: &w.refused}, w
}

// lines is the state of the mesh.
func (w *mesh) lines() []string {
	who := "nobody"
	if slices.ContainsFunc(w.global.pods, authenticates) {
		who = "every zone"
	}
	l := fmt.Sprintf("%-8s authenticates %s; signing keys: %s", "hub", who, strings.Join(w.keyIDs(), ", "))
	if len(w.list) > 0 {
		l += "; revoked: " + string(w.list)
	}
	all := []string{l}
	for _, name := range w.names() {
		holds := "no token"
		for _, p := range w.zones[name].pods {
			if z, err := zonetoken.ReadZone(p.token); err == nil {
				holds = fmt.Sprintf("token %s of key %s", z.ID, z.KeyID)
			}
		}
		all = append(all, fmt.Sprintf("%-8s presents %s", name, holds))
	}
	return all
}

// keyIDs are the serials of the signing keys.
func (w *mesh) keyIDs() []string {
	var ids []string
	for _, name := range slices.Sorted(maps.Keys(w.keys)) {
		ids = append(ids, strings.TrimPrefix(name, zonetoken.KeyName("")))
	}
	return ids
}
