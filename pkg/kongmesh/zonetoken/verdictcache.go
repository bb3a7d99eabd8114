package zonetoken

import (
	"crypto/sha256"
	"sync"
	"time"
)

// GlobalVerifier is a hub as far as it judges tokens; unread says why it cannot be asked.
type GlobalVerifier struct {
	Verifier
	Ahead  time.Duration // how far the clock of its cluster is ahead of ours, as far as that is known
	Unread string
	Cache  *VerdictCache
}

// VerdictCache is what a global with certain keys and revocations answered to tokens.
type VerdictCache struct {
	mu      sync.Mutex
	Answers map[VerdictKey]*CachedVerdict
}

// VerdictKey is all that an answer rests on besides keys, revocations and the time.
type VerdictKey struct {
	version Version
	token   [sha256.Size]byte // its hash
	zone    string
}

// AskFor is Ask of a zone, without asking what was answered already.
func (v *GlobalVerifier) AskFor(token []byte, zone string, now time.Time) Answer {
	by := v.Verifier
	by.Zone = zone
	q := VerdictKey{by.Version, sha256.Sum256(token), zone}
	v.Cache.mu.Lock()
	have, known := v.Cache.Answers[q]
	v.Cache.mu.Unlock()
	if known && have.at(now) {
		return have.Answer
	}
	a, holds := by.ask(token, now)
	if holds != nil {
		v.Cache.mu.Lock()
		v.Cache.Answers[q] = holds
		v.Cache.mu.Unlock()
	}
	return a
}
