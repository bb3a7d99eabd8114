package engine

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
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// dialled is the name under which edges dial Central.
const dialled = "tsb.example.test"

// seenAs is a certificate as facts have it: the real chains are only told apart by who trusts them.
func (w *world) seenAs(c certificate) plan.Certificate {
	chain := chains.good
	if !c.trusted {
		chain = chains.foreign
	}
	seen := plan.Certificate{Where: "tsb/xcp-central-cert", Chain: chain, Digest: fmt.Sprint(c.serial),
		Began: w.now.Add(-time.Hour), Expires: w.now.Add(time.Hour)}
	if !c.named {
		seen.Chain = chains.unnamed
	}
	return seen
}

// Observe implements Clusters: the state that the provider would make of the named clusters as they are now, and of the
// others as this run saw them last, as Live has it; of all when it is interrupted.
func (w *world) Observe(ctx context.Context, contexts ...string) plan.State {
	w.pass()
	switch {
	case w.seen.members == nil:
		w.seen.members, contexts = map[string]plan.Member{}, append(w.names(), "hub")
	case ctx.Err() != nil:
		contexts = nil
	case len(contexts) == 0:
		contexts = append(w.names(), "hub")
	}
	for _, name := range contexts {
		if e := w.edges[name]; e != nil {
			w.seen.members[name] = w.member(e)
		}
	}
	if !w.noHub && slices.Contains(contexts, "hub") {
		w.seen.hub, w.seen.entries = w.observeHub(), maps.Clone(w.entries)
		m := w.member(w.mpc)
		m.Role, m.Context, m.Declared, m.Effective, m.Leftovers = plan.RoleMPC, "hub", "", "", nil
		m.Evidence.Presents = presentedBy(w.mpc.pods)
		w.seen.mpc = m
	}
	f := plan.State{At: w.now, Product: state.Name, UsesRoster: true}
	for _, name := range w.names() {
		f.Members = append(f.Members, w.withEntry(w.seen.members[name]))
	}
	if w.noHub {
		return f
	}
	f.Hub = w.seen.hub
	f.Members = append(f.Members, w.withEntry(w.seen.mpc))
	return f
}

// Glance implements Clusters. The model knows no reads: it looks at all of a context, or leaves it as it was seen where
// it may.
func (w *world) Glance(ctx context.Context, moves map[string]func(plan.Read) bool) plan.State {
	return w.Observe(ctx, glanced(w.Rand, moves)...)
}

// glanced are the contexts of a glance that shows something, at least one.
func glanced(r *rand.Rand, moves map[string]func(plan.Read) bool) []string {
	all := contextsIn(moves)
	some := slices.DeleteFunc(slices.Clone(all), func(name string) bool { return moves[name] != nil && r.IntN(4) == 0 })
	if len(some) == 0 {
		return all[:1]
	}
	return some
}

// contextsIn are the contexts of a glance, in order.
func contextsIn(moves map[string]func(plan.Read) bool) []string {
	return slices.Sorted(maps.Keys(moves))
}

// withEntry adds to what was seen of a member what its entry in the roster said when the hub was seen.
func (w *world) withEntry(m plan.Member) plan.Member {
	if !w.noHub {
		m.Statement, m.Registered = w.seen.entries[m.Name], false
		_, m.Registered = w.seen.entries[m.Name]
	}
	if m.Err == "" {
		m.Fence.Verified = m.Statement != nil && m.Statement.Fence != "" && m.Statement.Fence == m.Fence.ID()
	}
	return m
}

func (w *world) observeHub() plan.Hub {
	h := plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub",
		Object: plan.Ref{Group: "install.tetrate.io", Kind: "ManagementPlane", Resource: "managementplanes",
			Name: "mp", UID: "mp"}},
		HubDeclaration: plan.HubDeclaration{Accepts: asHub(w.hub), Since: w.since,
			Declared: map[string]any{"jwt": w.hub.jwt, "mutualTls": w.hub.mtls}},
		HubRunning: plan.HubRunning{OperatorGeneration: w.lower},
		HubMembers: plan.HubMembers{Inventory: w.names()},
		HubRecords: plan.HubRecords{Roster: plan.RosterState{Namespace: w.roster.namespace, Kind: w.roster.kind},
			Originals: w.homes["hub"].Originals},
		HubCertificate: plan.HubCertificate{Server: w.seenAs(w.cert),
			Issuer: plan.Issuer{Object: plan.Ref{Group: "cert-manager.io", Resource: "certificates", Kind: "Certificate",
				Name: "central", UID: "central"}, Names: names(w.asked)}}}
	if w.rehears.asked != nil {
		h.TrialIssuer = plan.Issuer{Object: plan.Ref{Group: "cert-manager.io", Resource: "certificates", Kind: "Certificate",
			Name: "rehearsal"}, Names: names(w.rehears.asked), Ready: w.rehears.cert != nil}
	}
	if w.rehears.cert != nil {
		h.TrialCertificate = w.seenAs(*w.rehears.cert)
	}
	h.Workload = workloadOf(w.central, w.taken == w.hub && (w.noRollout ||
		!slices.ContainsFunc(w.central, func(p *process) bool { return p.accepts != w.taken || p.restart })), nil)
	h.Workload.RestartedFor = w.restartedFor
	for i, p := range w.central {
		served := w.seenAs(p.serves)
		h.Workload.Processes[i].Serves = &served
	}
	h.Connections = &plan.Connections{Config: len(w.edges), State: len(w.edges) + 1}
	if w.mpc.cert {
		h.Leftovers = []plan.Leftover{{Context: "hub", Member: "mpc", Object: plan.Ref{Resource: "secrets", Kind: "Secret",
			Name: "mpc-certs", UID: "mpc-certs"}}}
	}
	return h
}

