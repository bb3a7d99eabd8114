package tsb

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/chain"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// spiffeCentral is what an mTLS edge knows Central by (the vendor's certificate pages).
const spiffeCentral = "spiffe://xcp.tetrate.io/central"

// certificateWave decides what Central's certificate needs before the first edge presents a JWT: a JWT edge verifies the name that it dials,
// which an mTLS edge does not. Trust before names:
//
//  1. nothing, when the certificate has every name that an edge dials, and every pod of Central serves one that has;
//  2. rehearse: have the new certificate issued once into a secret of its own, and look whether everybody would trust it;
//  3. certify: add the names to the Certificate, so that cert-manager re-issues it without a gap (the secret is not deleted); or write
//     the pair that somebody else made, the old one kept;
//  4. restart Central, once, where its pods go on serving the old one.
//
// Whose certificate we cannot change is said, with who can; then only the edges that need a name are blocked.
func certificateWave(f plan.State, goal plan.Goal, v classified) (plan.Wave, bool) {
	all := hubs(f)
	var rehearsals, writes, restarts []plan.Step
	for _, who := range hubNames {
		h, there := all[who]
		if !there || h.Server.Err != "" {
			continue
		}
		lacks := missingNames(h, v.dialled)
		switch {
		case len(lacks) > 0 && goal.Pair != nil:
			if why := cannotReplace(*goal.Pair, h, f, v); why == "" {
				writes = append(writes, writePairStep(f, who, h, v, goal))
			}
		case len(lacks) > 0 && cannotReissue(h, goal) != "":
		case len(lacks) > 0 && trialStale(h, f):
			writes = append(writes, removeTrialStep(who, h, "it was of another request, or long ago, and says nothing about what would be issued now", goal))
		case len(lacks) > 0 && !trialPassed(h, f, v):
			rehearsals = append(rehearsals, trialIssueStep(who, h, v, lacks, goal))
		case len(lacks) > 0:
			writes = append(writes, reissueStep(f, who, h, v, lacks, goal))
		case h.TrialIssuer.Object.Name != "" || h.Issuer.Object.Name != "" && h.TrialCertificate.Where != "" && h.TrialCertificate.Err == "": // its secret outlives its Certificate
			writes = append(writes, removeTrialStep(who, h, "an earlier run left it", goal))
		case len(v.switchable)+len(v.unverified) > 0 && servesOldCertificate(h, v.dialled):
			restarts = append(restarts, restartStep(f, who, h, v, goal))
		}
	}
	switch {
	case len(rehearsals) > 0:
		return plan.Wave{Title: "rehearse Central's certificate", Steps: rehearsals, Obstacles: v.obstacles}, true
	case len(writes) > 0:
		return plan.Wave{Title: "Central's certificate", Steps: writes, Obstacles: v.obstacles}, true
	case len(restarts) > 0:
		return plan.Wave{Title: "restart Central", Steps: restarts, Obstacles: v.obstacles}, true
	}
	return plan.Wave{}, false
}

// missingNameReason says why an edge that lacks only its name in Central's certificate cannot be moved, "" when the name will be added.
func missingNameReason(f plan.State, m plan.Member, goal plan.Goal) string {
	if !m.Trust.Unnamed {
		return ""
	}
	if goal.NoHub {
		return m.Trust.Why
	}
	for _, h := range hubs(f) {
		if goal.Pair != nil {
			if why := cannotReplace(*goal.Pair, h, f, classified{dialled: []string{m.ServerName}}); why != "" {
				return why
			}
		} else if why := cannotReissue(h, goal); why != "" {
			return m.Trust.Why + "; " + why
		}
	}
	return ""
}

// cannotReissue says why the names of a hub's certificate cannot be changed here, "" when they can.
func cannotReissue(h plan.Hub, goal plan.Goal) string {
	switch {
	case goal.Pair != nil:
		return ""
	case h.Issuer.Why != "":
		return h.Issuer.Why
	case h.Issuer.Object.Name == "":
		return "who makes it is not known"
	}
	return ""
}

// namesMissingFrom lists the names that a certificate lacks of those wanted.
func namesMissingFrom(c plan.Certificate, wanted []string) []string {
	leaf, err := chain.Leaf(c.Chain)
	var lacks []string
	for _, name := range wanted {
		if err != nil && !slices.Contains(c.Names, name) || err == nil && leaf.VerifyHostname(name) != nil {
			lacks = append(lacks, name)
		}
	}
	return lacks
}

