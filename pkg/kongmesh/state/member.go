package state

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/parallel"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// addZones reads every zone control plane of every context. Each counts as a member: one that the global does not
// list may have connected this very moment, or be another global's, so it is never written, and blocks what would
// refuse it.
func addZones(looked []contextPlanes, home *plan.Snapshot, hub *zonetoken.GlobalVerifier, f *plan.State) {
	claims, listed := map[string]int{}, f.Hub.Listed()
	zones := parallel.Map(looked, func(c contextPlanes) []plan.Member { return zonesIn(c, hub, f) })
	f.Members = slices.Grow(f.Members, len(zones))
	for i, c := range looked {
		for _, m := range zones[i] {
			claims[m.ClusterName]++
			if f.Hub.Inventory != nil && !listed(m.ClusterName) {
				m.Obstacles = append(m.Obstacles,
					fmt.Sprintf("the global does not list a zone %q: it has never connected to it, or has this very moment, or dials another (%s); leave it out with --contexts if it is another's", m.ClusterName, m.Dials))
			}
			f.Members = append(f.Members, m)
		}
		addOther(c, home, f)
	}
	for i := range f.Members {
		m := &f.Members[i]
		n := claims[m.ClusterName]
		switch {
		case n > 1:
			m.Renamed = fmt.Sprintf("%d control planes say that they are that zone", n)
		case m.ClusterName == "":
			m.Renamed = "its control plane names no zone"
		case m.ClusterName == "hub":
			m.Renamed = "the global control plane is called so"
		}
		if m.Renamed != "" {
			m.Name = strings.Trim(m.ClusterName+"-"+m.Context, "-")
			m.Evidence.Name = m.Name
			if n > 1 {
				m.Obstacles = append(m.Obstacles,
					fmt.Sprintf("%d control planes call themselves zone %q; leave the wrong one out with --contexts",
						n, m.ClusterName))
			}
		}
	}
}

// addOther says of a context what is not told of its zones: why they are not known, or that it has none.
func addOther(c contextPlanes, home *plan.Snapshot, f *plan.State) {
	held := false
	for _, cp := range c.planes {
		switch {
		case cp.Mode == ModeGlobal:
			held = held || home != nil && c.Context == home.Context
		case cp.hidden():
			held = true
			at := cp.Object.Metadata
			why := fmt.Sprintf("Deployment %s/%s is a control plane, and whether of a zone, and of which, is set by something "+
				"that is not looked into; set KUMA_MODE and KUMA_MULTIZONE_ZONE_NAME as plain values", at.Namespace, at.Name)
			f.Others = append(f.Others, plan.OtherContext{Context: c.Context, ClusterUID: kube.ClusterUID(c.Snapshot),
				State: "unreachable", Why: why})
		default:
			held = held || cp.Mode == ModeZone
		}
	}
	if c.Denied || c.Reads[ControlPlanesRead].Denied {
		f.Denied = append(f.Denied, c.Context)
	}
	switch {
	case c.Err != "":
		f.Others = append(f.Others, plan.OtherContext{Context: c.Context, State: "unreachable", Why: c.Err})
	case c.why != "":
		f.Others = append(f.Others, plan.OtherContext{Context: c.Context, State: "unreachable",
			Why: "Deployments could not be listed: " + c.why})
	case !held:
		f.Others = append(f.Others, plan.OtherContext{Context: c.Context, ClusterUID: kube.ClusterUID(c.Snapshot),
			State: "no-member", Why: "no control plane of a zone there"})
	}
}

// hidden says whether it is not known what the control plane is, or of which zone.
func (cp ControlPlane) hidden() bool {
	return cp.Mode == "" || strings.Contains(cp.Mode+cp.Zone, "$(") || cp.Mode == ModeZone && cp.Zone == ""
}

// zonesIn reads the zone control planes of a context. It changes nothing of the state.
func zonesIn(c contextPlanes, hub *zonetoken.GlobalVerifier, f *plan.State) (all []plan.Member) {
	for _, cp := range c.planes {
		if cp.Mode == ModeZone && !cp.hidden() {
			all = append(all, readZone(c.Snapshot, cp, hub, f))
		}
	}
	return all
}

