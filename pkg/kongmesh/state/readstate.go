package state

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/parallel"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// LiveFor is how long what was just read of a zone may be believed before a decision.
const LiveFor = 30 * time.Second

// ReadState makes a state of snapshots, decoding nothing twice and asking nothing of a token twice, in these steps:
//
//  1. find each context's control planes, and the hub: the one context, or the named one, with one global among them;
//  2. read whom it authenticates, its keys and revocations, its pods, its zones and their sessions, and the journal;
//  3. read each zone control plane, as a member when its zone is one of the global's, else as somebody else's;
//  4. add the zones that only the global lists, as unknown, or by the token that was provided;
//  5. account for every other context.
func ReadState(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
	snaps = parallel.Map(snaps, plan.Snapshot.WithCache)
	f := plan.State{At: at, Product: Name, TellsSessions: true, Words: Words}
	snaps = kube.Distinct(snaps, where.Hub, &f)
	looked := parallel.Map(snaps, controlPlanesIn)
	home, global := findGlobal(snaps, looked, where, &f.Hub)
	var hub *zonetoken.GlobalVerifier
	if home != nil {
		hub = ReadGlobal(home, *global, &f.Hub)
	}
	addZones(looked, home, hub, &f)
	if home != nil {
		addAbsent(where.Tokens, hub, sourceOf(*global, home.Reads).insights(home.Reads), &f)
		if f.Hub.Revocations != nil {
			f.Hub.Revocations.Expired = expired(snaps, where, hub, &f)
		}
		f.Hub.Accepts = accepts(*global, home, hub, &f)
	}
	if home != nil {
		addLinks(&f)
	}
	sorting.Stable(f.Members, func(a, b *plan.Member) int { return strings.Compare(a.Name, b.Name) })
	sorting.Stable(f.Others, func(a, b *plan.OtherContext) int { return strings.Compare(a.Context, b.Context) })
	return f
}

// contextPlanes are a context and its control planes.
type contextPlanes struct {
	plan.Snapshot
	planes []ControlPlane
	why    string // they could not be listed
}

func controlPlanesIn(s plan.Snapshot) contextPlanes {
	deployments, why := kube.Deployments(s.Reads[ControlPlanesRead])
	c := contextPlanes{Snapshot: s, planes: make([]ControlPlane, len(deployments)), why: why}
	for i := range deployments {
		c.planes[i] = ControlPlaneOf(&deployments[i], s.Reads)
	}
	return c
}

// FindGlobal finds the global control plane that this run is about, or says in hub.Err why there is none.
func FindGlobal(snaps []plan.Snapshot, where plan.Selection, hub *plan.Hub) (*plan.Snapshot, *ControlPlane) {
	return findGlobal(snaps, parallel.Map(snaps, controlPlanesIn), where, hub)
}

// findGlobal is FindGlobal, with the control planes of each snapshot.
func findGlobal(snaps []plan.Snapshot, looked []contextPlanes, where plan.Selection,
	hub *plan.Hub) (*plan.Snapshot, *ControlPlane) {
	if len(where.Addresses) > 0 {
		return findOutside(snaps, where, hub)
	}
	var found, tried, unreached, reasons []string
	var home *plan.Snapshot
	var global *ControlPlane
	for i, s := range snaps {
		if where.Hub != "" && s.Context != where.Hub {
			continue
		}
		tried = append(tried, s.Context)
		if s.Err != "" {
			hub.Context = where.Hub
			unreached, reasons = append(unreached, s.Context), append(reasons, s.Err)
			continue
		}
		if why := looked[i].why; why != "" {
			unreached, reasons = append(unreached, s.Context), append(reasons, "Deployments could not be listed: "+why)
		}
		for n := range looked[i].planes {
			if cp := &looked[i].planes[n]; cp.Mode == ModeGlobal {
				at := cp.Object.Metadata
				found = append(found, fmt.Sprintf("%s/%s in %s", at.Namespace, at.Name, s.Context))
				home, global = &snaps[i], cp
			}
		}
	}
	switch {
	case len(found) == 1:
		return home, global
	case len(found) > 1:
		hub.Err = fmt.Sprintf("%d global control planes found: %s; name one with --context", len(found), plan.Few(found, 5))
	case len(unreached) > 0:
		hub.Err = "no global control plane found; could not look at " + plan.GroupByReason(unreached, reasons)
	default:
		hub.Err = fmt.Sprintf("no global control plane found in %s; pass its context with --context. A global that "+
			"Konnect hosts is in none, and its zones have tokens of Konnect's own", plan.Few(tried, 10))
	}
	return nil, nil
}

