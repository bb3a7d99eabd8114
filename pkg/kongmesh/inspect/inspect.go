package inspect

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// Extend has a provider look also at what only check needs: what lies in other namespaces by mistake, and what is wrong
// with every key, list, token and setting.
func Extend(p plan.Provider) plan.Provider {
	p.Reads, p.ReadState, p.Permissions = inspectReads, inspectState, migration.Permissions
	return p
}

// elsewhere are the namespaces in which secrets for a control plane lie by mistake: the other product's (the page of
// Kong Mesh 1.5 and 1.6 puts the list of revoked tokens into Kuma's), and the default one.
var elsewhere = []string{zonetoken.KongNamespace, zonetoken.KumaNamespace, "default"}

// misplaced are the secrets that are looked for there.
var misplaced = []string{zonetoken.RevocationsName, zonetoken.KeyPrefix + "-1", zonetoken.KeyPrefix + "-2"}

func inspectReads(soFar map[plan.Read]plan.Result, metrics bool) []plan.Read {
	next := state.Reads(soFar, metrics)
	planes, _ := kube.Deployments(soFar[state.ControlPlanesRead])
	for i, d := range planes {
		if state.ControlPlaneOf(&planes[i], soFar).Mode != state.ModeGlobal {
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

// inspectState is facts, with every context, and an inspection of the global and of each zone that was reached.
func inspectState(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
	f := state.ReadState(snaps, where, at)
	for _, s := range snaps {
		f.Contexts = append(f.Contexts, migration.InspectContext(s))
	}
	sorting.Stable(f.Contexts, func(a, b *plan.Context) int { return strings.Compare(a.Name, b.Name) })
	var again plan.Hub
	home, global := state.FindGlobal(snaps, where, &again)
	if home == nil {
		return f
	}
	hub := state.ReadGlobal(home, *global, &again)
	f.Hub.Inspection = inspectGlobal(*home, *global, hub, f)
	to, asked := target(*global, where)
	if asked {
		upgradeOfGlobal(f.Hub.Inspection, f.Hub.Object.String(), *global, f.Hub.StateAPI == nil &&
			f.Hub.StoredElsewhere == "", to)
	}
	serves := global.Served(state.SecretsIn(home.Reads, global.Object.Metadata.Namespace))
	inspectServed(f.Hub.Inspection, f.Hub.Object.String(), serves, f.Hub.Workload, global.Version)
	for i := range f.Members {
		m := &f.Members[i]
		for _, s := range snaps {
			if s.Context == m.Context && m.Err == "" {
				m.Inspection = inspectZone(s, *m, hub, serves, at, home.Clock(at))
				if asked {
					upgradeOf(s, *m, hub, to, home.Clock(at))
				}
			}
		}
	}
	return f
}

// inspectGlobal looks at the global: its version, variables, keys and list, and at what was put elsewhere by mistake.
func inspectGlobal(s plan.Snapshot, cp state.ControlPlane, hub *zonetoken.GlobalVerifier,
	f plan.State) *plan.Inspection {
	where := f.Hub.Object.String()
	in := &plan.Inspection{}
	in.Findings = append(in.Findings, about(where, cp.Version.Findings())...)
	in.Findings = append(in.Findings, about(where, cp.Version.CheckEnvironment(cp.Values()))...)
	if f.Hub.StoredElsewhere != "" {
		add(in, globalStateUnknown, where,
			f.Hub.StoredElsewhere+"; nothing is written there, and no token, key or zone is judged",
			"do not leave the global out with --contexts: its zones would still be refused")
	}
	for _, why := range state.Unusable(cp, s.Reads) {
		add(in, globalAPIUnusable, where, why, "put right what it says, and run check again; until then nothing is changed")
	}
	for _, r := range state.MissingAPIRights(cp, s.Reads) {
		add(in, globalAPIRight, where, r.String(), r.Remedy())
	}
	if hub.Unread == "" {
		in.Findings = append(in.Findings, about("the signing keys", hub.Keys.Findings())...)
		list := "secret " + cp.Object.Metadata.Namespace + "/" + zonetoken.RevocationsName
		in.Findings = append(in.Findings, about(list, hub.Revocations.Findings())...)
	}
	secrets, _ := state.SecretsIn(s.Reads, cp.Object.Metadata.Namespace)
	for _, o := range secrets {
		if o.Metadata.Name == zonetoken.RevocationsName && o.Type != zonetoken.SecretType {
			add(in, revocationsType, "secret "+o.Metadata.Namespace+"/"+o.Metadata.Name,
				fmt.Sprintf("it is of type %s, so the control plane does not see it, and nothing on it is revoked", o.Type),
				"delete it, and create it as "+zonetoken.SecretType)
		}
	}
	for _, r := range misplacedReads(cp.Object.Metadata.Namespace) {
		if s.Reads[r].OK() {
			add(in, secretMisplaced, "secret "+r.Namespace+"/"+r.Name,
				"it is not in the control plane's namespace, "+cp.Object.Metadata.Namespace+", so the control plane does not see it",
				"create it there, and delete this one")
		}
	}
	if on, known, _ := cp.Authenticates(cp.Spec); known && !on && cp.Version.AuthenticatesZones() {
		add(in, globalOpen, where, "it authenticates no zone: anyone who reaches it can be any zone",
			"migrate: kubectl xcpauth migrate")
	}
	return in
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

// inspectZone looks at a zone: its version and variables, how it verifies the global, by its own clock, and its token
// by the global's.
func inspectZone(s plan.Snapshot, m plan.Member, hub *zonetoken.GlobalVerifier, serves state.Source, at,
	globals time.Time) *plan.Inspection {
	in := &plan.Inspection{}
	planes, _ := kube.Deployments(s.Reads[state.ControlPlanesRead])
	for i, o := range planes {
		cp := state.ControlPlaneOf(&planes[i], s.Reads)
		if cp.Mode != state.ModeZone || o.Metadata.UID != m.Object.UID {
			continue
		}
		where := m.Object.String()
		in.Findings = append(in.Findings, about(where, cp.Version.CheckEnvironment(cp.Values()))...)
		for _, name := range cp.AuthTypes() {
			if value, set := cp.Values()[name]; set && value != zonetoken.Off {
				add(in, zoneSetsGlobal, where,
					fmt.Sprintf("%s is set on the zone, where it does nothing: it is the global that authenticates "+
						"(values for production that are published set it so)", name),
					"remove it here; kubectl xcpauth migrate sets it on the global")
			}
		}
		in.Findings = append(in.Findings, about(where, zonetoken.ZoneName(cp.Zone, cp.Version, hub.Version))...)
		secrets, unread := state.SecretsIn(s.Reads, o.Metadata.Namespace)
		inspectTrust(in, where, cp, cp.Verification(secrets, unread), serves, s.Clock(at))
		src := state.TokenOf(cp, cp.Spec, secrets)
		switch {
		case src.Missing != "":
			add(in, tokenMissing, where, src.Missing+", so its pods do not start",
				"create it, or let kubectl xcpauth migrate give the zone a token")
		case src.Token != nil && hub.Unread == "":
			v := hub.Verifier
			v.Zone = cp.Zone
			j := v.Assess(src.Token, globals)
			in.Findings = append(in.Findings, about("the token in "+src.Where, j.Findings)...)
			isError := func(f finding.Finding) bool { return f.Severity == finding.Error }
			if j.Product.Outcome != zonetoken.Accepted && !slices.ContainsFunc(j.Findings, isError) {
				add(in, tokenRefused, "the token in "+src.Where, "the global would refuse it: "+j.Product.Text,
					"give the zone another: kubectl xcpauth migrate")
			}
		}
	}
	return in
}

// upgradeOf finds what an upgrade would break of a member.
func upgradeOf(s plan.Snapshot, m plan.Member, hub *zonetoken.GlobalVerifier, to zonetoken.Version, at time.Time) {
	planes, _ := kube.Deployments(s.Reads[state.ControlPlanesRead])
	for i, o := range planes {
		cp := state.ControlPlaneOf(&planes[i], s.Reads)
		if cp.Mode == state.ModeZone && o.Metadata.UID == m.Object.UID {
			secrets, _ := state.SecretsIn(s.Reads, o.Metadata.Namespace)
			upgradeOfZone(m.Inspection, m.Object.String(), cp, state.TokenOf(cp, cp.Spec, secrets), hub, to, at)
		}
	}
}

// about are findings of package zonetoken as those of an object, in the form of check's.
func about(object string, all finding.Findings) finding.Findings {
	all = all.About(object)
	for i := range all {
		all[i].Remedy = strings.TrimSuffix(all[i].Remedy, ".")
	}
	return all
}

// add adds a finding about an object.
func add(in *plan.Inspection, rule *finding.Rule, object, found, remedy string) {
	x := rule.Finding(found, remedy)
	x.Object = object
	in.Findings = append(in.Findings, x)
}