// readZone reads one zone control plane and what is next to it.
func readZone(s plan.Snapshot, cp ControlPlane, hub *zonetoken.GlobalVerifier, f *plan.State) plan.Member {
	m := plan.Member{Identity: plan.Identity{Name: cp.Zone, ClusterName: cp.Zone, Role: plan.RoleEdge, Context: s.Context,
		ClusterUID: kube.ClusterUID(s), Object: cp.ref()},
		Connecting: plan.Connecting{Dials: cp.Dials}}
	names := cp.tokenNames()
	m.Owner, m.HelmNote = kube.Owners(cp.Object.Metadata, cp.written(names)...)
	m.AtOwner = "set its environment there"
	secrets, unread := SecretsIn(s.Reads, cp.Object.Metadata.Namespace)
	entries, plain := cp.variables(names, true)
	m.DeclaredFields = Environment(cp.container().Name, entries)

	template := TokenOf(cp, cp.Spec, secrets)
	if template.Unknown == "" {
		template.Unknown = unread
	}
	configured, why := template.presents(hub, cp.Zone, f.At)
	m.Credential = template.credential(configured, why)
	m.Declared = declared(configured)
	if configured == nil && template.Missing == "" {
		m.Anomalies = append(m.Anomalies, why)
	}
	m.Anomalies = append(m.Anomalies, cp.doubled(names)...)
	for _, name := range plain {
		m.Anomalies = append(m.Anomalies,
			fmt.Sprintf("%s holds a token in plain in %s, or takes it from elsewhere; move it into a secret, with secretKeyRef",
				name, m.Object))
	}
	all, unknown := configured, ""
	if configured == nil {
		unknown = why
	}
	var seen []string
	used := map[string]bool{template.Where: true}
	m.Workload = workloadOf(s.Reads, cp, func(p kube.Pod, proc *plan.Process) {
		src := TokenOf(cp, p.Spec, secrets)
		used[src.Where] = true
		creds, why := src.presents(hub, cp.Zone, f.At)
		switch {
		case unread != "":
			creds, why = nil, unread
		case src.mayHaveBeenOther(p, *proc):
			creds, why = nil, fmt.Sprintf("secret %s was written after the pod was started, or just before, so it may have an older token; "+
				"restart its pods", src.Where)
		}
		if creds == nil {
			unknown = fmt.Sprintf("pod %s: %s", proc.Name, why)
			return
		}
		proc.Presents = declared(creds)
		all = append(all, creds...)
		seen = append(seen, fmt.Sprintf("%s presents %s", proc.Name, proc.Presents))
	})
	m.Effective = effective(m.Workload)
	m.Evidence = guard.Member{Name: m.Name, Until: s.At.Add(LiveFor)}
	switch {
	case m.Workload.Err != "":
		m.Evidence.Why = m.Workload.Err
	case unknown != "":
		m.Evidence.Why = unknown
	default:
		slices.Sort(all)
		m.Evidence.Presents = slices.Compact(slices.Clone(all))
		if m.Evidence.Why = "read from its pods: " + strings.Join(seen, ", "); len(seen) == 0 {
			m.Evidence.Why = "no pods; it will present what is configured"
		}
		if e := m.Credential.Expires; !e.IsZero() && e.Before(m.Evidence.Until) {
			m.Evidence.Until = e
		}
	}
	m.Trust.Why = unverified(cp.Verification(secrets, unread))
	m.Obstacles = blocked(m, cp)
	m.Credential.MissingSecrets = []string{nextSecret(cp.Zone, secrets)}
	m.Leftovers = leftovers(cp, m, secrets, used)
	m.Available, m.AvailableUntil = available(m.Object.Namespace, cp.Zone, secrets, hub, f)
	if m.Original = f.Hub.Originals[m.Object.UID]; m.Original != nil {
		creds, _ := originalToken(m, secrets).presents(hub, cp.Zone, f.At)
		m.OriginalCredential = declared(creds)
	}
	return m
}

// available is what the zone would present with each token that is next to it, by the name and key of its secret, and
// until when where that ends.
func available(ns, zone string, secrets []secretObject, hub *zonetoken.GlobalVerifier,
	f *plan.State) (all map[string]guard.Cred, ends map[string]time.Time) {
	all, ends = map[string]guard.Cred{}, map[string]time.Time{}
	for _, o := range secrets {
		for key, z := range o.tokens {
			if z.Kind != zonetoken.Other {
				creds, _ := fromSecret(ns, secretRef{o.Metadata.Name, key}, secrets).presents(hub, zone, f.At)
				where := o.Metadata.Name + "/" + key
				if all[where] = declared(creds); !z.Expires.IsZero() {
					ends[where] = z.Expires
				}
			}
		}
	}
	return all, ends
}