// ReadGlobal fills the hub but for what it accepts, and returns it as the one that judges tokens.
func ReadGlobal(s *plan.Snapshot, cp ControlPlane, hub *plan.Hub) *zonetoken.GlobalVerifier {
	hub.Found, hub.Context, hub.ClusterUID, hub.Object = true, s.Context, kube.ClusterUID(*s), cp.ref()
	hub.Version = cp.Version.String()
	hub.API = apiOf(cp, hub.Object)
	hub.Owner, hub.HelmNote = kube.Owners(cp.Object.Metadata, cp.written(cp.AuthTypes())...)
	entries, odd := cp.variables(cp.AuthTypes(), false)
	hub.Declared = Environment(cp.container().Name, entries)
	if _, known, why := cp.Authenticates(cp.Spec); !known {
		hub.Anomalies = append(hub.Anomalies, why)
	}
	hub.Anomalies = append(hub.Anomalies, cp.doubled(cp.AuthTypes())...)
	for _, name := range odd {
		hub.Anomalies = append(hub.Anomalies, name+" comes from somewhere else than a value; write it as one")
	}
	for _, e := range cp.environments() {
		for _, off := range []string{e.UsesSecrets} {
			if off != "" && cp.set(cp.Spec, off, "").text == "false" {
				hub.Anomalies = append(hub.Anomalies, off+" is false, so that no key in a secret counts; this tool manages those")
			}
		}
	}
	if hub.Workload = workloadOf(s.Reads, cp, nil); cp.outside != nil {
		hub.Workload = cp.outside.workload()
	}
	v := &zonetoken.GlobalVerifier{Verifier: zonetoken.Verifier{Version: cp.Version}}
	if s.Skew != nil {
		v.Ahead = *s.Skew
	}
	hub.Roster, _ = roster.Parse(s.Reads)
	hub.InFlight, hub.Originals, hub.History = roster.Journal(s.Reads)
	hub.JournalErr = roster.Unread(s.Reads)
	readKept(s, cp, v, hub)
	return v
}

// readKept reads what a global keeps: its keys and revocations, its zones and their sessions.
func readKept(s *plan.Snapshot, cp ControlPlane, v *zonetoken.GlobalVerifier, hub *plan.Hub) {
	from := sourceOf(cp, s.Reads)
	if u, is := from.(unknown); is {
		hub.StoredElsewhere = u.why
		hub.Anomalies = append(hub.Anomalies, fmt.Sprintf("%s: %s", hub.Object, u.why))
	}
	if cp.outside != nil {
		if other := cp.outside.unasked(from.insights(s.Reads)); other != "" {
			hub.Anomalies = append(hub.Anomalies, fmt.Sprintf("%s: zones are connected to its process %s too, which is at none "+
				"of the addresses; name each process with --global-api", hub.Object, zonetoken.Safe(other)))
		}
	}
	for _, odd := range from.odd(s.Reads) {
		hub.Anomalies = append(hub.Anomalies, fmt.Sprintf("%s: %s", hub.Object, odd))
	}
	if api := from.api(s.Reads); api != nil {
		hub.StateAPI, hub.API = api, api
	}
	secrets := from.secrets(s.Reads)
	if v.Unread = secrets.why; v.Unread != "" && hub.StoredElsewhere == "" {
		hub.Anomalies = append(hub.Anomalies, v.Unread)
	}
	v.Keys, v.Revocations, v.Cache = secrets.keys, secrets.revocations, secrets.cache
	made := secrets.made
	if hub.StoredElsewhere == "" {
		hub.Revocations = &plan.Revocations{Object: from.object(zonetoken.RevocationsName, made[zonetoken.RevocationsName]),
			Value: secrets.list, IDs: v.Revocations.IDs()}
		hub.Revocations.Keeper, _ = kube.Owners(made[zonetoken.RevocationsName], []string{"data"})
	}
	if hub.Keys = keysOf(v.Keys, made, from); v.Unread != "" && len(hub.Keys) == 0 {
		hub.Keys = nil // it is not known whether there are some
	}
	hub.KeysErr = v.Unread
	var why string
	if hub.Inventory, why = from.zones(s.Reads); why != "" {
		hub.InventoryErr = "the global's zones could not be listed: " + why
	}
	hub.Sessions, hub.SessionsUnclear = sessionsOf(from, s.Reads, cp), sessionsUnclear(cp.Version)
	hub.TokenChecks = cp.Version.LooksAgain()
}

