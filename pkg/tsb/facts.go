package tsb

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// liveFor is how long what was just read of a member may be believed before a decision: a re-read must be that recent.
const liveFor = 30 * time.Second

// facts makes facts of snapshots, in these steps:
//
//  1. find the hub: the one context (or the named one) with one ManagementPlane;
//  2. read what Central accepts, its certificate, its pods, its inventory and the roster;
//  3. read each ControlPlane, as a member when it dials this hub, else as somebody else's;
//  4. add MPC, the member inside the hub;
//  5. add the members that only the inventory or the roster knows, as unknown or as last stated;
//  6. account for every other context.
func facts(snaps []plan.Snapshot, hub string, at time.Time) plan.Facts {
	f := plan.Facts{At: at}
	snaps = distinct(snaps, &f)
	home, mp := findHub(snaps, hub, &f.Hub)
	var entries map[string]api.EdgeCluster
	if home != nil {
		entries = readHub(home, *mp, &f.Hub)
		if w := f.Hub.Workload; w.Found || w.Err != "" {
			f.Hub.Connections = connections(w)
		}
	}
	addControlPlanes(snaps, home, mp, &f)
	if home != nil {
		addMPC(home, *mp, &f)
		addAbsent(entries, &f)
	}
	for i := range f.Members {
		m := &f.Members[i]
		if e, ok := entries[m.Name]; ok {
			m.Registered, m.Statement = true, roster.StatementOf(e)
		}
		if home != nil && m.Role == plan.RoleEdge {
			m.Seen = lastEvent(f.Hub.Workload, m.ClusterName)
		}
	}
	slices.SortFunc(f.Members, func(a, b plan.Member) int {
		return cmp.Or(strings.Compare(string(a.Role), string(b.Role)), strings.Compare(a.Name, b.Name))
	})
	slices.SortFunc(f.Others, func(a, b plan.Other) int { return strings.Compare(a.Context, b.Context) })
	return f
}

// distinct keeps the first context of each cluster, told by the UID of kube-system; the others become rows of their own.
func distinct(snaps []plan.Snapshot, f *plan.Facts) []plan.Snapshot {
	first := map[string]string{}
	var kept []plan.Snapshot
	for _, s := range snaps {
		id := clusterUID(s)
		if known, again := first[id]; again && id != "" {
			f.Others = append(f.Others, plan.Other{Context: s.Context, State: "duplicate", Why: "the same cluster as context " + known})
			continue
		}
		first[id] = s.Context
		kept = append(kept, s)
	}
	return kept
}

func clusterUID(s plan.Snapshot) string {
	if ns := one(s.Reads[readKubeSystem]); ns != nil {
		return ns.Metadata.UID
	}
	return ""
}

// findHub finds the ManagementPlane that this run is about, or says in hub.Err why there is none.
func findHub(snaps []plan.Snapshot, want string, hub *plan.Hub) (*plan.Snapshot, *object) {
	var found []string
	var home *plan.Snapshot
	var mp *object
	var tried, unreached []string
	for i, s := range snaps {
		if want != "" && s.Context != want {
			continue
		}
		tried = append(tried, s.Context)
		if s.Err != "" {
			unreached = append(unreached, s.Context+" ("+s.Err+")")
			continue
		}
		if why := unreadable(s.Reads[readManagementPlanes]); why != "" {
			unreached = append(unreached, s.Context+" (ManagementPlanes could not be listed: "+why+")")
		}
		for _, o := range items(s.Reads[readManagementPlanes]) {
			found = append(found, fmt.Sprintf("%s/%s in %s", o.Metadata.Namespace, o.Metadata.Name, s.Context))
			home, mp = &snaps[i], &o
		}
	}
	in := "context " + strings.Join(tried, ", ")
	if len(tried) > 1 {
		in = "contexts " + strings.Join(tried, ", ")
	}
	switch {
	case len(found) == 1:
		return home, mp
	case len(found) > 1:
		hub.Err = fmt.Sprintf("%d ManagementPlanes found: %s; name one hub with --context", len(found), strings.Join(found, ", "))
	case len(tried) == 0 && want != "":
		hub.Err = fmt.Sprintf("context %s is not in the kubeconfig; name the management plane's context with --context", want)
	case len(tried) == 0:
		hub.Err = "no context was selected; pass --contexts, or a kubeconfig that has some"
	case len(unreached) > 0:
		hub.Err = fmt.Sprintf("no ManagementPlane found: %s could not be looked at; name the management plane's context with --context", strings.Join(unreached, ", "))
	default:
		hub.Err = fmt.Sprintf("no ManagementPlane found in %s; name the management plane's context with --context", in)
	}
	return nil, nil
}

