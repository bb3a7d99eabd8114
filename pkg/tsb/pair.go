package tsb

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// keptPair is the secret in which the pair lies that was replaced last. It has one name, so that a role can name it.
const keptPair = secretCentralCert + "-xcpauth-before"

// ReadPair reads the public part of a certificate that somebody made for Central, from PEM: the leaf, its intermediates, its CA if given.
func ReadPair(certs, ca []byte) (plan.Certificate, error) {
	c := certificateOf(certs, "the given certificate")
	c.CA = ca
	if c.Err != "" {
		return c, errors.New(c.Err)
	}
	if len(ca) == 0 {
		c.CA = nil
	} else if _, err := chain(ca); err != nil {
		return c, fmt.Errorf("the given CA: %w", err)
	}
	return c, nil
}

// misfit says why a given certificate would be written to none of the hubs that need one: then nothing is written at all.
func misfit(f plan.Facts, goal plan.Goal, v sorted) []plan.Blocked {
	if goal.Pair == nil {
		return nil
	}
	var stop []plan.Blocked
	for who, h := range hubs(f) {
		if h.Server.Err != "" || len(wanting(h, v.dialled)) == 0 {
			continue
		}
		if why := unfit(*goal.Pair, h, f, v); why != "" {
			stop = append(stop, plan.Blocked{Member: who, Why: why})
		}
	}
	return stop
}

// dropsCA says which CA a given one would take away from those with which Central verifies the certificates of members, while it
// accepts any: Central reads them from the same secret.
func dropsCA(c plan.Certificate, h plan.Hub) string {
	if c.CA == nil || h.Server.CA == nil || h.Accepts.Accepts[MTLS] == guard.No {
		return ""
	}
	now, err := chain(h.Server.CA)
	if err != nil {
		return ""
	}
	given, err := chain(c.CA)
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
