package inspect

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// What only check reads.
const (
	// of a control plane, key ca.crt: the CA of the API that mints tokens
	secretManagementCA = "mp-certs"
	operatorHub        = "tsb-operator-management-plane" // Deployments of the operators
	operatorEdge       = "tsb-operator-control-plane"
)

// readWebhook is our own webhook's registration; manifests/base names it.
var readWebhook = plan.Read{Group: "admissionregistration.k8s.io", Version: "v1",
	Resource: "validatingwebhookconfigurations", Name: "xcpauth-webhook"}

// Extend has a provider look also at what only check needs.
func Extend(p plan.Provider) plan.Provider {
	p.Reads, p.ReadState, p.Permissions = checkReads, checkState, migration.Permissions
	return p
}

// checkReads is reads, with the operators, MPC's certificate, the CA of the minting path and our webhook in the same
// bursts.
func checkReads(soFar map[plan.Read]plan.Result, metrics bool) []plan.Read {
	next := state.Reads(soFar, metrics)
	if _, begun := soFar[state.ManagementPlanesRead]; !begun {
		return next
	}
	for _, r := range checkOnly(soFar) {
		if _, done := soFar[r]; !done && !slices.Contains(next, r) {
			next = append(next, r)
		}
	}
	return next
}

func checkOnly(soFar map[plan.Read]plan.Result) []plan.Read {
	var more []plan.Read
	for _, ns := range kube.Namespaces(soFar[state.ManagementPlanesRead]) {
		more = append(more, kube.DeploymentRead(ns, operatorHub), state.SecretRead(ns, state.SecretMPCCerts), readWebhook)
	}
	for _, ns := range kube.Namespaces(soFar[state.ControlPlanesRead]) {
		more = append(more, kube.DeploymentRead(ns, operatorEdge), state.SecretRead(ns, secretManagementCA))
		for _, s := range state.SiblingTokens {
			more = append(more, state.SecretRead(ns, s))
		}
	}
	return more
}

// checkState is facts, with every context and an inspection of the hub and of each member that was reached.
func checkState(snaps []plan.Snapshot, where plan.Selection, at time.Time) plan.State {
	f := state.ReadState(snaps, where, at)
	byContext := map[string]plan.Snapshot{}
	for _, s := range snaps {
		byContext[s.Context] = s
	}
	for _, name := range slices.Sorted(maps.Keys(byContext)) {
		f.Contexts = append(f.Contexts, inspectContext(byContext[name]))
	}
	if !f.Hub.Found {
		return f
	}
	home := byContext[f.Hub.Context]
	_, entries := roster.Parse(home.Reads)
	inspectHub(home, &f)
	for i := range f.Members {
		m := &f.Members[i]
		switch s, reached := byContext[m.Context]; {
		case m.Role == plan.RoleMPC:
			m.Inspection = inspectMPC(home, *m, f)
		case reached && m.Err == "":
			m.Inspection = inspectEdge(s, *m, f)
			if e, ok := entries[roster.ObjectName(m.Name)]; ok && e.Spec.ClusterUID != "" && e.Spec.ClusterUID != m.ClusterUID {
				m.Inspection.Impostor = fmt.Sprintf("the roster has it in cluster %s, and context %s reaches cluster %s",
					e.Spec.ClusterUID, m.Context, m.ClusterUID)
			}
		default:
			m.Inspection = &plan.Inspection{Gone: gone(*m, entries[roster.ObjectName(m.Name)], f)}
		}
	}
	return f
}

// inspectContext says what could be looked at in a context.
func inspectContext(s plan.Snapshot) plan.Context {
	c := plan.Context{Name: s.Context, ClusterUID: kube.ClusterUID(s), Err: s.Err, Skew: s.Skew}
	// what another provider asked for is none of ours
	c.Missing, c.AccessErr = s.MissingPermissions(migration.Permissions(s.Reads, true))
	c.Partial = kube.Unreadable(s.Reads[state.ManagementPlanesRead]) != "" ||
		kube.Unreadable(s.Reads[state.ControlPlanesRead]) != ""
	if s.Err != "" {
		return c
	}
	unread := map[string]plan.Result{}
	for r, res := range s.Reads {
		if res.Err == "" || r.Labels != "" { // the latter is not a read of ours
			continue
		}
		what := r.Resource
		if r.Group != "" {
			what += "." + r.Group
		}
		if at := strings.Trim(r.Namespace+"/"+r.Name, "/"); at != "" {
			what += " " + at
		}
		if r.Port != 0 {
			what = fmt.Sprintf("the metrics of pod %s/%s", r.Namespace, r.Name)
		}
		unread[what] = res
	}
	c.Unread = plan.UnreadOf(unread)
	return c
}