// readHub fills the hub and returns the roster's entries.
func readHub(s *plan.Snapshot, mp object, hub *plan.Hub) map[string]api.EdgeCluster {
	ns := mp.Metadata.Namespace
	hub.Found, hub.Context, hub.Object = true, s.Context, ref(mp, readManagementPlanes, "ManagementPlane")
	var odd []Oddity
	hub.Accepts, odd = ReadHub(mp.raw)
	for _, o := range odd {
		hub.Odd = append(hub.Odd, o.String())
	}
	xcp, _ := walk(mp.raw, "", "spec", "components", "xcp")
	stanza, _ := xcp["centralAuthModes"].(map[string]any)
	hub.Declared = map[string]any{"jwt": stanza["jwt"], "mutualTls": stanza["mutualTls"]}
	hub.Owner, hub.HelmNote = owners(mp.Metadata)
	hub.Server, hub.CA = serverCertificate(s.Reads, ns)
	hub.Chain = secretKey(s.Reads[secret(ns, secretCentralCert)], "tls.crt")
	hub.Workload = workload(s.Reads, ns, "central", nil)
	for _, c := range items(s.Reads[centralXcps(ns)]) {
		hub.Lower = max(hub.Lower, c.Metadata.Generation)
	}
	if r := s.Reads[xcpClusters(ns)]; r.OK() {
		hub.Inventory = []string{}
		for _, c := range items(r) {
			hub.Inventory = append(hub.Inventory, c.Metadata.Name)
		}
		slices.Sort(hub.Inventory)
	}
	var entries map[string]api.EdgeCluster
	hub.Roster, entries = roster.Parse(s.Reads)
	return entries
}

// connections sums what Central's pods count; nil when no page was read.
func connections(w plan.Workload) *plan.Connections {
	var c *plan.Connections
	for _, p := range w.Processes {
		for series, v := range p.Counters {
			if !named(series, metricConnections) {
				continue
			}
			if c == nil {
				c = &plan.Connections{}
			}
			switch label(series, "connection_type") {
			case "edge_config_distribution":
				c.Config += int(v)
			case "cluster_state":
				c.State += int(v)
			}
		}
	}
	return c
}

// lastEvent is when Central last received something of the edge, in Central's clock.
func lastEvent(w plan.Workload, edge string) time.Time {
	var ms float64
	for _, p := range w.Processes {
		for series, v := range p.Counters {
			if named(series, metricEvent) && label(series, "edge") == edge && label(series, "status") == "received" {
				ms = max(ms, v)
			}
		}
	}
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}

// addControlPlanes reads every ControlPlane of every context. It is a member of this hub when the hub's inventory lists its
// cluster name or when it dials an address that a listed member dials; with no inventory to ask, every one is.
func addControlPlanes(snaps []plan.Snapshot, home *plan.Snapshot, mp *object, f *plan.Facts) {
	type found struct {
		m    plan.Member
		snap plan.Snapshot
	}
	var all []found
	hosts := map[string]bool{}
	for _, s := range snaps {
		planes := items(s.Reads[readControlPlanes])
		for _, cp := range planes {
			m := readMember(s, cp, f.Hub, f.At)
			all = append(all, found{m, s})
			if slices.Contains(f.Hub.Inventory, m.ClusterName) {
				hosts[m.Dials] = true
			}
		}
		why := unreadable(s.Reads[readControlPlanes])
		switch {
		case s.Err != "":
			f.Others = append(f.Others, plan.Other{Context: s.Context, State: "unreachable", Why: s.Err})
		case why != "":
			f.Others = append(f.Others, plan.Other{Context: s.Context, State: "unreachable", Why: "ControlPlanes could not be listed: " + why})
		case len(planes) == 0 && (home == nil || s.Context != home.Context):
			f.Others = append(f.Others, plan.Other{Context: s.Context, State: "no-member", Why: "no ControlPlane there"})
		}
	}
	names := map[string]int{}
	for _, x := range all {
		names[x.m.ClusterName]++
	}
	for _, x := range all {
		m := x.m
		if home != nil && f.Hub.Inventory != nil && !slices.Contains(f.Hub.Inventory, m.ClusterName) && !hosts[m.Dials] && len(hosts) > 0 {
			f.Others = append(f.Others, plan.Other{Context: m.Context, State: "other-management-plane",
				Why: fmt.Sprintf("%s is cluster %q at %s, which ManagementPlane %s/%s does not list", m.Object, m.ClusterName, m.Dials, mp.Metadata.Namespace, mp.Metadata.Name)})
			continue
		}
		if names[m.ClusterName] > 1 || m.ClusterName == "" || m.ClusterName == mpcName {
			m.Name = strings.Trim(m.ClusterName+"-"+m.Context, "-")
		}
		f.Members = append(f.Members, m)
	}
}