// keysOf describes the signing keys, lowest serial first.
func keysOf(set zonetoken.KeySet, made map[string]kube.Metadata, from source) []plan.Key {
	signer, _ := set.Signer()
	keys := []plan.Key{}
	for _, k := range set.Keys {
		m := made[k.Name]
		key := plan.Key{ID: k.Verifies, Serial: k.Serial, Signs: k.Name == signer.Name && k.Seen,
			Made: kube.Stamp(m.CreationTimestamp), Object: from.object(k.Name, m)}
		for _, f := range k.Findings {
			if f.Severity == finding.Error && key.Wrong == "" {
				key.Wrong = f.Found
			}
		}
		if key.Wrong == "" && (!k.Seen || k.Public == nil) {
			key.Wrong = "the global cannot use it"
		}
		keys = append(keys, key)
	}
	sorting.Stable(keys, func(a, b *plan.Key) int {
		return cmp.Or(cmp.Compare(a.Serial, b.Serial), strings.Compare(a.Object.Name, b.Object.Name))
	})
	return keys
}

// accepts is what every process of the global accepts, and will after it is started again: the credentials of all its
// keys and of all tokens that zones have. One that authenticates nobody accepts everything.
func accepts(cp ControlPlane, home *plan.Snapshot, hub *zonetoken.GlobalVerifier, f *plan.State) guard.Hub {
	on, known, _ := cp.Authenticates(cp.Spec)
	someOn, someOff := known && on, known && !on
	unknown := !known || f.Hub.Workload.Err != ""
	count := func(on, known bool, _ string) {
		someOn, someOff, unknown = someOn || known && on, someOff || known && !on, unknown || !known
	}
	for _, spec := range podSpecs(home.Reads, cp) {
		count(cp.Authenticates(spec))
	}
	if cp.outside != nil {
		for _, config := range cp.outside.configs {
			of := cp
			of.config = config
			count(of.Authenticates(cp.Spec))
		}
	}
	h := guard.Hub{Accepts: map[guard.Cred]guard.Tri{}}
	switch {
	case unknown:
		h.Accepts[None] = guard.Unknown
	case someOn && someOff: // one rolls out, or was not rolled out
		h.Accepts[None] = guard.Unknown
	case someOn:
		h.Accepts[None] = guard.No
	default:
		h.Accepts[None] = guard.Yes
	}
	tri := func(ok bool) guard.Tri {
		switch {
		case hub.Unread != "":
			return guard.Unknown
		case ok || h.Accepts[None] == guard.Yes:
			return guard.Yes
		}
		return guard.No
	}
	for _, k := range f.Hub.Keys {
		if k.ID != "" && k.Wrong == "" {
			h.Accepts[Kid(k.ID)] = tri(true)
		}
	}
	for _, m := range f.Members {
		for _, c := range m.Evidence.Presents {
			if _, said := h.Accepts[c]; !said {
				h.Accepts[c] = tri(KidOf(c) == "") // a jti that is presented is of a token that was accepted
			}
		}
	}
	h.Basis = Basis(h)
	return h
}

// Basis is the canonical text of what a hub accepts; "" while a part is unknown.
func Basis(h guard.Hub) string {
	var all []string
	for c, t := range h.Accepts {
		if t == guard.Unknown {
			return ""
		}
		all = append(all, fmt.Sprintf("%s=%s", c, t))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// podSpecs are what the pods of a control plane run, as their API server has it.
func podSpecs(read map[plan.Read]plan.Result, cp ControlPlane) []kube.PodSpec {
	var specs []kube.PodSpec
	if cp.outside != nil {
		return nil
	}
	workloadOf(read, cp, func(p kube.Pod, _ *plan.Process) { specs = append(specs, p.Spec) })
	return specs
}

// workloadOf reads a control plane with its pods.
func workloadOf(read map[plan.Read]plan.Result, cp ControlPlane, each func(kube.Pod, *plan.Process)) plan.Workload {
	return controlled(read, cp.Object).Workload(each, func(p kube.Pod) bool { // one that nobody owns any more
		if p.Spec.Container(ContainerName) == nil || cp.Mode == "" {
			return false
		}
		return cp.set(p.Spec, "KUMA_MODE", "mode").text == cp.Mode && cp.set(p.Spec, "KUMA_MULTIZONE_ZONE_NAME",
			"multizone.zone.name").text == cp.Zone &&
			!slices.ContainsFunc(p.Metadata.OwnerReferences, func(o kube.Owner) bool { return o.Kind == "ReplicaSet" })
	})
}

// controlled is the Deployment of a control plane, as far as it was read.
func controlled(read map[plan.Read]plan.Result, d *kube.Decoded) kube.Controlled {
	ns := d.Metadata.Namespace
	return kube.Controlled{Namespace: ns, Name: d.Metadata.Name, Of: d, ReplicaSets: read[readReplicaSets(ns)],
		Pods: read[readPods(ns)]}
}

// Environment nests the variables of a container as a patch by name has them.
func Environment(container string, entries []any) map[string]any {
	return map[string]any{"spec": map[string]any{"template": map[string]any{"spec": map[string]any{
		"containers": []any{map[string]any{"name": container, "env": entries}}}}}}
}
