package kongmesh

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// CheckProvider is the dialect as check uses it: it reads besides what lies in other namespaces by mistake, and its facts hold what is wrong with
// every key, list, token and setting.
func CheckProvider() plan.Provider {
	d := Provider()
	d.Reads, d.ReadState, d.Permissions = inspectReads, inspectFacts, Permissions
	return d
}

// elsewhere are the namespaces in which secrets for a control plane lie by mistake: the other product's (the page of Kong Mesh 1.5 and 1.6
// puts the list of revoked tokens into Kuma's), and the default one.
var elsewhere = []string{KongNamespace, KumaNamespace, "default"}

// misplaced are the secrets that are looked for there.
var misplaced = []string{RevocationsName, KeyPrefix + "-1", KeyPrefix + "-2"}

func inspectReads(soFar map[plan.Read]plan.Result, metrics bool) []plan.Read {
	next := reads(soFar, metrics)
	planes, _ := kube.Deployments(soFar[readControlPlanes])
	for i, d := range planes {
		if controlPlaneOf(&planes[i], soFar).mode != modeGlobal {
			continue
		}
		for _, r := range misplacedReads(d.Metadata.Namespace) {
			if _, done := soFar[r]; !done {
				next = append(next, r)
			}
		}
	}
	return next
}

func misplacedReads(ns string) []plan.Read {
	var all []plan.Read
	for _, other := range elsewhere {
		for _, name := range misplaced {
			if other != ns {
				all = append(all, plan.Read{Version: "v1", Resource: "secrets", Namespace: other, Name: name})
			}
		}
	}
	return all
}

// inspectFacts is facts, with every context, and an inspection of the global and of each zone that was reached.
func inspectFacts(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
	f := readState(snaps, where, at)
	for _, s := range snaps {
		f.Contexts = append(f.Contexts, inspectContext(s))
	}
	slices.SortFunc(f.Contexts, func(a, b plan.Context) int { return strings.Compare(a.Name, b.Name) })
	var again plan.Hub
	home, global := findGlobal(snaps, where, &again)
	if home == nil {
		return f
	}
	hub := readGlobal(home, *global, &again)
	f.Hub.Inspection = inspectGlobal(*home, *global, hub, f)
	serves := global.served(secretsIn(home.Reads, global.object.Metadata.Namespace))
	inspectServed(f.Hub.Inspection, f.Hub.Object.String(), serves, f.Hub.Workload, global.version)
	for i := range f.Members {
		m := &f.Members[i]
		for _, s := range snaps {
			if s.Context == m.Context && m.Err == "" {
				m.Inspection = inspectZone(s, *m, hub, serves, at, home.Clock(at))
			}
		}
	}
	return f
}

// remarks turns findings about an object into remarks.
func remarks(where string, all Findings) []plan.Remark {
	var out []plan.Remark
	for _, f := range all {
		out = append(out, plan.Remark{ID: f.ID, Severity: string(f.Severity), Where: where, Found: f.Found, Remedy: strings.TrimSuffix(f.Remedy, ".")})
	}
	return out
}

// values are the variables of a control plane by name; those with secrets have no value.
func (cp controlPlane) values() map[string]string {
	all := map[string]string{}
	for _, v := range cp.container().Env {
		value := v.Value
		if strings.Contains(v.Name, "TOKEN") && !strings.HasSuffix(v.Name, "_PATH") && !strings.Contains(v.Name, "_AUTH_TYPE") {
			value = ""
		}
		all[v.Name] = value
	}
	return all
}