// missingNames lists the names that a hub's certificate lacks of those wanted; and those that it would lack once it is issued again, since its
// Certificate does not ask for them: what is in the secret may be on its way out.
func missingNames(h plan.Hub, wanted []string) []string {
	lacks := namesMissingFrom(h.Server, wanted)
	if h.Issuer.Object.Name == "" || h.Issuer.Why != "" {
		return lacks
	}
	var asked x509.Certificate
	for key, v := range h.Issuer.Names {
		list, _ := v.([]any)
		for _, n := range list {
			name, _ := n.(string)
			if ip, err := netip.ParseAddr(name); err == nil && key == "ipAddresses" {
				asked.IPAddresses = append(asked.IPAddresses, ip.AsSlice())
			} else {
				asked.DNSNames = append(asked.DNSNames, name)
			}
		}
	}
	for _, name := range wanted {
		if asked.VerifyHostname(name) != nil && !slices.Contains(lacks, name) {
			lacks = append(lacks, name)
		}
	}
	return lacks
}

// withNames is the names of an issuer with more added, as cert-manager has them: dnsNames and ipAddresses.
func withNames(i plan.Issuer, more []string) map[string]any {
	lists := map[string][]any{}
	for key, v := range i.Names {
		list, _ := v.([]any)
		lists[key] = slices.Clone(list)
	}
	for _, name := range more {
		key := "dnsNames"
		if _, err := netip.ParseAddr(name); err == nil {
			key = "ipAddresses"
		}
		if !slices.Contains(lists[key], any(name)) {
			lists[key] = append(lists[key], name)
		}
	}
	names := map[string]any{}
	for key, list := range lists {
		if len(list) > 0 {
			names[key] = list
		}
	}
	return names
}

// trialIssueStep has the certificate issued beside the real one. What it makes is deleted when it does not do, and when the real one follows; an
// interruption leaves it to the next run, since cert-manager is slow to make again what was just deleted.
func trialIssueStep(who string, h plan.Hub, v classified, lacks []string, goal plan.Goal) plan.Step {
	s := plan.Step{ID: idOf(plan.TrialIssue, who), Kind: plan.TrialIssue, Member: who, Title: who + ": have Central's new certificate issued once, beside the real one",
		Why:        "a certificate that one member does not trust cuts it off; nobody is served this one",
		Conditions: []plan.Condition{{Kind: conditionTrial, Member: who, Names: v.dialled, Text: "every member would trust it, it has every name that is dialled, and keeps the SPIFFE ID and the usages of the old one"}},
		Timeout:    goal.Within}
	if h.TrialIssuer.Object.Name != "" {
		s.Writes = []plan.Write{{Context: h.Context, Cluster: h.ClusterUID, Object: h.TrialIssuer.Object,
			Before: nest(h.TrialIssuer.Names, "spec"), After: nest(withNames(h.TrialIssuer, lacks), "spec")}}
	} else {
		spec := map[string]any{}
		for k, v := range h.Issuer.Spec {
			spec[k] = v
		}
		delete(spec, "secretTemplate")
		for k, v := range withNames(h.Issuer, lacks) {
			spec[k] = v
		}
		spec["secretName"] = trialSecret
		ref := trialRef(h)
		s.Writes = []plan.Write{{Context: h.Context, Cluster: h.ClusterUID, Object: ref, Create: true, After: map[string]any{
			"apiVersion": "cert-manager.io/v1", "kind": "Certificate", "metadata": map[string]any{"name": ref.Name, "namespace": ref.Namespace}, "spec": spec}}}
	}
	s.Undo, s.KeepOnInterrupt = trialCleanUp(h), true
	return s
}

func trialRef(h plan.Hub) plan.Ref {
	r := h.Issuer.Object
	r.Name, r.UID, r.ResourceVersion = trialSecret, "", ""
	return r
}

// reissueStep adds the names to the real Certificate.
func reissueStep(f plan.State, who string, h plan.Hub, v classified, lacks []string, goal plan.Goal) plan.Step {
	p := plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: h.Issuer.Object, Before: trialSpec(h.Issuer, h.Issuer.Names), After: trialSpec(h.Issuer, withNames(h.Issuer, lacks))}
	return plan.Step{ID: idOf(plan.UpdateCertificate, who), Kind: plan.UpdateCertificate, Member: who, Title: fmt.Sprintf("%s: add %s to Central's certificate", who, strings.Join(lacks, ", ")),
		Why:    "an edge with a JWT verifies the name that it dials; cert-manager re-issues the certificate and keeps the secret meanwhile",
		Writes: append([]plan.Write{p}, trialCleanUp(h)...), Conditions: certificateConditions(f, who, v.dialled), Timeout: goal.Within, NoUndo: true}
}