func inspectHub(s plan.Snapshot, f *plan.State) {
	hub := &f.Hub
	ns := hub.Object.Namespace
	mp := planeOf(s, state.ManagementPlanesRead, hub.Object)
	in := &plan.Inspection{Field: state.XCPPath + ".centralAuthModes", Wanted: wantedModes(*hub),
		Deleting: mp.Metadata.DeletionTimestamp != ""}
	_, odd := state.ReadHub(mp.Raw)
	in.Anomalies = slices.Concat(odd, misplaced(mp.Raw, "centralAuthModes"))
	in.Version = planeVersion(mp)
	in.Operator = operator(s, ns, operatorHub)
	if r := s.Reads[readWebhook]; kube.Unreadable(r) == "" {
		guarded := guards(r.Body)
		in.Guarded = &guarded
	}
	in.Server = serverNeeds(*f)
	in.Materials = hubMaterials(s, *hub)
	in.Distrust = ownTrust(*hub, s.Clock(f.At))
	hub.Inspection = in
}

// guards says whether our webhook's registration has an entry: it ships without, and the webhook writes them once its
// pods are ready.
func guards(registration []byte) bool {
	var conf struct {
		Webhooks []struct{} `json:"webhooks"`
	}
	return kube.Decode(registration, &conf) == nil && len(conf.Webhooks) > 0
}

// wantedModes are the modes that the keeper of a hub's object should set: both, until the hub accepts JWTs alone;
// then those, since anything else would undo what was reached.
func wantedModes(h plan.Hub) string {
	if migration.AcceptsJWTOnly(h) {
		return "{jwt: true, mutualTls: false}"
	}
	return "{jwt: true, mutualTls: true}"
}

// serverNeeds is what Central's certificate carries and must (the vendor's certificate pages): for mutual TLS its
// SPIFFE ID and both usages, with the CA in the secret; for JWTs the usage of a server.
func serverNeeds(f plan.State) *plan.Server {
	hub := f.Hub
	leaf, err := pki.Leaf(hub.Server.Chain)
	if err != nil {
		return nil
	}
	server := &plan.Server{CA: len(hub.Server.CA) > 0, Needs: []string{"server auth"}}
	for _, u := range leaf.URIs {
		server.URIs = append(server.URIs, u.String())
	}
	server.Usages = usages(leaf)
	if mutualInUse(f) {
		server.Identity, server.Needs, server.NeedsCA = "spiffe://xcp.tetrate.io/central",
			[]string{"server auth", "client auth"}, true
	}
	return server
}

// mutualInUse says whether mutual TLS is accepted; or, where that is not written, whether anybody may present it.
func mutualInUse(f plan.State) bool {
	switch f.Hub.Accepts.Accepts[state.MTLS] {
	case guard.Yes:
		return true
	case guard.No:
		return false
	}
	return slices.ContainsFunc(f.GuardMembers(), func(e guard.Member) bool {
		return e.Presents == nil ||
			slices.Contains(e.Presents, state.MTLS)
	})
}

// usages names the extended key usages of a certificate; nil when it may be used for anything.
func usages(c *x509.Certificate) []string {
	names := []string{}
	for _, u := range c.ExtKeyUsage {
		switch u {
		case x509.ExtKeyUsageAny:
			return nil
		case x509.ExtKeyUsageServerAuth:
			names = append(names, "server auth")
		case x509.ExtKeyUsageClientAuth:
			names = append(names, "client auth")
		}
	}
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 {
		return nil
	}
	return names
}

func inspectEdge(s plan.Snapshot, m plan.Member, f plan.State) *plan.Inspection {
	ns := m.Object.Namespace
	cp := planeOf(s, state.ControlPlanesRead, m.Object)
	in := &plan.Inspection{Field: state.XCPPath + ".centralAuthMode", Wanted: wantedMode(f.Hub),
		Deleting: cp.Metadata.DeletionTimestamp != ""}
	_, odd := state.ReadEdge(cp.Raw)
	_, levels := state.Walk(cp.Raw, "", "spec", "managementPlane")
	in.Anomalies = slices.Concat(levels, odd, misplaced(cp.Raw, "centralAuthMode"))
	in.Anomalies = append(in.Anomalies, dialled(cp.Raw)...)
	in.Anomalies = append(in.Anomalies, documentedOverlays(cp.Raw)...)
	in.Version = planeVersion(cp)
	in.Operator = operator(s, ns, operatorEdge)
	in.Materials = edgeMaterials(s, cp, m, f)
	in.Distrust = edgeTrust(s, m, f)
	return in
}