// inspectGlobal looks at the global: its version, variables, keys and list, and at what was put elsewhere by mistake.
func inspectGlobal(s plan.Snapshot, cp controlPlane, hub *verifier, f plan.State) *plan.Inspection {
	where := f.Hub.Object.String()
	in := &plan.Inspection{}
	in.Remarks = append(in.Remarks, remarks(where, cp.version.Findings())...)
	in.Remarks = append(in.Remarks, remarks(where, cp.version.CheckEnvironment(cp.values()))...)
	if f.Hub.StoredElsewhere != "" {
		in.Remarks = append(in.Remarks, plan.Remark{ID: "global-state-elsewhere", Severity: string(Error), Where: where,
			Found:  f.Hub.StoredElsewhere + "; nothing is written there, and no token, key or zone is judged",
			Remedy: "manage its tokens with kumactl and the global's own API; do not leave the global out with --contexts: its zones would still be refused"})
	}
	if hub.unread == "" {
		in.Remarks = append(in.Remarks, remarks("the signing keys", hub.Keys.Findings())...)
		in.Remarks = append(in.Remarks, remarks("secret "+cp.object.Metadata.Namespace+"/"+RevocationsName, hub.Revocations.Findings())...)
	}
	secrets, _ := secretsIn(s.Reads, cp.object.Metadata.Namespace)
	for _, o := range secrets {
		if o.Metadata.Name == RevocationsName && o.Type != SecretType {
			in.Remarks = append(in.Remarks, plan.Remark{ID: "revocations-type", Severity: string(Error), Where: "secret " + o.Metadata.Namespace + "/" + o.Metadata.Name,
				Found: fmt.Sprintf("it is of type %s, so the control plane does not see it, and nothing on it is revoked", o.Type), Remedy: "delete it, and create it as " + SecretType})
		}
	}
	for _, r := range misplacedReads(cp.object.Metadata.Namespace) {
		if s.Reads[r].OK() {
			in.Remarks = append(in.Remarks, plan.Remark{ID: "secret-misplaced", Severity: string(Error), Where: "secret " + r.Namespace + "/" + r.Name,
				Found: "it is not in the control plane's namespace, " + cp.object.Metadata.Namespace + ", so the control plane does not see it", Remedy: "create it there, and delete this one"})
		}
	}
	if on, known, _ := cp.authenticates(cp.spec); known && !on && cp.version.AuthenticatesZones() {
		in.Remarks = append(in.Remarks, plan.Remark{ID: "global-open", Severity: string(Warning), Where: where, Found: "it authenticates no zone: whoever reaches it can be any zone", Remedy: "migrate: kubectl xcpauth migrate"})
	}
	return in
}

// inspectZone looks at a zone: its version and variables, how it verifies the global, by its own clock, and its token by the global's.
func inspectZone(s plan.Snapshot, m plan.Member, hub *verifier, serves source, at, globals time.Time) *plan.Inspection {
	in := &plan.Inspection{}
	planes, _ := kube.Deployments(s.Reads[readControlPlanes])
	for i, o := range planes {
		cp := controlPlaneOf(&planes[i], s.Reads)
		if cp.mode != modeZone || o.Metadata.UID != m.Object.UID {
			continue
		}
		where := m.Object.String()
		in.Remarks = append(in.Remarks, remarks(where, cp.version.CheckEnvironment(cp.values()))...)
		for _, name := range cp.authTypes() {
			if value, set := cp.values()[name]; set && value != Off {
				in.Remarks = append(in.Remarks, plan.Remark{ID: "zone-sets-global", Severity: string(Error), Where: where,
					Found: fmt.Sprintf("%s is set on the zone, where it does nothing: it is the global that authenticates (values for production that are published set it so)", name), Remedy: "remove it here; kubectl xcpauth migrate sets it on the global"})
			}
		}
		in.Remarks = append(in.Remarks, remarks(where, zoneName(cp.zone, cp.version, hub.Version))...)
		secrets, unread := secretsIn(s.Reads, o.Metadata.Namespace)
		inspectTrust(in, where, cp, cp.verification(secrets, unread), serves, s.Clock(at))
		src := tokenOf(cp, cp.spec, secrets)
		switch {
		case src.missing != "":
			in.Remarks = append(in.Remarks, plan.Remark{ID: "token-missing", Severity: string(Error), Where: where, Found: src.missing + ", so its pods do not start", Remedy: "create it, or let kubectl xcpauth migrate give the zone a token"})
		case src.token != nil && hub.unread == "":
			v := hub.Verifier
			v.Zone = cp.zone
			j := v.Assess(src.token, globals)
			in.Remarks = append(in.Remarks, remarks("the token in "+src.where, j.Findings)...)
			if j.Product.Outcome != Accepted && !slices.ContainsFunc(j.Findings, func(f Finding) bool { return f.Severity == Error }) {
				in.Remarks = append(in.Remarks, plan.Remark{ID: "token-refused", Severity: string(Error), Where: "the token in " + src.where, Found: "the global would refuse it: " + j.Product.Text, Remedy: "give the zone another: kubectl xcpauth migrate"})
			}
		}
	}
	return in
}
