package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// readHub fills the hub and returns the roster's entries.
func readHub(s *plan.Snapshot, mp kube.Object, hub *plan.Hub) map[string]api.EdgeCluster {
	ns := mp.Metadata.Namespace
	hub.Found, hub.Context, hub.ClusterUID, hub.Object = true, s.Context, kube.ClusterUID(*s),
		kube.Ref(mp, ManagementPlanesRead, "ManagementPlane")
	hub.Organization, _ = Field(mp.Raw, "spec", "organization").(string)
	hub.Since = mp.Metadata.Written("spec", "components", "xcp", "centralAuthModes")
	var odd []plan.Anomaly
	hub.Accepts, odd = ReadHub(mp.Raw)
	for _, o := range odd {
		hub.Anomalies = append(hub.Anomalies, o.String())
	}
	xcp, _ := Walk(mp.Raw, "", "spec", "components", "xcp")
	stanza, _ := xcp["centralAuthModes"].(map[string]any)
	hub.Declared = map[string]any{"jwt": stanza["jwt"], "mutualTls": stanza["mutualTls"]}
	hub.Owner, hub.HelmNote = kube.Owners(mp.Metadata, modePaths("centralAuthModes", "central_auth_modes")...)
	hub.Server = certificate(s.Reads, ns, SecretCentralCert)
	hub.Server.Keeper = keeper(s.Reads[SecretRead(ns, SecretCentralCert)])
	hub.Issuer = IssuerOf(s.Reads, mp, SecretCentralCert)
	hub.TrialIssuer = IssuerOf(s.Reads, mp, TrialSecret)
	if !s.Reads[SecretRead(ns, TrialSecret)].Missing {
		hub.TrialCertificate = certificate(s.Reads, ns, TrialSecret)
	}
	if ca := SecretValue(s.Reads[SecretRead(ns, SecretMPCCerts)], "ca.crt"); ca != nil {
		hub.TrustAnchors = append(hub.TrustAnchors, ca)
	}
	hub.Leftovers = hubLeftovers(s, ns, hub.ClusterUID)
	hub.Workload = Workload(s.Reads, ns, "central", nil)
	for _, c := range kube.Items(s.Reads[centralXcps(ns)]) {
		hub.OperatorGeneration = max(hub.OperatorGeneration, c.Metadata.Generation)
	}
	switch clusters, why := kube.List(s.Reads[XcpClusters(ns)]); {
	case why != "":
		hub.InventoryErr = fmt.Sprintf("the hub's inventory (clusters.xcp.tetrate.io in %s) could not be read: %s", ns, why)
	case !s.Reads[XcpClusters(ns)].Missing:
		hub.Inventory = []string{}
		for _, c := range clusters {
			hub.Inventory = append(hub.Inventory, c.Metadata.Name)
		}
		slices.Sort(hub.Inventory)
	}
	var entries map[string]api.EdgeCluster
	hub.Roster, entries = roster.Parse(s.Reads)
	hub.InFlight, hub.Originals, hub.History = roster.Journal(s.Reads)
	hub.JournalErr = roster.Unread(s.Reads)
	return entries
}

