package state

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/overlay"
	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// addControlPlanes reads every ControlPlane of every context. It is a member of this hub when the hub's inventory
// lists its cluster name or when it dials an address that a listed member dials; with no inventory to ask, every one
// is. It is none when its own CA could not verify this hub.
func addControlPlanes(snaps []plan.Snapshot, home *plan.Snapshot, mp *kube.Object, f *plan.State) {
	var all []plan.Member
	hosts, listed := map[string]bool{}, f.Hub.Listed()
	for _, s := range snaps {
		planes, why := kube.List(s.Reads[ControlPlanesRead])
		inFlight, originals, past := roster.Journal(s.Reads)
		for _, cp := range planes {
			m := readMember(s, cp, f.Hub, f.At)
			if home != nil && m.OldCredential.Where != "" {
				m.Leftovers = edgeLeftovers(s, cp.Metadata.Namespace, m.ClusterName, m.OldCredential, home, mp.Metadata.Namespace)
			}
			if f.Hub.InFlight == "" && home == nil {
				f.Hub.InFlight, f.Hub.JournalErr = inFlight, roster.Unread(s.Reads)
			}
			m.Original, m.History = originals[m.Object.UID], past // a run without a hub keeps them there
			if home == nil || home.Context != s.Context {
				m.InFlight = roster.Held(s.Reads, m.Object.UID)
			}
			if home != nil && m.InFlight != "" { // what is seen of it may be taken back at any moment
				m.Evidence.Presents, m.Evidence.Why = nil, InFlightReason(m)
			}
			all = append(all, m)
			if listed(m.ClusterName) && m.ForeignReason == "" {
				hosts[m.Dials] = true
			}
		}
		if s.Denied || s.Reads[ControlPlanesRead].Denied {
			f.Denied = append(f.Denied, s.Context)
		}
		switch {
		case s.Err != "":
			f.Others = append(f.Others, plan.OtherContext{Context: s.Context, State: "unreachable", Why: s.Err})
		case why != "":
			f.Others = append(f.Others, plan.OtherContext{Context: s.Context, State: "unreachable",
				Why: "ControlPlanes could not be listed: " + why})
		case len(planes) == 0 && (home == nil || s.Context != home.Context) &&
			(f.Standby == nil || s.Context != f.Standby.Context):
			f.Others = append(f.Others, plan.OtherContext{Context: s.Context, ClusterUID: kube.ClusterUID(s), State: "no-member",
				Why: "no ControlPlane there"})
		}
	}
	names := map[string]int{}
	for _, m := range all {
		if m.ForeignReason == "" {
			names[m.ClusterName]++
		}
	}
	for _, m := range all {
		if m.ForeignReason != "" {
			f.Others = append(f.Others, plan.OtherContext{Context: m.Context, ClusterUID: m.ClusterUID, Claims: m.ClusterName,
				State: "other-management-plane", Why: fmt.Sprintf("%s is cluster %q at %s: %s", m.Object, m.ClusterName, m.Dials,
					m.ForeignReason)})
			continue
		}
		if home != nil && f.Hub.Inventory != nil && !listed(m.ClusterName) && !hosts[m.Dials] &&
			len(hosts) > 0 {
			f.Others = append(f.Others, plan.OtherContext{Context: m.Context, ClusterUID: m.ClusterUID, Claims: m.ClusterName,
				State: "other-management-plane",
				Why: fmt.Sprintf("%s is cluster %q at %s, which ManagementPlane %s/%s does not list", m.Object, m.ClusterName,
					m.Dials, mp.Metadata.Namespace, mp.Metadata.Name)})
			continue
		}
		if m.Renamed = Renamed(m.ClusterName, names[m.ClusterName]); m.Renamed != "" {
			m.Name = strings.Trim(m.ClusterName+"-"+m.Context, "-")
			m.Evidence.Name = m.Name
		}
		m.Obstacles = append(m.Obstacles, foreign(m, f.Hub, listed, names[m.ClusterName])...)
		f.Members = append(f.Members, m)
	}
}

