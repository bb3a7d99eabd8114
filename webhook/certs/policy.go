package certs

import (
	"fmt"
	"time"
)

// Policy says how long things live. What is already made keeps the life that it was made with, so that replicas with different
// policies do not undo each other's work.
type Policy struct {
	DNSName string // by which API servers call

	CALifetime   time.Duration // renewed at two thirds
	LeafLifetime time.Duration // renewed at two thirds
	// Wait is how long a CA is published before anything is signed with it: the time in which every API server has taken a changed
	// bundle over, and by which the clocks of replicas may differ.
	Wait time.Duration
}

// Defaults of the policy.
const (
	CALifetime   = 365 * 24 * time.Hour
	LeafLifetime = 30 * 24 * time.Hour
	Wait         = time.Minute
)

// backdate is how long before now a certificate of this life begins to be valid: an API server's clock may be behind ours.
func backdate(life time.Duration) time.Duration { return min(5*time.Minute, life/10) }

// Validate refuses lives that leave no room for an overlap.
func (p Policy) Validate() error {
	switch {
	case p.DNSName == "":
		return fmt.Errorf("no DNS name for the certificate")
	case p.Wait <= 0:
		return fmt.Errorf("a new CA must be published for some time before it signs: the wait is %s", p.Wait)
	case p.LeafLifetime < 3*p.Wait:
		return fmt.Errorf("the leaf lives for %s: must be at least three times the wait of %s before a new CA signs", p.LeafLifetime, p.Wait)
	case p.CALifetime < 3*p.LeafLifetime:
		return fmt.Errorf("the CA lives for %s: must be at least three times the leaf's life of %s, so that the last leaf of a CA ends before it", p.CALifetime, p.LeafLifetime)
	}
	return nil
}