// IssuerOf finds the cert-manager Certificate that makes a secret of the management plane's namespace, or says who
// else may and what to do there (owners: the vendor's certificate pages and charts; reference: ManagementPlane
// spec.certIssuer, 1.7 and newer).
func IssuerOf(read map[plan.Read]plan.Result, mp kube.Object, secretName string) plan.Issuer {
	ns := mp.Metadata.Namespace
	all, why := kube.List(read[Certificates(ns)])
	if why != "" {
		return plan.Issuer{Why: fmt.Sprintf("cert-manager's Certificates in %s could not be read (%s), so who makes it is not known", ns, why)}
	}
	var makers []string
	for _, c := range all {
		if spec, _ := Walk(c.Raw, "", "spec"); spec["secretName"] == secretName {
			makers = append(makers, c.Metadata.Name)
		}
	}
	for _, c := range all {
		spec, _ := Walk(c.Raw, "", "spec")
		if spec["secretName"] != secretName {
			continue
		}
		i := plan.Issuer{Kind: CertManager, Object: kube.Ref(c, Certificates(ns), "Certificate"), Spec: spec,
			Ready: certificateReady(c),
			Names: map[string]any{"dnsNames": spec["dnsNames"], "ipAddresses": spec["ipAddresses"]}}
		switch reverts, _ := kube.Owners(c.Metadata, []string{"spec", "dnsNames"}, []string{"spec", "ipAddresses"}); {
		case len(makers) > 1:
			i.Why = fmt.Sprintf("%d Certificates make secret %s/%s (%s) and re-issue it in turns; delete all but one",
				len(makers), ns, secretName,
				strings.Join(makers, ", "))
		case reverts != "":
			i.Why = fmt.Sprintf("%s is kept by %s, which would put a change back; add the names to spec.dnsNames there",
				i.Object, reverts)
		}
		return i
	}
	const byHand = "; or give another one with --central-cert and --central-key; a request for it is made by: kubectl xcpauth certificate request --key-out FILE"
	s := kube.One(read[SecretRead(ns, secretName)])
	if s == nil {
		return plan.Issuer{}
	}
	issuer, _ := Walk(mp.Raw, "", "spec", "certIssuer", "tsbCerts")
	switch {
	case issuer != nil:
		return plan.Issuer{Kind: "TSB",
			Why: "it is issued by TSB itself (spec.certIssuer.tsbCerts of the ManagementPlane); add the names there" + byHand}
	case s.Metadata.Annotations["meta.helm.sh/release-name"] != "":
		return plan.Issuer{Kind: "Helm",
			Why: fmt.Sprintf("it belongs to Helm release %s/%s; where the chart generates it (autoGenerateCerts), add the names to its value secrets.xcp.central.additionalDNSNames",
				s.Metadata.Annotations["meta.helm.sh/release-namespace"], s.Metadata.Annotations["meta.helm.sh/release-name"]) +
				byHand}
	}
	return plan.Issuer{Kind: "by hand",
		Why: "no cert-manager Certificate makes it, so it was put there by hand or by tctl" + byHand}
}

// modePaths are the paths of the fields in which a plane has its modes.
func modePaths(fields ...string) [][]string {
	var paths [][]string
	for _, f := range fields {
		paths = append(paths, []string{"spec", "components", "xcp", f})
	}
	return paths
}

// keeper is who would put a change of a secret back: a controller that owns it, but for cert-manager's Certificate,
// which is told apart as the issuer of what it makes; "" when nobody is known to.
func keeper(r plan.Result) string {
	o := kube.One(r)
	if o == nil {
		return ""
	}
	meta := o.Metadata
	meta.OwnerReferences = slices.DeleteFunc(slices.Clone(meta.OwnerReferences),
		func(o kube.Owner) bool { return o.Kind == "Certificate" })
	reverts, _ := kube.Owners(meta, []string{"data"})
	return reverts
}

// certificateReady says whether cert-manager has issued what the Certificate asks for now.
func certificateReady(c kube.Object) bool {
	status, _ := Walk(c.Raw, "", "status")
	conditions, _ := status["conditions"].([]any)
	for _, raw := range conditions {
		cond, _ := raw.(map[string]any)
		if cond["type"] == "Ready" {
			seen, told := cond["observedGeneration"].(float64)
			return cond["status"] == "True" && (!told || int64(seen) >= c.Metadata.Generation)
		}
	}
	return false
}