// InFlightReason says that a run without a hub holds a member, and what to do.
func InFlightReason(m plan.Member) string {
	return fmt.Sprintf("its own cluster's journal holds it in flight: %s; that run may put it back, so let it end, or restore it with: kubectl xcpauth migrate --to=edges --no-hub; its context here is %s", m.InFlight, m.Context)
}

// foreign says why a ControlPlane that counts as a member may all the same be another hub's, and so is never written:
// the rule is generous about who counts, and strict about whom to touch.
func foreign(m plan.Member, hub plan.Hub, listed func(string) bool, claims int) []string {
	var why []string
	switch {
	case !hub.Found:
	case hub.InventoryErr != "":
		why = append(why, hub.InventoryErr+", so it is not sure that this hub knows cluster "+m.ClusterName)
	case hub.Inventory != nil && !listed(m.ClusterName):
		why = append(why, fmt.Sprintf("the hub does not list a cluster %q (clusters.xcp.tetrate.io); it belongs to another hub, or is not onboarded", m.ClusterName))
	}
	if claims > 1 {
		why = append(why, fmt.Sprintf("%d ControlPlanes claim the cluster name %q; leave the wrong one out with --contexts",
			claims, m.ClusterName))
	}
	return why
}

// readMember reads one ControlPlane and what is next to it.
func readMember(s plan.Snapshot, cp kube.Object, hub plan.Hub, at time.Time) plan.Member {
	ns := cp.Metadata.Namespace
	m := plan.Member{Identity: plan.Identity{Role: plan.RoleEdge, Context: s.Context, ClusterUID: kube.ClusterUID(s),
		Object: kube.Ref(cp, ControlPlanesRead, "ControlPlane")}}
	mpRef, odd := Walk(cp.Raw, "", "spec", "managementPlane")
	m.ClusterName, _ = mpRef["clusterName"].(string)
	host, _ := mpRef["host"].(string)
	host = hostName(host)
	m.Name, m.Dials, m.ServerName = m.ClusterName, host, host
	if port, ok := mpRef["port"].(float64); ok {
		m.Dials = address(host, int(port))
	}
	declared, more := ReadEdge(cp.Raw)
	m.Declared = declared
	for _, o := range append(odd, more...) {
		m.Anomalies = append(m.Anomalies, o.String())
	}
	xcp, _ := Walk(cp.Raw, "", "spec", "components", "xcp")
	m.DeclaredFields = map[string]any{"centralAuthMode": xcp["centralAuthMode"]}
	m.Owner, m.HelmNote = kube.Owners(cp.Metadata, modePaths("centralAuthMode", "central_auth_mode")...)
	m.AtOwner = "set spec.components.xcp.centralAuthMode there"
	m.Fence = Fence(s.Reads)

	xcps := kube.Items(s.Reads[EdgeXcpsRead])
	for _, e := range xcps {
		if e.Metadata.Namespace != ns {
			continue
		}
		jwtSpec, _ := Walk(e.Raw, "", "spec", "centralAuthJwt")
		if sni, _ := jwtSpec["centralSni"].(string); sni != "" {
			m.ServerName = hostName(sni)
		}
	}
	m.Effective = effective(xcps, ns)
	if sni := OverlaySNI(xcp); sni != "" {
		m.ServerName = hostName(sni)
	}
	m.Workload = Workload(s.Reads, ns, "edge", edgePresents, edgeCredentials...)
	presents, why := presented(m.Workload, declared, m.Effective)
	m.Evidence = guard.Member{Name: m.Name, Presents: presents, Until: s.At.Add(LiveFor), Why: why}
	m.Credential = Credential(s.Reads, ns, m.ClusterName, at)
	m.OldCredential = certificate(s.Reads, ns, SecretEdgeCert)
	m.Trust = trust(s.Reads, ns, hub, m.OldCredential.CA, m.ServerName, s.Clock(at))
	m.Rotation = byLaterClock(rotation(m.Workload, m.Credential, s.Reads[SecretRead(ns, SecretServiceAccount)].OK()), at,
		s.Skew)
	ca := m.OldCredential.CA
	bundle := SecretValue(s.Reads[SecretRead(ns, SecretCA)], "ca.crt")
	if bundle == nil {
		bundle = m.Trust.CA
	}
	for _, pem := range [][]byte{ca, bundle} {
		if pem != nil {
			m.TrustAnchors = append(m.TrustAnchors, pem)
		}
	}
	m.Credential.MissingSecrets, m.Credential.ExtraSecrets = lackingSecrets(s.Reads, m, mpRef["selfSigned"] == true, hub)
	m.Obstacles = Blocked(m)
	if m.Declared == MTLS && ca != nil {
		if ours, known := pki.Descends(ca, hub.Server.Chain); known && !ours {
			m.ForeignReason = fmt.Sprintf("the CA in secret %s/%s did not sign this hub's certificate, so it is connected to another hub",
				ns, SecretEdgeCert)
		}
	}
	return m
}

