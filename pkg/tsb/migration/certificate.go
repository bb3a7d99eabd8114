package migration

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// spiffeCentral is what an mTLS edge knows Central by (the vendor's certificate pages).
const spiffeCentral = "spiffe://xcp.tetrate.io/central"

// certificateWave decides what Central's certificate needs before the first edge presents a JWT: a JWT edge verifies
// the name that it dials, which an mTLS edge does not. Trust before names:
//
//  1. nothing, when the certificate has every name that an edge dials, and every pod of Central serves one that has;
//  2. rehearse: have the new certificate issued once into a secret of its own, and look whether everybody would trust
//     it;
//  3. certify: add the names to the Certificate, so that cert-manager re-issues it without a gap (the secret is not
//     deleted); or write the pair that somebody else made, the old one kept;
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
			writes = append(writes, removeTrialStep(who, h,
				"it was of another request, or long ago, and says nothing about what would be issued now", goal))
		case len(lacks) > 0 && !trialPassed(h, f, v):
			rehearsals = append(rehearsals, trialIssueStep(who, h, v, lacks, goal))
		case len(lacks) > 0:
			writes = append(writes, reissueStep(f, who, h, v, lacks, goal))
		case h.TrialIssuer.Object.Name != "" || h.Issuer.Object.Name != "" && h.TrialCertificate.Where != "" &&
			h.TrialCertificate.Err == "": // its secret outlives its Certificate
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

// missingNameReason says why an edge that lacks only its name in Central's certificate cannot be moved, "" when the
// name will be added.
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

// missingNames lists the names that a hub's certificate lacks of those wanted; and those that it would lack once it
// is issued again, since its Certificate does not ask for them: what is in the secret may be on its way out.
func missingNames(h plan.Hub, wanted []string) []string {
	lacks := state.NamesMissingFrom(h.Server, wanted)
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

// cannotReplace says why a certificate must not replace a hub's, "" when it may: it must be trusted by every member,
// have every name that is dialled, and keep what mTLS needs while that is accepted.
func cannotReplace(c plan.Certificate, h plan.Hub, f plan.State, v classified) string {
	if !f.At.Before(c.Expires) {
		return fmt.Sprintf("%s expired at %s", c.Where, c.Expires.Format("2006-01-02T15:04:05Z"))
	}
	if lacks := state.NamesMissingFrom(c, v.dialled); len(lacks) > 0 {
		return fmt.Sprintf("%s lacks %s, which edges dial", c.Where, strings.Join(lacks, ", "))
	}
	if why := droppedCA(c, h); why != "" {
		return why
	}
	if h.Accepts.Accepts[state.MTLS] != guard.No {
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
			if why := pki.Trusts(ca, c.Chain, "", f.At); why != "" {
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

// servesOldCertificate says whether a pod of Central serves a certificate that lacks a name which the one in the
// secret has; or, where what it serves cannot be seen, is older than that certificate.
func servesOldCertificate(h plan.Hub, dialled []string) bool {
	return slices.ContainsFunc(h.Workload.Processes, func(p plan.Process) bool {
		if p.Ending || !p.Started {
			return false
		}
		if p.Serves != nil {
			return len(state.NamesMissingFrom(*p.Serves, dialled)) > 0
		}
		return p.Created.Before(h.Server.Began)
	})
}