// hubLeftovers lists what lies in the hub for certificates that members present: MPC's, and of the edges the
// Certificates from which tctl's way makes xcp-edge-cert, with the secrets that they leave in the hub. Whose a
// Certificate is, its names tell (see edgeLeftovers).
func hubLeftovers(s *plan.Snapshot, ns, uid string) []plan.Leftover {
	var all []plan.Leftover
	add := func(o kube.Object, r plan.Read, kind, member, why string) {
		all = append(all, plan.Leftover{Context: s.Context, ClusterUID: uid, Object: kube.Ref(o, r, kind),
			Member: member, Why: why})
	}
	for _, c := range kube.Items(s.Reads[Certificates(ns)]) {
		spec, _ := Walk(c.Raw, "", "spec")
		if spec["secretName"] == SecretMPCCerts {
			add(c, Certificates(ns), "Certificate", MPCName, "it makes secret "+SecretMPCCerts)
		}
	}
	for _, d := range unfinished(s.Reads, ns) {
		if o := kube.One(s.Reads[SecretRead(ns, d.Object.Name)]); o != nil && o.Metadata.UID == d.Object.UID &&
			d.Cluster == uid {
			add(*o, SecretRead(ns, d.Object.Name), "Secret", d.Member,
				"the hub's copy of the certificate of "+d.Member+", which a clean-up left")
		}
	}
	if o := kube.One(s.Reads[SecretRead(ns, SecretMPCCerts)]); o != nil {
		add(*o, SecretRead(ns, SecretMPCCerts), "Secret", MPCName, "MPC's certificate for mutual TLS")
	}
	return all
}

// unfinished lists the copies of edges' certificates in the hub that clean-ups were to delete: once its Certificate
// is deleted, nothing else leads to such a copy.
func unfinished(read map[plan.Read]plan.Result, ns string) []plan.Deletion {
	var all []plan.Deletion
	_, _, past := roster.Journal(read)
	for _, p := range past {
		for _, d := range p.Deletes {
			if o := d.Object; o.Resource == "secrets" && o.Namespace == ns && strings.Contains(o.Name, SecretEdgeCert) {
				all = append(all, d)
			}
		}
	}
	return all
}

// edgeCertificates lists the names of the secrets in the hub that a Certificate for an edge fills.
func edgeCertificates(read map[plan.Read]plan.Result, ns string) []string {
	var names []string
	for _, c := range kube.Items(read[Certificates(ns)]) {
		spec, _ := Walk(c.Raw, "", "spec")
		if name, _ := spec["secretName"].(string); strings.Contains(name, SecretEdgeCert) {
			names = append(names, name)
		}
	}
	return names
}

// edgeLeftovers lists what only the edge's certificate needed: in the hub the Certificate that makes it and the
// secret that this fills, known by a secret name with xcp-edge-cert in it and by the very names of the edge's own
// certificate; in the edge the secret.
func edgeLeftovers(s plan.Snapshot, ns, member string, cert plan.Certificate, home *plan.Snapshot,
	hubNS string) []plan.Leftover {
	var all []plan.Leftover
	r := s.Reads[SecretRead(ns, SecretEdgeCert)]
	own := kube.One(r)
	if own == nil {
		return nil
	}
	if home != nil && cert.Err == "" {
		for _, c := range kube.Items(home.Reads[Certificates(hubNS)]) {
			spec, _ := Walk(c.Raw, "", "spec")
			name, _ := spec["secretName"].(string)
			made := home.Reads[SecretRead(hubNS, name)]
			if !strings.Contains(name, SecretEdgeCert) || !made.OK() {
				continue
			}
			if leaf := certificate(home.Reads, hubNS, name); leaf.Err != "" || !sameNames(leaf, cert) {
				continue
			}
			all = append(all,
				plan.Leftover{Context: home.Context, ClusterUID: kube.ClusterUID(*home),
					Object: kube.Ref(c, Certificates(hubNS), "Certificate"), Member: member,
					Why: "it makes the certificate of " + member},
				plan.Leftover{Context: home.Context, ClusterUID: kube.ClusterUID(*home),
					Object: kube.Ref(*kube.One(made), SecretRead(hubNS, name), "Secret"), Member: member,
					Why: "the hub's copy of the certificate of " + member})
		}
	}
	return append(all, plan.Leftover{Context: s.Context, ClusterUID: kube.ClusterUID(s),
		Object: kube.Ref(*own, SecretRead(ns, SecretEdgeCert), "Secret"), Member: member,
		Why: "its certificate for mutual TLS"})
}

func sameNames(a, b plan.Certificate) bool {
	names := func(c plan.Certificate) []string {
		all := append(slices.Clone(c.Names), c.URIs...)
		slices.Sort(all)
		return all
	}
	return slices.Equal(names(a), names(b)) && len(names(a)) > 0
}

// CertManager is the kind of an issuer that is a cert-manager Certificate.
const CertManager = "cert-manager"