// OverlaySNI is the server name that an overlay on EdgeXcp gives (spec.centralAuthJwt.centralSni, as in the vendor's
// demo installs): then the hub's certificate must carry that name instead of the dialled host.
func OverlaySNI(xcp map[string]any) string {
	name := ""
	for _, set := range overlay.Documented(xcp["kubeSpec"]) {
		if set.Field == overlay.CentralSNI && set.Value != "" {
			name = set.Value // patches are applied in order
		}
	}
	return name
}

// trust says whether the edge can verify Central's certificate with what lies in its namespace, or with what can be
// put there: the hub's CA, or without a hub the CA with which the edge verifies Central now (own).
func trust(read map[plan.Read]plan.Result, ns string, hub plan.Hub, own []byte, name string, at time.Time) plan.Trust {
	r := read[SecretRead(ns, SecretCA)]
	t := plan.Trust{Where: ns + "/" + SecretCA, Absent: r.Missing}
	bundle := SecretValue(r, "ca.crt")
	switch {
	case kube.Unreadable(r) != "":
		t.Why = "secret " + t.Where + " could not be read: " + kube.Unreadable(r)
		return t
	case !hub.Found:
		return trustAlone(t, bundle, own)
	case hub.Server.Err != "":
		t.Why = hub.Server.Err
		return t
	case r.Missing && hub.Server.Public:
		return trustPublic(t, hub, name)
	case r.Missing && len(hub.Server.CA) == 0:
		t.Suppliable = true
		t.Why = fmt.Sprintf("secret %s is not there, secret %s has no ca.crt to make it from, and no public CA that this system trusts has signed Central's certificate; create it with the CA that has", t.Where, hub.Server.Where)
		return t
	case r.Missing:
		bundle, t.CA = hub.Server.CA, hub.Server.CA
	}
	if why := pki.Trusts(bundle, hub.Server.Chain, "", at); why != "" {
		t.Suppliable = true
		t.Why = fmt.Sprintf("with secret %s the edge would refuse Central's certificate (%s): %s; give it the CA that signs that certificate", t.Where, hub.Server.Where, why)
		return t
	}
	if why := pki.Trusts(bundle, hub.Server.Chain, name, at); why != "" {
		t.Unnamed = true
		t.Why = fmt.Sprintf("with secret %s the edge would refuse Central's certificate (%s) under the name %s: %s; re-issue it with that name first", t.Where, hub.Server.Where, name, why)
		return t
	}
	t.OK = true
	return t
}