func undoOf(p plan.Write) []plan.Write {
	undo, _ := p.Undo()
	return []plan.Write{undo}
}

// certificateConditions is what must be seen after Central's certificate changed.
func certificateConditions(f plan.State, who string, names []string) []plan.Condition {
	claims := []plan.Condition{
		{Kind: conditionIssued, Member: who, Names: names, Text: "it has every name that is dialled, every member trusts it, and it keeps the SPIFFE ID and the usages of the old one"},
		{Kind: conditionServed, Member: who, Names: names, Text: "what each pod of Central serves was looked at"},
	}
	if who != "hub" {
		return claims
	}
	return append(claims, connectedConditions(f)...)
}

// writePairStep writes a pair that somebody else made, and keeps the old one as a secret beside it.
func writePairStep(f plan.State, who string, h plan.Hub, v classified, goal plan.Goal) plan.Step {
	b64 := func(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
	ns, name, _ := strings.Cut(h.Server.Where, "/")
	data := func(c plan.Certificate) map[string]any {
		return map[string]any{"data": map[string]any{"tls.crt": b64(c.Chain)}}
	}
	after := data(*goal.Pair)
	if goal.Pair.CA != nil {
		after["data"].(map[string]any)["ca.crt"] = b64(goal.Pair.CA)
	}
	before := data(h.Server)
	if goal.Pair.CA != nil && h.Server.CA != nil {
		before["data"].(map[string]any)["ca.crt"] = b64(h.Server.CA)
	}
	p := plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret", Namespace: ns, Name: name},
		Before: before, After: after, SecretField: plan.PairSecretField, BackupAs: pairBackup}
	return plan.Step{ID: idOf(plan.UpdateCertificate, who), Kind: plan.UpdateCertificate, Member: who, Title: who + ": write the given certificate",
		Why:    "an edge with a JWT verifies the name that it dials; the given certificate has it, and everybody trusts it",
		Writes: []plan.Write{p}, Conditions: certificateConditions(f, who, v.dialled), Timeout: goal.Within, Undo: undoOf(p)}
}

// cannotReplace says why a certificate must not replace a hub's, "" when it may: it must be trusted by every member, have every name that is
// dialled, and keep what mTLS needs while that is accepted.
func cannotReplace(c plan.Certificate, h plan.Hub, f plan.State, v classified) string {
	if !f.At.Before(c.Expires) {
		return fmt.Sprintf("%s expired at %s", c.Where, c.Expires.Format("2006-01-02T15:04:05Z"))
	}
	if lacks := namesMissingFrom(c, v.dialled); len(lacks) > 0 {
		return fmt.Sprintf("%s lacks %s, which edges dial", c.Where, strings.Join(lacks, ", "))
	}
	if why := droppedCA(c, h); why != "" {
		return why
	}
	if h.Accepts.Accepts[MTLS] != guard.No {
		for _, uri := range h.Server.URIs {
			if !slices.Contains(c.URIs, uri) {
				return fmt.Sprintf("%s lacks the URI %s, by which members with certificates know Central", c.Where, uri)
			}
		}
		for _, usage := range h.Server.Usages {
			if !slices.Contains(c.Usages, usage) {
				return fmt.Sprintf("%s lacks the extended key usage %s", c.Where, usage)
			}
		}
	}
	if len(c.Chain) == 0 {
		return "" // it is predicted; one that was read has a chain
	}
	verified := map[string]bool{} // most members have the same CA
	distrusts := func(who string, anchors [][]byte) string {
		for _, ca := range anchors {
			if verified[string(ca)] {
				continue
			}
			if why := chain.Trusts(ca, c.Chain, "", f.At); why != "" {
				return fmt.Sprintf("%s would not trust %s: %s", who, c.Where, why)
			}
			verified[string(ca)] = true
		}
		return ""
	}
	for _, m := range f.Members {
		if why := distrusts(m.Name, m.TrustAnchors); why != "" {
			return why
		}
	}
	return distrusts("MPC", h.TrustAnchors)
}

// servesOldCertificate says whether a pod of Central serves a certificate that lacks a name which the one in the secret has; or, where what it serves
// cannot be seen, is older than that certificate.
func servesOldCertificate(h plan.Hub, dialled []string) bool {
	return slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool {
		if p.Ending || !p.Started {
			return false
		}
		if p.Serves != nil {
			return len(namesMissingFrom(*p.Serves, dialled)) > 0
		}
		return p.Created.Before(h.Server.Began)
	})
}