// planeOf finds an object again in the list that it was read from.
func planeOf(s plan.Snapshot, list plan.Read, ref plan.Ref) kube.Object {
	for _, o := range kube.Items(s.Reads[list]) {
		if o.Metadata.UID == ref.UID && o.Metadata.Name == ref.Name && o.Metadata.Namespace == ref.Namespace {
			return o
		}
	}
	return kube.Object{}
}

// wantedMode is the mode that the keeper of an edge's object should set: JWT, and not before the hub accepts one.
func wantedMode(h plan.Hub) string {
	if h.Found && h.Accepts.Accepts[state.JWT] != guard.Yes {
		return "JWT, but not before the hub accepts JWTs (kubectl xcpauth migrate --to=dual),"
	}
	return "JWT"
}

func inspectMPC(s plan.Snapshot, m plan.Member, f plan.State) *plan.Inspection {
	in := &plan.Inspection{}
	if !slices.Contains(m.Evidence.Presents, state.MTLS) {
		return in
	}
	ns := m.Object.Namespace
	where := ns + "/" + state.SecretMPCCerts
	r := s.Reads[state.SecretRead(ns, state.SecretMPCCerts)]
	in.Materials = []plan.Material{material(r, where, "tls.crt", "MPC's client certificate", true,
		"have its Certificate re-issued, or issue it again with: tctl install manifest management-plane-secrets --xcp-certs")}
	in.Distrust = mutualTrust(r, where, "MPC's certificate", f.Hub, s.Clock(f.At))
	return in
}

// gone says why a member of which no context has a ControlPlane is evidently decommissioned: the cluster that the
// roster or a context of its name leads to was looked at, and has none.
func gone(m plan.Member, e api.EdgeCluster, f plan.State) string {
	for _, o := range f.Others {
		switch {
		case o.State != "no-member":
		case e.Spec.ClusterUID != "" && e.Spec.ClusterUID == o.ClusterUID:
			return fmt.Sprintf("context %s reaches the cluster that the roster has it in, and there is no ControlPlane",
				o.Context)
		case o.Context == m.ClusterName:
			return fmt.Sprintf("context %s reaches a cluster without a ControlPlane", o.Context)
		}
	}
	return ""
}

// planeVersion is the release of TSB that an object was installed by (its chart's labels).
func planeVersion(o kube.Object) plan.Version {
	if v := o.Metadata.Labels["app.kubernetes.io/version"]; v != "" {
		return versionOf(v, "label app.kubernetes.io/version")
	}
	if c := o.Metadata.Labels["helm.sh/chart"]; c != "" {
		if _, v, ok := strings.Cut(c, "-"); ok {
			return versionOf(v, "label helm.sh/chart")
		}
	}
	return plan.Version{}
}

// operator reads an operator's Deployment, its pods and the tag of its image.
func operator(s plan.Snapshot, ns, name string) *plan.Operator {
	op := &plan.Operator{Where: ns + "/" + name, Workload: state.Workload(s.Reads, ns, name, nil)}
	var d struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Image string `json:"image"`
					} `json:"containers"`
				} `json:"spec"`
			} `json:"template"`
		} `json:"spec"`
	}
	if r := s.Reads[kube.DeploymentRead(ns, name)]; r.OK() && kube.Decode(r.Body, &d) == nil {
		for _, c := range d.Spec.Template.Spec.Containers {
			image, _, _ := strings.Cut(c.Image, "@")
			if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') && op.Version.Text == "" {
				op.Version = versionOf(image[i+1:], "the image of Deployment "+op.Where)
			}
		}
	}
	return op
}

// versionOf reads a version as TSB writes it ("1.6.0-internal-rc8"). JWTs need 1.4 (the vendor's page).
func versionOf(text, source string) plan.Version {
	v := plan.Version{Text: text, Source: source}
	parts := strings.FieldsFunc(strings.TrimPrefix(text, "v"), func(r rune) bool { return r < '0' || r > '9' })
	if len(parts) < 2 || !strings.HasPrefix(strings.TrimPrefix(text, "v"), parts[0]+"."+parts[1]) {
		return plan.Version{}
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil {
		return plan.Version{}
	}
	if major < 1 || (major == 1 && minor < 4) {
		v.TooOld = "1.4"
	}
	return v
}