// trustAlone is trust where nothing of the hub can be looked at: the bundle must at least be one, and an edge that
// verifies Central today does so with the CA beside its own certificate.
func trustAlone(t plan.Trust, bundle, own []byte) plan.Trust {
	switch {
	case t.Absent && len(own) == 0:
		t.Suppliable = true
		t.Why = fmt.Sprintf("secret %s is not there; create it with the CA that signs Central's certificate, which the hub's team provides", t.Where)
		return t
	case t.Absent:
		bundle, t.CA = own, own
	}
	if _, err := pki.Bundle(bundle); err != nil {
		t.Suppliable = !t.Absent
		t.Why = fmt.Sprintf("key ca.crt of secret %s: %v; give it the CA that signs Central's certificate", t.Where, err)
		return t
	}
	t.OK, t.Why = true, "not compared with Central's certificate, which this run cannot look at"
	return t
}

// Blocked lists why an edge cannot be moved to a JWT now, each with its remedy.
func Blocked(m plan.Member) []string {
	var why []string
	why = append(why, m.Anomalies...)
	if m.Workload.Err != "" {
		why = append(why, m.Workload.Err)
	} else if !m.Workload.Found {
		why = append(why, fmt.Sprintf("Deployment %s/edge is not there; the edge was never onboarded or is being removed",
			m.Object.Namespace))
	} else if m.Workload.Replicas == 0 {
		why = append(why, fmt.Sprintf("Deployment %s/edge is scaled to 0, so nothing can be verified; scale it up, or forget the edge with: kubectl xcpauth edge forget %s --reason ...", m.Object.Namespace, m.Name))
	}
	if stuck := m.Workload.PausedReason(m.Object.Namespace, "edge", m.Context); stuck != "" {
		why = append(why, stuck)
	}
	// a name can be added to the hub's certificate, see certify; for a CA see lacks
	if !m.Trust.OK && !m.Trust.Unnamed && !m.Trust.Suppliable {
		why = append(why, m.Trust.Why)
	}
	if m.Declared == "" && m.Effective == "" && len(m.Anomalies) == 0 {
		why = append(why, fmt.Sprintf("%s sets no centralAuthMode and EdgeXcp does not tell the effective one; set it to MUTUAL_TLS or JWT explicitly", m.Object))
	}
	return why
}

// Renamed says why a member cannot be called after its cluster, which n members claim to be; "" when it can.
func Renamed(cluster string, n int) string {
	switch {
	case cluster == "":
		return "its ControlPlane names no cluster"
	case n > 1:
		return fmt.Sprintf("%d ControlPlanes say that they are of that cluster", n)
	case slices.Contains([]string{"hub", "standby"}, cluster):
		return "management planes are called hub and standby"
	case slices.Contains([]string{MPCName, StandbyMPC}, cluster):
		return "the hub's own client is called so"
	}
	return ""
}

// MPCName is how MPC is called in rows and in the roster, standbyMPC that of the standby.
const (
	MPCName    = "mpc"
	StandbyMPC = "mpc-standby"
)

// addMPC adds a hub's own client, which uses the modes of the same ManagementPlane.
func addMPC(name string, s *plan.Snapshot, mp kube.Object, f *plan.State) {
	ns := mp.Metadata.Namespace
	w := Workload(s.Reads, ns, "mpc", mpcPresents, mpcCredentials...)
	if !w.Found && w.Err == "" {
		return
	}
	presents, why := presented(w)
	f.Members = append(f.Members, plan.Member{Identity: plan.Identity{Name: name, Role: plan.RoleMPC, Context: s.Context,
		ClusterUID: kube.ClusterUID(*s), Object: plan.Ref{Group: "apps", Version: "v1", Resource: "deployments",
			Kind: "Deployment", Namespace: ns, Name: "mpc"}},
		Workload: w,
		Evidence: guard.Member{Name: name, Presents: presents, Until: s.At.Add(LiveFor), Why: why}})
}