// readMember reads one ControlPlane and what lies beside it.
func readMember(s plan.Snapshot, cp object, hub plan.Hub, at time.Time) plan.Member {
	ns := cp.Metadata.Namespace
	m := plan.Member{Role: plan.RoleEdge, Context: s.Context, ClusterUID: clusterUID(s), Object: ref(cp, readControlPlanes, "ControlPlane")}
	mpRef, odd := walk(cp.raw, "", "spec", "managementPlane")
	m.ClusterName, _ = mpRef["clusterName"].(string)
	host, _ := mpRef["host"].(string)
	m.Name, m.Dials, m.ServerName = m.ClusterName, host, host
	if port, ok := mpRef["port"].(float64); ok {
		m.Dials = fmt.Sprintf("%s:%d", host, int(port))
	}
	declared, more := ReadEdge(cp.raw)
	m.Declared = declared
	for _, o := range append(odd, more...) {
		m.Odd = append(m.Odd, o.String())
	}
	xcp, _ := walk(cp.raw, "", "spec", "components", "xcp")
	m.DeclaredFields = map[string]any{"centralAuthMode": xcp["centralAuthMode"]}
	m.Owner, m.HelmNote = owners(cp.Metadata)

	for _, e := range items(s.Reads[readEdgeXcps]) {
		if e.Metadata.Namespace != ns {
			continue
		}
		spec, _ := walk(e.raw, "", "spec")
		switch spec["centralAuthMode"] {
		case "JWT":
			m.Effective = JWT
		case "MUTUAL_TLS":
			m.Effective = MTLS
		}
		jwtSpec, _ := walk(e.raw, "", "spec", "centralAuthJwt")
		if sni, _ := jwtSpec["centralSni"].(string); sni != "" {
			m.ServerName = sni
		}
	}
	if sni := overlaySNI(xcp); sni != "" {
		m.ServerName = sni
	}
	m.Workload = workload(s.Reads, ns, "edge", edgePresents)
	presents, why := presented(m.Workload, declared, m.Effective)
	m.Edge = guard.Edge{Name: m.Name, Presents: presents, Until: s.At.Add(liveFor), Why: why}
	m.Credential = credential(s.Reads, ns, m.ClusterName, at)
	m.Trust = trust(s.Reads, ns, hub, m.ServerName, at)
	m.Blocked = blocked(m)
	return m
}

// overlaySNI is the server name that an overlay on EdgeXcp gives (spec.centralAuthJwt.centralSni, as in the vendor's demo
// installs): then the hub's certificate must carry that name instead of the dialled host.
func overlaySNI(xcp map[string]any) string {
	overlays, _ := authOverlays(xcp, "EdgeXcp")
	for _, o := range overlays {
		overlay, _ := o.(map[string]any)
		patches, _ := overlay["patches"].([]any)
		for _, p := range patches {
			patch, _ := p.(map[string]any)
			if v, _ := patch["value"].(string); patch["path"] == "spec.centralAuthJwt.centralSni" && v != "" {
				return v
			}
		}
	}
	return ""
}

// trust says whether the edge can verify Central's certificate with what lies in its namespace, or with what can be put there.
func trust(read map[plan.Read]plan.Result, ns string, hub plan.Hub, name string, at time.Time) plan.Trust {
	r := read[secret(ns, secretCA)]
	t := plan.Trust{Where: ns + "/" + secretCA, Absent: r.Missing}
	bundle := secretKey(r, "ca.crt")
	switch {
	case unreadable(r) != "":
		t.Why = "secret " + t.Where + " could not be read: " + unreadable(r)
		return t
	case !hub.Found:
		t.Why = "the hub's certificate is not known"
		return t
	case hub.Server.Err != "":
		t.Why = hub.Server.Err
		return t
	case r.Missing && len(hub.CA) == 0:
		t.Why = fmt.Sprintf("secret %s is not there and secret %s has no ca.crt to make it from; create it with the CA that signs Central's certificate", t.Where, hub.Server.Where)
		return t
	case r.Missing:
		bundle = hub.CA
	}
	if why := trusts(bundle, hub.Chain, name, at); why != "" {
		t.Why = fmt.Sprintf("with secret %s the edge would refuse Central's certificate (%s) under the name %s: %s; re-issue it with that name first", t.Where, hub.Server.Where, name, why)
		return t
	}
	t.OK = true
	return t
}

