package kongmesh

import (
	"sync"
	"time"
)

// verifier is a hub as far as it judges tokens; unread says why it cannot be asked.
type verifier struct {
	Verifier
	ahead  time.Duration // how far the clock of its cluster is ahead of ours, as far as that is known
	unread string
	cache  *verdictCache
}

// verdictCache is what a global with certain keys and revocations answered to tokens.
type verdictCache struct {
	mu      sync.Mutex
	answers map[verdictKey]cachedVerdict
}

// verdictKey is all that an answer rests on besides keys, revocations and the time.
type verdictKey struct {
	version     Version
	token, zone string
}

// cachedVerdict is an answer, and from when until when it is the same; zero: from or for ever.
type cachedVerdict struct {
	Answer
	from, until time.Time
}

func (h cachedVerdict) at(now time.Time) bool {
	return !now.Before(h.from) && (h.until.IsZero() || now.Before(h.until))
}

// ask is Ask of a zone, without asking what was answered already.
func (v *verifier) ask(token []byte, zone string, now time.Time) Answer {
	by := v.Verifier
	by.Zone = zone
	q := verdictKey{by.Version, string(token), zone}
	v.cache.mu.Lock()
	have, known := v.cache.answers[q]
	v.cache.mu.Unlock()
	if known && have.at(now) {
		return have.Answer
	}
	a, holds := by.ask(token, now)
	if holds != nil {
		v.cache.mu.Lock()
		v.cache.answers[q] = *holds
		v.cache.mu.Unlock()
	}
	return a
}