// addAbsent adds the members that no selected context showed: those that the hub's inventory lists, and those of the
// roster. An unreachable context of the same name is that member's reason and no row of its own.
func addAbsent(entries map[string]api.EdgeCluster, f *plan.State) {
	known, members := map[string]bool{}, map[string]plan.Member{}
	for _, m := range f.Members {
		known[m.Name], known[m.ClusterName], known[roster.ObjectName(m.Name)] = true, true, true
		if _, first := members[m.Name]; !first {
			members[m.Name] = m
		}
	}
	unreached, named := map[string]plan.OtherContext{}, map[string]bool{} // by context
	for _, o := range f.Others {
		if o.State == "unreachable" {
			unreached[o.Context] = o
		}
	}
	listed := f.Hub.Listed()
	absent := map[string]bool{}
	for _, name := range f.Hub.Inventory {
		absent[name] = true
	}
	for name, e := range entries {
		if m, is := members[name]; is && m.ClusterUID != e.Spec.ClusterUID && e.Spec.ClusterUID != "" &&
			m.Role == plan.RoleEdge {
			name += " in cluster " + e.Spec.ClusterUID // another cluster's entry is a member of its own
			entries[name] = e
		}
		absent[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(absent)) {
		if known[name] {
			continue
		}
		m := plan.Member{Identity: plan.Identity{Name: name, ClusterName: name, Role: plan.RoleEdge,
			Err: "no selected context reaches it; select its context, or let its team publish a statement; if it is gone, " +
				goneRemedy(f.Hub, listed, entries, name)}}
		if o, is := unreached[name]; is {
			m.Context, m.Err, named[name] = o.Context, o.Why, true
		}
		m.Evidence = guard.Member{Name: name, Why: m.Err}
		if seen := ClaimedElsewhere(f.Others, name, entries[name].Spec.ClusterUID); seen != "" {
			m.Err, m.Evidence.Why = seen, seen
		}
		believe(&m, entries, f)
		f.Members = append(f.Members, m)
	}
	f.Others = slices.DeleteFunc(f.Others, func(o plan.OtherContext) bool {
		return o.State == "unreachable" && named[o.Context]
	})
}

// believe takes what is stated of a member that is in no selected context. One that was to be looked at and could not
// be is unknown, whatever was stated; so is one that is seen, and taken for another hub's.
func believe(m *plan.Member, entries map[string]api.EdgeCluster, f *plan.State) {
	e, registered := entries[m.Name]
	if !registered || m.Context != "" || ClaimedElsewhere(f.Others, m.Name, e.Spec.ClusterUID) != "" {
		return
	}
	if st := roster.StatementOf(e, f.At); st != nil && st.Invalid == "" {
		m.Evidence.Presents, m.Evidence.Until, m.Evidence.Why = st.Presents, st.Until, "published by "+st.Source
	}
}

// ClaimedElsewhere says that a ControlPlane which claims a name was seen and taken for another hub's, "" when none was:
// it may be the very member. One in another cluster than that of the member's entry is not.
func ClaimedElsewhere(others []plan.OtherContext, name, uid string) string {
	for _, o := range others {
		if o.Claims == name && (uid == "" || o.ClusterUID == "" || o.ClusterUID == uid) {
			return fmt.Sprintf("context %s has a ControlPlane of that name, which seems to be another hub's: %s; fix that, or "+
				"leave the context out with --contexts if it is another hub's", o.Context, o.Why)
		}
	}
	return ""
}

// goneRemedy says how a member that is gone for good stops counting.
func goneRemedy(hub plan.Hub, listed func(string) bool, entries map[string]api.EdgeCluster, name string) string {
	var steps []string
	if listed(name) {
		steps = append(steps, fmt.Sprintf("delete it from TSB (clusters.xcp.tetrate.io/%s in namespace %s)", name,
			hub.Object.Namespace))
	}
	if _, registered := entries[name]; registered {
		steps = append(steps, "forget it with: kubectl xcpauth edge forget "+name+" --reason ...")
	}
	return strings.Join(steps, ", then ")
}
