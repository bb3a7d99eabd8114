package migration

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/pki"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// ReadPair reads the public part of a certificate that somebody made for Central, from PEM: the leaf, its
// intermediates, its CA if given.
func ReadPair(certs, ca []byte) (plan.Certificate, error) {
	c := state.CertificateOf(certs, "the given certificate")
	c.CA = ca
	if c.Err != "" {
		return c, errors.New(c.Err)
	}
	if len(ca) == 0 {
		c.CA = nil
	} else if _, err := pki.Bundle(ca); err != nil {
		return c, fmt.Errorf("the given CA: %w", err)
	}
	return c, nil
}

// pairProblem says why a given certificate would be written to none of the hubs that need one: then nothing is
// written at all.
func pairProblem(f plan.State, goal plan.Goal, v classified) []plan.Obstacle {
	if goal.Pair == nil {
		return nil
	}
	var stop []plan.Obstacle
	for _, who := range hubNames {
		h, there := hubs(f)[who]
		if !there || h.Server.Err != "" || len(missingNames(h, v.dialled)) == 0 {
			continue
		}
		why := cannotReplace(*goal.Pair, h, f, v)
		switch unread := unread(f); {
		case h.Issuer.Kind == state.CertManager && h.Issuer.Why != "":
			why = fmt.Sprintf("%s makes secret %s and would put its own certificate back; %s", h.Issuer.Object,
				h.Server.Where, h.Issuer.Why)
		case h.Issuer.Kind == state.CertManager:
			why = fmt.Sprintf("%s makes secret %s and would put its own certificate back; leave --central-cert out, and migrate adds the names there", h.Issuer.Object, h.Server.Where)
		case h.Server.Keeper != "":
			why = fmt.Sprintf("secret %s is kept by %s, which would put its own certificate back, without the names that moved edges verify; "+
				"change it there", h.Server.Where, h.Server.Keeper)
		case why == "" && unread != "" && pki.Trusts(h.Server.CA, goal.Pair.Chain, "", f.At) != "":
			why = fmt.Sprintf("%s could not be looked at, and may not trust %s, which does not chain to the CA that is next to the present one; reach it first", unread, goal.Pair.Where)
		}
		if why != "" {
			stop = append(stop, plan.Obstacle{Member: who, Why: why})
		}
	}
	return stop
}

// unread names somebody who may dial Central and whose trust is not known, "" when there is nobody.
func unread(f plan.State) string {
	for _, m := range f.Members {
		if m.Err != "" {
			return m.Name
		}
	}
	for _, o := range f.Others {
		if o.State == "unreachable" {
			return "context " + o.Context
		}
	}
	if f.Hub.InventoryErr != "" {
		return "the hub's inventory"
	}
	return ""
}

// droppedCA says which CA a given one would take away from those with which Central verifies the certificates of
// members, while it accepts any: Central reads them from the same secret.
func droppedCA(c plan.Certificate, h plan.Hub) string {
	if c.CA == nil || h.Server.CA == nil || h.Accepts.Accepts[state.MTLS] == guard.No {
		return ""
	}
	now, err := pki.Bundle(h.Server.CA)
	if err != nil {
		return ""
	}
	given, err := pki.Bundle(c.CA)
	if err != nil {
		return "the given CA: " + err.Error()
	}
	for _, ca := range now {
		if !slices.ContainsFunc(given, func(g *x509.Certificate) bool { return bytes.Equal(g.Raw, ca.Raw) }) {
			return fmt.Sprintf("the given CA lacks %q, with which Central verifies the certificates of members; add it, or leave --central-ca out to keep the CA that is there", ca.Subject)
		}
	}
	return ""
}