// nextSecret names the secret for the next token of a zone: no serial is used twice as long as the last is there.
func nextSecret(zone string, secrets []secretObject) string {
	last := 0
	for _, o := range secrets {
		if n, ours := OurSerial(zone, o.Metadata.Name); ours {
			last = max(last, n)
		}
	}
	return tokenSecretOf(zone) + strconv.Itoa(last+1)
}

// leftovers are the secrets that we made for tokens and that neither the zone's template nor a pod of it refers to.
func leftovers(cp ControlPlane, m plan.Member, secrets []secretObject, used map[string]bool) []plan.Leftover {
	var all []plan.Leftover
	for _, o := range secrets {
		if _, ours := OurSerial(cp.Zone, o.Metadata.Name); ours && !used[o.Metadata.Namespace+"/"+o.Metadata.Name] {
			all = append(all, plan.Leftover{Context: m.Context, ClusterUID: m.ClusterUID, Member: m.Name,
				Why: "a token that the zone presented before, or never did",
				Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: o.Metadata.Namespace,
					Name: o.Metadata.Name, UID: o.Metadata.UID, ResourceVersion: o.Metadata.ResourceVersion}})
		}
	}
	return all
}

// OurSerial is the serial of a secret that we made for a token of a zone.
func OurSerial(zone, name string) (int, bool) {
	text, ours := strings.CutPrefix(name, tokenSecretOf(zone))
	n, err := strconv.Atoi(text)
	return n, ours && err == nil && n > 0
}

// tokenSecretOf is how the secrets of a zone's tokens begin.
func tokenSecretOf(zone string) string {
	if len(zone) > 200 { // a name has at most 253 characters
		sum := sha256.Sum256([]byte(zone))
		zone = hex.EncodeToString(sum[:8])
	}
	return tokenSecret + zone + "-"
}

// originalToken is where a zone had its token from before a migration first changed it.
func originalToken(m plan.Member, secrets []secretObject) Source {
	for _, e := range VariablesOf(m.Original) {
		if value, _ := e["value"].(string); value != "" {
			return Source{Unknown: "it was given its token by " + NameOf(e)}
		}
		from, _ := e["valueFrom"].(map[string]any)
		if ref, ok := from["secretKeyRef"].(map[string]any); ok {
			name, _ := ref["name"].(string)
			key, _ := ref["key"].(string)
			return fromSecret(m.Object.Namespace, secretRef{name, key}, secrets)
		}
	}
	return Source{}
}

// declared is the one credential by which a process is known: its kid, or None; "" when that is not known.
func declared(creds []guard.Cred) guard.Cred {
	if len(creds) == 0 {
		return ""
	}
	return creds[0]
}

// effective is what all processes present, "" when they differ or one is not known.
func effective(w plan.Workload) guard.Cred {
	if len(w.Processes) == 0 {
		return ""
	}
	c := w.Processes[0].Presents
	for _, p := range w.Processes {
		if p.Presents != c {
			return ""
		}
	}
	return c
}

// blocked lists why a zone cannot be given a token now, each with its remedy.
func blocked(m plan.Member, cp ControlPlane) []string {
	why := slices.Clone(m.Anomalies)
	switch {
	case m.Workload.Err != "":
		why = append(why, m.Workload.Err)
	case m.Workload.Replicas == 0:
		why = append(why, fmt.Sprintf("%s is scaled to 0, so nothing can be verified; scale it up, or delete the zone from the global", m.Object))
	}
	if stuck := m.Workload.PausedReason(m.Object.Namespace, m.Object.Name, m.Context); stuck != "" {
		why = append(why, stuck)
	}
	if strings.HasPrefix(m.Dials, "grpc://") {
		why = append(why, fmt.Sprintf("it dials the global in plain (%s), over which a token would be seen, and with which the product does not start; give it a grpcs:// address", m.Dials))
	}
	if !cp.Version.Known() {
		why = append(why, fmt.Sprintf("its version is not known (image %s), and with it the name of the variable that takes a token", cp.container().Image))
	} else if len(cp.Version.Environments()) == 0 {
		why = append(why, cp.Version.String()+" has no tokens for zone control planes")
	}
	return why
}

func setOf(names []string) map[string]bool {
	set := map[string]bool{}
	for _, n := range names {
		set[n] = true
	}
	return set
}