// restartPatch rolls Central out once, as kubectl rollout restart does, and says what for: the same reason does it once.
func restartPatch(h plan.Hub, why string) plan.Write {
	ref := plan.Ref{Group: "apps", Version: "v1", Resource: "deployments", Kind: "Deployment", Namespace: h.Object.Namespace, Name: "central"}
	return plan.Write{Context: h.Context, Cluster: h.ClusterUID, Object: ref, Restart: true, After: nest(map[string]any{kube.RestartedFor: why}, "spec", "template", "metadata", "annotations")}
}

// restartStep rolls Central out once.
func restartStep(f plan.State, who string, h plan.Hub, v classified, goal plan.Goal) plan.Step {
	s := plan.Step{ID: idOf(plan.Restart, who), Kind: plan.Restart, Member: who, Title: who + ": roll Central out once",
		Why:     "a pod of it goes on serving the certificate that lacks a name which edges dial",
		Writes:  []plan.Write{restartPatch(h, h.Server.Digest)},
		Timeout: goal.Within, NoUndo: true,
		Conditions: []plan.Condition{{Kind: conditionFresh, Member: who, Names: v.dialled, Text: "no pod of Central serves the old certificate"}}}
	if who == "hub" {
		s.Conditions = append(s.Conditions, connectedConditions(f)...)
	}
	return s
}

// evaluateCertificate judges the claims about a hub's certificate.
func evaluateCertificate(c plan.Condition, seen []plan.State) plan.Evaluation {
	now := seen[len(seen)-1]
	h, before := hubs(now)[c.Member], hubs(seen[0])[c.Member]
	v := classified{dialled: c.Names}
	switch c.Kind {
	case conditionTrial:
		switch {
		case h.TrialCertificate.Where == "" || h.TrialCertificate.Err != "" || !h.TrialIssuer.Ready:
			return plan.Evaluation{Evidence: "cert-manager has not issued it yet"}
		case cannotReplace(h.TrialCertificate, before, now, v) != "":
			return plan.Evaluation{Evidence: cannotReplace(h.TrialCertificate, before, now, v), Hopeless: len(namesMissingFrom(h.TrialCertificate, v.dialled)) == 0}
		}
		return plan.Evaluation{Met: true, Evidence: "everybody would trust it, under every name that is dialled"}
	case conditionIssued:
		switch {
		case h.Server.Err != "":
			return plan.Evaluation{Evidence: h.Server.Err}
		case cannotReplace(h.Server, before, now, v) != "":
			return plan.Evaluation{Evidence: cannotReplace(h.Server, before, now, v)}
		case before.Server.CA != nil && h.Server.CA == nil:
			return plan.Evaluation{Evidence: "secret " + h.Server.Where + " has no ca.crt any more"}
		}
		return plan.Evaluation{Met: true, Evidence: fmt.Sprintf("the certificate names %s", strings.Join(h.Server.Names, ", "))}
	case conditionFresh:
		switch {
		case !h.Workload.Settled:
			return plan.Evaluation{Evidence: "the rollout of Deployment central is not over"}
		case servesOldCertificate(h, v.dialled):
			return plan.Evaluation{Evidence: "a pod of Central still serves the old certificate"}
		}
		return plan.Evaluation{Met: true, Evidence: "every pod of Central serves a certificate with every name"}
	}
	return evaluateServed(c.Member, seen, v)
}

// evaluateServed waits until no pod of Central serves the old certificate, or until that has been looked at for quietPolls: then a restart
// of Central follows.
func evaluateServed(who string, seen []plan.State, v classified) plan.Evaluation {
	h := hubs(seen[len(seen)-1])[who]
	if !servesOldCertificate(h, v.dialled) {
		return plan.Evaluation{Met: true, Evidence: "every pod of Central serves it"}
	}
	for i := len(seen) - 1; i >= max(1, len(seen)-quietPolls); i-- {
		if before := hubs(seen[i])[who]; before.Server.Digest != h.Server.Digest {
			return plan.Evaluation{Evidence: "waiting for Central to serve it"}
		}
	}
	if len(seen) <= quietPolls {
		return plan.Evaluation{Evidence: "waiting for Central to serve it"}
	}
	return plan.Evaluation{Met: true, Evidence: "a pod of Central goes on serving the old one; it is rolled out next"}
}