// names is the names of a Certificate as facts have them.
func names(asked []string) map[string]any {
	if len(asked) == 0 {
		return map[string]any{"dnsNames": nil, "ipAddresses": nil}
	}
	list := make([]any, len(asked))
	for i, n := range asked {
		list[i] = n
	}
	return map[string]any{"dnsNames": list, "ipAddresses": nil}
}

func (w *world) member(e *fleetMember) plan.Member {
	m := plan.Member{Identity: plan.Identity{Name: e.name, ClusterName: e.name, Role: plan.RoleEdge, Context: e.name,
		Object: plan.Ref{Group: "install.tetrate.io", Resource: "controlplanes", Kind: "ControlPlane",
			Name: e.name, UID: e.name}}}
	if !e.reachable {
		m.Err = "the API server did not answer in time"
		m.Evidence = guard.Member{Name: e.name, Why: m.Err}
		return m
	}
	m.Declared, m.Effective = e.declared, e.effective
	m.DeclaredFields = map[string]any{"centralAuthMode": modeWord(e.declared)}
	m.Evidence = guard.Member{Name: e.name, Presents: presentedBy(e.pods, e.declared, e.effective),
		Until: w.now.Add(30 * time.Second)}
	m.Workload = workloadOf(e.pods, e.declared == e.effective && !slices.ContainsFunc(e.pods,
		func(p *process) bool { return p.cred != e.effective }), w)
	m.Credential = w.tokenOf(e)
	m.Trust = plan.Trust{OK: w.cert.named || w.noHub, Unnamed: !w.cert.named && !w.noHub, Absent: !e.ca, Why: "unnamed"}
	m.ServerName, m.TrustAnchors = dialled, [][]byte{chains.ca}
	m.Rotation = w.rotation(e)
	m.OldCredential = plan.Certificate{Where: "istio-system/xcp-edge-cert",
		Err: "secret istio-system/xcp-edge-cert is not there"}
	if e.cert {
		m.OldCredential = plan.Certificate{Where: "istio-system/xcp-edge-cert", Expires: w.now.Add(time.Hour)}
		m.Leftovers = []plan.Leftover{{Context: e.name, Member: e.name, Object: plan.Ref{Resource: "secrets", Kind: "Secret",
			Name: "xcp-edge-cert", UID: "cert-of-" + e.name}}}
	}
	m.Fence = w.fence(e)
	for _, home := range []string{"hub", e.name} {
		if was := w.homes[home].Originals[e.name]; was != nil {
			m.Original = was
		}
	}
	return m
}

// fence is what the provider makes of the fence that is stored.
func (w *world) fence(e *fleetMember) plan.Fence {
	ref := plan.Ref{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicybindings",
		Kind: "Fence", Name: plan.FenceName}
	f := plan.Fence{Policy: ref, Binding: ref}
	f.Policy.Resource, f.Policy.Kind = "validatingadmissionpolicies", "FencePolicy"
	if e.fence != 0 {
		f.Policy.UID, f.Binding.UID, f.Current = fmt.Sprint(e.fence), fmt.Sprint(e.fence), true
		f.PolicySpec, f.BindingSpec = map[string]any{}, map[string]any{}
	}
	if w.noFences {
		f.Unavailable = "old"
	}
	return f
}

// rotation is what the provider makes of pods and tokens.
func (w *world) rotation(e *fleetMember) plan.Rotation {
	var newest time.Time
	for _, p := range e.pods {
		if p.since.IsZero() || p.cred != state.JWT || p.ending {
			return plan.Rotation{Why: "not all of its pods run with a token"}
		}
		if p.since.After(newest) {
			newest = p.since
		}
	}
	due := newest.Add(tokenLives + 2*time.Second)
	if len(e.pods) == 0 || w.now.Before(due) || !e.minted.After(newest) {
		return plan.Rotation{At: due, Why: "young"}
	}
	return plan.Rotation{Seen: true, At: due}
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
	if c == state.JWT {
		return "JWT"
	}
	return "MUTUAL_TLS"
}

