package inspect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// certificateRules are about the hub's certificate, and who would refuse it.
var certificateRules = []check.Rule{
	{Find: names, Rule: finding.Rule{ID: "XA020", Severity: finding.Error,
		Title:  "the hub's certificate lacks a name that an edge dials",
		Remedy: "Add the name to the `Certificate` (`spec.dnsNames`, or `spec.ipAddresses`) and have it re-issued, before any edge moves."}},
	{Find: distrust, Rule: finding.Rule{ID: "XA021", Severity: finding.Error,
		Title:  "a certificate would be refused by who must verify it",
		Remedy: "Put the CA that signed the one into what the other verifies with, beside the CA that is there."}},
	{Find: identity, Rule: finding.Rule{ID: "XA022", Severity: finding.Error,
		Title:  "the hub's certificate lacks its SPIFFE ID",
		Remedy: "Add `spiffe://xcp.tetrate.io/central` to `spec.uris` of the `Certificate` and have it re-issued: mutual TLS knows Central by it."}},
	{Find: keyUsages, Rule: finding.Rule{ID: "XA023", Severity: finding.Error,
		Title:  "the hub's certificate lacks an extended key usage",
		Remedy: "Add the usage to `spec.usages` of the `Certificate` and have it re-issued."}},
	{Find: lacksCA, Rule: finding.Rule{ID: "XA024", Severity: finding.Error,
		Title:  "the secret of the hub's certificate lacks the CA",
		Remedy: "Put the CA under key `ca.crt`: with mutual TLS it verifies the members, and private PKIs hand it to the edges."}},
	{Find: foreignCA, Rule: finding.Rule{ID: "XA025", Severity: finding.Error,
		Title:  "an edge that another hub's CA verifies claims a name that this hub lists",
		Remedy: "Leave its context out if it is another hub's; else give it the CA of this hub's certificate at once, since its next connection is refused."}},
}

// names compares the hub's certificate with what each edge dials, or with what an overlay says.
func names(l *check.Pass) {
	if !l.Hub.Found || l.Hub.Server.Err != "" {
		return
	}
	for _, m := range l.Everyone() {
		if m.Err != "" || m.Role != plan.RoleEdge || m.ServerName == "" || covers(l.Hub.Server.Names, m.ServerName) {
			continue
		}
		field := "spec.dnsNames"
		if _, err := netip.ParseAddr(strings.Trim(m.ServerName, "[]")); err == nil {
			field = "spec.ipAddresses"
		}
		x := l.About(m)
		x.Object = "secret " + l.Hub.Server.Where + " in the hub"
		x.Found = fmt.Sprintf("it names %s, and the edge verifies %s", list(l.Hub.Server.Names), m.ServerName)
		if host, _, _ := strings.Cut(m.Dials, ":"); host != m.ServerName {
			x.Found += " (by an overlay; it dials " + m.Dials + ")"
		}
		x.Remedy = fmt.Sprintf("add %s to %s of the Certificate that makes the secret, and have it re-issued without deleting the secret", m.ServerName, field)
	}
}

// covers says whether a certificate's names cover a host: exactly, or by a wildcard for one label.
func covers(names []string, host string) bool {
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	ip, noIP := netip.ParseAddr(host)
	return slices.ContainsFunc(names, func(name string) bool {
		if noIP == nil {
			other, err := netip.ParseAddr(name)
			return err == nil && other == ip
		}
		name = strings.ToLower(strings.TrimSuffix(name, "."))
		if rest, wild := strings.CutPrefix(name, "*."); wild {
			label, domain, ok := strings.Cut(host, ".")
			return ok && label != "" && domain == rest
		}
		return name == host
	})
}

func distrust(l *check.Pass) {
	for _, p := range l.Subjects() {
		for _, d := range p.In.Distrust {
			x := l.Of(p)
			when := "once it presents a token"
			if d.Now {
				when = "at its next connection"
			}
			x.Object, x.Found, x.Remedy = "secret "+d.Where, fmt.Sprintf("it does not verify %s: %s; that counts %s", d.Whose,
				d.Why, when), d.Remedy
		}
	}
}

func identity(l *check.Pass) {
	s := server(l)
	if s == nil || s.Identity == "" || slices.Contains(s.URIs, s.Identity) {
		return
	}
	x := certificate(l, "")
	x.Found = fmt.Sprintf("its URIs are %s, and mutual TLS may be in use", list(s.URIs))
	x.Remedy = fmt.Sprintf("add %s to spec.uris of the Certificate, and have it re-issued without deleting the secret",
		s.Identity)
}

func keyUsages(l *check.Pass) {
	s := server(l)
	if s == nil || s.Usages == nil {
		return
	}
	var missing []string
	for _, u := range s.Needs {
		if !slices.Contains(s.Usages, u) {
			missing = append(missing, u)
		}
	}
	if len(missing) == 0 {
		return
	}
	x := certificate(l, "")
	x.Found = fmt.Sprintf("it may be used for %s, and not for %s", list(s.Usages), strings.Join(missing, " and "))
	x.Remedy = fmt.Sprintf("add %s to spec.usages of the Certificate, and have it re-issued without deleting the secret",
		strings.Join(missing, " and "))
}

func list(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

func lacksCA(l *check.Pass) {
	s := server(l)
	if s == nil || !s.NeedsCA || s.CA {
		return
	}
	x := certificate(l, " key ca.crt")
	x.Found, x.Remedy = "it is not there, and mutual TLS may be in use",
		"put the CA that signs the members' certificates there"
}

// server is what the hub's certificate carries and must; nil when that is not known.
func server(l *check.Pass) *plan.Server {
	if !l.Hub.Found || l.Hub.Inspection == nil {
		return nil
	}
	return l.Hub.Inspection.Server
}

// certificate begins a finding about the secret of the hub's certificate.
func certificate(l *check.Pass, key string) *finding.Finding {
	return l.Say("hub", l.Hub.Context, "secret "+l.Hub.Server.Where+key)
}

// foreignCA finds edges that were taken for another hub's although this hub lists their name.
func foreignCA(l *check.Pass) {
	for _, o := range l.Others {
		if o.State != "other-management-plane" || o.Claims == "" || !slices.Contains(l.Hub.Inventory, o.Claims) {
			continue
		}
		x := l.Say(o.Claims, o.Context, "cluster "+o.Claims)
		x.Found = o.Why
		x.Remedy = "leave the context out with --contexts if it is another hub's; else put the CA of this hub's certificate into the edge's secret, beside the CA that is there"
	}
}