// blocked lists why an edge cannot be moved to a JWT now, each with its remedy.
func blocked(m plan.Member) []string {
	var why []string
	why = append(why, m.Odd...)
	if m.Owner != "" {
		why = append(why, fmt.Sprintf("%s is kept by %s, which would put it back; set spec.components.xcp.centralAuthMode there", m.Object, m.Owner))
	}
	if m.Workload.Err != "" {
		why = append(why, m.Workload.Err)
	} else if !m.Workload.Found {
		why = append(why, fmt.Sprintf("Deployment %s/edge is not there; the edge was never onboarded or is being removed", m.Object.Namespace))
	} else if m.Workload.Replicas == 0 {
		why = append(why, fmt.Sprintf("Deployment %s/edge is scaled to 0, so nothing can be proved; scale it up, or forget the edge with: kubectl xcpauth edge forget %s --reason ...", m.Object.Namespace, m.Name))
	}
	if !m.Trust.OK {
		why = append(why, m.Trust.Why)
	}
	switch m.Credential.State {
	case plan.CredentialReady, plan.CredentialMintable:
	default:
		why = append(why, m.Credential.Why)
	}
	if m.Declared == "" && m.Effective == "" && len(m.Odd) == 0 {
		why = append(why, fmt.Sprintf("%s sets no centralAuthMode and EdgeXcp does not tell the effective one; set it to MUTUAL_TLS or JWT explicitly", m.Object))
	}
	return why
}

// mpcName is how MPC is called in rows and in the roster.
const mpcName = "mpc"

// addMPC adds the hub's own client, which uses the modes of the same ManagementPlane.
func addMPC(s *plan.Snapshot, mp object, f *plan.Facts) {
	ns := mp.Metadata.Namespace
	w := workload(s.Reads, ns, "mpc", mpcPresents)
	if !w.Found && w.Err == "" {
		return
	}
	presents, why := presented(w)
	f.Members = append(f.Members, plan.Member{Name: mpcName, Role: plan.RoleMPC, Context: s.Context, ClusterUID: clusterUID(*s),
		Object:   plan.Ref{Group: "apps", Version: "v1", Resource: "deployments", Kind: "Deployment", Namespace: ns, Name: "mpc"},
		Workload: w, Edge: guard.Edge{Name: mpcName, Presents: presents, Until: s.At.Add(liveFor), Why: why}})
}

// addAbsent adds the members that no selected context showed: those that the hub's inventory lists, and those of the roster.
// An unreachable context of the same name is that member's reason and no row of its own.
func addAbsent(entries map[string]api.EdgeCluster, f *plan.Facts) {
	known := map[string]bool{}
	for _, m := range f.Members {
		known[m.Name], known[m.ClusterName] = true, true
	}
	absent := map[string]bool{}
	for _, name := range f.Hub.Inventory {
		absent[name] = true
	}
	for name := range entries {
		absent[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(absent)) {
		if known[name] {
			continue
		}
		m := plan.Member{Name: name, ClusterName: name, Role: plan.RoleEdge, Err: "no selected context reaches it; select its context, let its team publish a statement, or forget it with: kubectl xcpauth edge forget " + name + " --reason ..."}
		f.Others = slices.DeleteFunc(f.Others, func(o plan.Other) bool {
			if o.State != "unreachable" || o.Context != name {
				return false
			}
			m.Context, m.Err = o.Context, o.Why
			return true
		})
		m.Edge = guard.Edge{Name: name, Why: m.Err}
		if e, ok := entries[name]; ok {
			if st := roster.StatementOf(e); st != nil && st.Void == "" {
				m.Edge.Presents, m.Edge.Until, m.Edge.Why = st.Presents, st.Until, "published by "+st.Source
			}
		}
		f.Members = append(f.Members, m)
	}
}
