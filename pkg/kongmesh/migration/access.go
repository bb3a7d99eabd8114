package migration

import (
	"maps"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// InspectContext says what could be looked at in a context.
func InspectContext(s plan.Snapshot) plan.Context {
	c := plan.Context{Name: s.Context, ClusterUID: kube.ClusterUID(s), Err: s.Err, Skew: s.Skew,
		Partial: kube.Unreadable(s.Reads[state.ControlPlanesRead]) != ""}
	c.Missing, c.AccessErr = s.MissingPermissions(Permissions(s.Reads, true))
	if s.Err != "" {
		return c
	}
	unread := map[string]plan.Result{}
	for r, res := range ownReads(s.Reads) {
		if res.Err != "" {
			unread[strings.TrimSpace(r.Resource+" "+strings.Trim(r.Namespace+"/"+r.Name, "/"))] = res
		}
	}
	c.Unread = plan.UnreadOf(unread)
	return c
}

// Permissions lists, sorted, the rights that a run makes use of in a context of which that much was read: to look,
// and when migrate is true to migrate, to rotate keys and to revoke tokens too. manifests/rbac/mesh.yaml gives them.
func Permissions(soFar map[plan.Read]plan.Result, migrate bool) []plan.Permission {
	all := rights{}
	all.look(soFar)
	if migrate {
		all.migrate(soFar)
	}
	return plan.SortedPermissions(all)
}

// rights are a set of permissions.
type rights map[plan.Permission]bool

// look adds what it takes to read.
func (r rights) look(soFar map[plan.Read]plan.Result) {
	for read := range ownReads(soFar) {
		switch {
		case read.Asked != "" && read.Port == 0: // who asks there has another name
		case read.Port != 0:
			r.forward(read.Namespace)
			r.add(read.Group, read.Resource, read.Namespace, read.Name, "get")
		case read.Name != "":
			r.add(read.Group, read.Resource, read.Namespace, read.Name, "get")
		default:
			r.add(read.Group, read.Resource, read.Namespace, "", "list")
			if read.Resource == "pods" { // one may come that does not tell whose it is
				sets := kube.ReplicaSetsRead(read.Namespace)
				r.add(sets.Group, sets.Resource, sets.Namespace, "", "list")
			}
		}
	}
}

// migrate adds what it takes to change things.
func (r rights) migrate(soFar map[plan.Read]plan.Result) {
	keepsJournal := false
	for read := range soFar { // a global outside of clusters has its journal here
		keepsJournal = keepsJournal || read.Asked != "" && read.Port == 0
	}
	planes, _ := kube.Deployments(soFar[state.ControlPlanesRead])
	for i := range planes {
		d := &planes[i]
		ns, name, mode := d.Metadata.Namespace, d.Metadata.Name, state.ControlPlaneOf(d, soFar).Mode
		switch mode {
		case state.ModeGlobal:
			if state.InItsCluster(d, soFar) { // a key is read to sign with, made, and retired; their names go on
				r.add("", "secrets", ns, "", "get", "create", "delete")
				r.add("", "secrets", ns, zonetoken.RevocationsName, "patch")
			}
			r.forward(ns) // its API issues tokens
			keepsJournal = true
		case state.ModeZone:
			// a token is put into a secret of its own, which clean-up deletes
			r.add("", "secrets", ns, "", "create", "delete")
		default:
			continue
		}
		r.add("apps", "deployments", ns, name, "get", "patch")
	}
	if keepsJournal {
		for _, n := range roster.Permissions(soFar) {
			r[n] = true
		}
	}
}

func (r rights) add(group, resource, ns, name string, verbs ...string) {
	for _, verb := range verbs {
		r[plan.Permission{Verb: verb, Group: group, Resource: resource, Namespace: ns, Name: name}] = true
	}
}

// forward adds what it takes to reach a port of a pod.
func (r rights) forward(ns string) {
	for _, verb := range []string{"create", "get"} { // over SPDY, over WebSockets
		r[plan.Permission{Verb: verb, Resource: "pods", Subresource: "portforward", Namespace: ns}] = true
	}
}

// ownReads are the reads of this provider in a context of which that much was read, and what came of them; another
// provider may have read there too.
func ownReads(soFar map[plan.Read]plan.Result) map[plan.Read]plan.Result {
	own := map[plan.Read]plan.Result{kube.KubeSystem: soFar[kube.KubeSystem],
		state.ControlPlanesRead: soFar[state.ControlPlanesRead]}
	planes, _ := kube.Deployments(soFar[state.ControlPlanesRead])
	for _, d := range planes { // which says what else is read
		if at := state.ConfigFileOf(d.Metadata, d.Spec.Template.Spec); at.Unknown == "" {
			own[at.Read] = soFar[at.Read]
		}
	}
	for next := state.Reads(maps.Clone(own), false); len(next) > 0; next = state.Reads(maps.Clone(own), false) {
		for _, r := range next {
			own[r] = soFar[r]
		}
	}
	return own
}