func workloadOf(pods []*process, newest bool, counters *world) plan.Workload {
	wl := plan.Workload{Found: true, Replicas: int64(max(1, len(pods))), Settled: newest && len(pods) > 0}
	for _, p := range pods {
		proc := plan.Process{Name: p.uid, UID: p.uid, Created: p.created, Ready: p.ready, Started: true, Since: p.since,
			Ending: p.ending, Presents: p.cred}
		if counters != nil {
			proc.Counters = map[string]float64{"xcp_edge_last_push_to_central_timestamp_ms": p.pushes,
				`xcp_edge_stream_connect_count{statusLabel="ok"}`: p.connects}
		}
		wl.Processes = append(wl.Processes, proc)
		wl.Settled = wl.Settled && p.ready && !p.ending
	}
	return wl
}

// count counts a write, and ends the process right before it when its time has come (killAt), or right after it
// (-killAt).
func (w *world) count() {
	w.writes++
	if w.writes == w.killAt {
		panic(killed{})
	}
}

// Write implements Clusters.
func (w *world) Write(_ context.Context, p plan.Write, still func() error) (bool, error) {
	w.count()
	w.patch(p)
	defer w.afterWrite()
	if still != nil {
		if err := still(); err != nil {
			return false, err
		}
	}
	if err := forbidden(w.mayNot, p); err != nil {
		return false, err
	}
	switch {
	case p.Object.Name == plan.FenceName:
		return w.writeFence(p)
	case strings.HasPrefix(p.Object.Name, tokenSecretName):
		return w.writeToken(p)
	case p.Object.Kind == "Certificate" || p.Op == plan.OpDelete:
		return w.writeCertificate(p)
	case p.Object.Kind == "Deployment":
		for _, key := range []string{"spec", "template", "metadata", "annotations"} {
			p.After, _ = p.After[key].(map[string]any)
		}
		for why := range p.After {
			if w.restartedFor == p.After[why] {
				return false, nil
			}
			w.restartedFor, _ = p.After[why].(string)
		}
		for _, c := range w.central {
			c.restart = true
		}
	case p.Object.Kind == "Namespace":
		w.roster.namespace = true
	case p.Object.Kind == "CustomResourceDefinition":
		w.roster.kind = true
	case p.Object.Kind == "EdgeCluster" && p.Op == plan.OpUpdateStatus:
		w.entries[p.Object.Name], w.voided[p.Object.Name] = nil, w.now
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

// writeFence makes the binding of an edge's fence, or removes it.
func (w *world) writeFence(p plan.Write) (bool, error) {
	e := w.edges[p.Context]
	switch {
	case !e.reachable:
		return false, fmt.Errorf("writing %s in %s: the API server did not answer in time", p.Object, p.Context)
	case p.Object.Kind == "FencePolicy":
	case p.Op == plan.OpDelete:
		e.fence = 0
	case p.Op == plan.OpCreate && e.fence == 0:
		w.serial++
		e.fence = w.serial
	}
	return true, nil
}

// Lacking implements Clusters: its user may only look at one of the edges, or may do everything.
func (w *world) MissingPermissions(_ context.Context, needs map[string][]plan.Permission) map[string]Denial {
	return lackingIn(w.mayNot, needs)
}

// lackingIn is the answer to a user who may only look at what is in a context.
func lackingIn(context string, needs map[string][]plan.Permission) map[string]Denial {
	for _, n := range needs[context] {
		if n.Verb != "get" && n.Verb != "list" {
			return map[string]Denial{context: {Why: n.String()}}
		}
	}
	return nil
}

// forbidden is what who may only look in a context is told of a write there, and nil elsewhere.
func forbidden(context string, p plan.Write) error {
	if context == "" || p.Context != context {
		return nil
	}
	return fmt.Errorf("writing %s in %s: forbidden (403)", p.Object, p.Context)
}

// Probe implements Clusters.
func (w *world) Probe(_ context.Context, p plan.Write) (string, error) {
	e := w.edges[p.Context]
	switch {
	case !e.reachable:
		return "", fmt.Errorf("the API server did not answer in time")
	case e.denies(state.MTLS):
		return fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request", plan.FenceName, plan.FenceName),
			nil
	}
	return "", nil
}

// writeCertificate changes what a Certificate asks for, or deletes what only the old credential needed.
func (w *world) writeCertificate(p plan.Write) (bool, error) {
	asks := func(m map[string]any) []string {
		all := []string{}
		spec, _ := m["spec"].(map[string]any)
		list, _ := spec["dnsNames"].([]any)
		for _, n := range list {
			all = append(all, n.(string))
		}
		return all
	}
	switch {
	case p.Object.Name == "central":
		w.asked = asks(p.After)
	case p.Op == plan.OpDelete && strings.HasPrefix(p.Object.UID, "cert-of-"):
		e := w.edges[p.Context]
		if !e.reachable {
			return false, fmt.Errorf("deleting %s: the API server did not answer in time", p.Object)
		}
		if w.hub.mtls || slices.ContainsFunc(e.pods, func(p *process) bool { return p.cred == state.MTLS }) {
			w.refused = append(w.refused, "the certificate of "+e.name+" is deleted while it may be needed")
		}
		e.cert = false
	case p.Op == plan.OpDelete && p.Object.UID == "mpc-certs":
		w.mpc.cert = false
	case p.Op == plan.OpDelete && p.Object.Kind == "Secret":
		w.rehears.cert = nil
	case p.Op == plan.OpDelete:
		w.rehears.asked = nil
	default:
		w.rehears.asked, w.rehears.cert = asks(p.After), nil
	}
	return true, nil
}

func (w *world) afterWrite() {
	if w.writes == -w.killAt {
		panic(killed{})
	}
}

func (w *world) writeHub(p plan.Write) (bool, error) {
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
	case before.mtls && !after.mtls && !w.noWebhook && len(w.webhook()) > 0:
		return false, &DeniedError{Object: p.Object, Context: p.Context, Message: w.webhook()[0].String()}
	default:
		w.hub, w.since, w.byStranger = after, w.now, false
		w.note("the plugin writes the hub %+v", after)
	}
	return true, nil
}

func (w *world) writeEdge(p plan.Write) (bool, error) {
	mode := func(m map[string]any) guard.Cred {
		for _, k := range []string{"spec", "components", "xcp"} {
			m, _ = m[k].(map[string]any)
		}
		if m["centralAuthMode"] == "JWT" {
			return state.JWT
		}
		return state.MTLS
	}
	e := w.edges[p.Context]
	switch {
	case !e.reachable:
		return false, fmt.Errorf("writing %s in %s: the API server did not answer in time", p.Object, p.Context)
	case e.declared == mode(p.After):
		return false, nil
	case e.declared != mode(p.Before):
		return false, &ChangedError{Object: p.Object, Context: p.Context}
	case e.denies(mode(p.After)):
		return false, &DeniedError{Object: p.Object, Context: p.Context, Message: plan.FenceName}
	}
	e.declared, e.touched = mode(p.After), e.touched || w.noHub
	w.note("the plugin writes %s %s", e.name, e.declared)
	return true, nil
}

// Lock, Supply, ReadJournal, WriteJournal, Publish, Now and Pause implement Clusters.
func (w *world) Lock(context.Context, string, string) (Lock, error) { return free{}, nil }

func (w *world) Supply(context.Context, plan.Supply, func() error) ([]string, error) { return nil, nil }

func (w *world) ReadJournal(_ context.Context, home string) (Journal, error) {
	if e := w.edges[home]; e != nil && !e.reachable {
		return Journal{}, fmt.Errorf("reading the journal in %s: the API server did not answer in time", home)
	}
	return w.homes[home], nil
}

func (w *world) WriteJournal(_ context.Context, home string, j Journal) error {
	if e := w.edges[home]; e != nil && !e.reachable {
		return fmt.Errorf("writing the journal in %s: the API server did not answer in time", home)
	}
	w.count()
	defer w.afterWrite()
	w.homes[home] = j
	return nil
}

func (w *world) Publish(_ context.Context, _ string, m plan.Member, st api.EdgeClusterStatus) error {
	w.count()
	w.wrote("publish", "hub", plan.Ref{Name: m.Name}, st)
	defer w.afterWrite()
	if at, voided := w.voided[m.Name]; voided && w.entries[m.Name] == nil && !st.ObservedTime.After(at) {
		return &RetractedError{"it was taken back"}
	}
	s := &plan.Statement{Observed: st.ObservedTime.UTC(), Until: st.ValidUntil.UTC(), Source: st.Source,
		Rotated: st.RotationTime != nil}
	if st.Fence != nil {
		s.Fence, s.FenceSeen = st.Fence.UID, st.Fence.ProvenTime.UTC()
	}
	for _, c := range st.Presents {
		s.Presents = append(s.Presents, guard.Cred(c))
	}
	w.entries[m.Name] = s
	w.note("the plugin states %s of %s", strings.Join(st.Presents, "+"), m.Name)
	return nil
}

func (w *world) Now() time.Time { return w.now }

func (w *world) Pause(context.Context, time.Duration) {
	w.pass()
	w.tick()
}

// pass counts a look or a pause, and interrupts the run in the midst of it when its time has come.
func (w *world) pass() {
	if w.passed++; w.passed == w.cancelAt {
		w.cancel()
	}
}
