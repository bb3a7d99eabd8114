package guard

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Cred names a credential that a hub can accept and a member can present: "mtls" and "jwt" for TSB, "none" and
// "kid:2" for Kong Mesh.
type Cred string

// Tri is a fact that may be unknown. Unknown is the zero value and always the unsafe one.
type Tri int8

// The three values of Tri.
const (
	Unknown Tri = iota
	No
	Yes
)

func (t Tri) String() string {
	switch t {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "unknown"
}

// Hub is what a hub accepts. A credential that Accepts lacks is Unknown.
type Hub struct {
	Accepts map[Cred]Tri
	// Basis is the canonical text of everything that Accepts was read from. Two hubs with the same non-empty Basis
	// accept the same, whatever that is; an empty Basis says nothing.
	Basis string
}

// Member is one member as far as the rule needs it.
type Member struct {
	Name     string
	Presents []Cred    // all that it may present now, old and new processes alike; nil means unknown
	Until    time.Time // how long Presents may be believed; the zero time means not at all
	// where Presents comes from or why it is unknown: "unreachable since 14:02", "published by ci@eu 3m ago"
	Why string
}

// Blocker is one reason why a credential must not be withdrawn: this member may present it.
type Blocker struct {
	Member string `json:"member"`
	Cred   Cred   `json:"credential"`
	Why    string `json:"why"`
}

func (b Blocker) String() string {
	return fmt.Sprintf("%s may still present %s (%s)", b.Member, b.Cred, b.Why)
}

// Withdraw says who stands against changing the hub from old to new: one Blocker for each member and each credential
// that the change withdraws and that the member may present. No blockers means that the change breaks nobody.
//
//  1. A change that leaves what is accepted as it was (same Basis) withdraws nothing.
//  2. A credential is withdrawn when old may accept it (is not No) and new does not surely accept it (is not Yes).
//  3. A member stands against that unless it is known, and may still be believed at now, not to present it.
//
// Blockers are sorted by member, then credential.
func Withdraw(old, new Hub, edges []Member, now time.Time) []Blocker {
	withdrawn := Withdrawn(old, new)
	var blockers []Blocker
	for _, e := range edges {
		for _, c := range withdrawn {
			if why, blocks := e.mayPresent(c, now); blocks {
				blockers = append(blockers, Blocker{Member: e.Name, Cred: c, Why: why})
			}
		}
	}
	slices.SortStableFunc(blockers, func(a, b Blocker) int {
		if n := strings.Compare(a.Member, b.Member); n != 0 {
			return n
		}
		return strings.Compare(string(a.Cred), string(b.Cred))
	})
	return blockers
}

// Withdrawn lists, sorted, the credentials that the change from old to new stops accepting for sure or perhaps.
func Withdrawn(old, new Hub) []Cred {
	if old.Basis != "" && old.Basis == new.Basis {
		return nil
	}
	var gone []Cred
	for _, hub := range []Hub{old, new} {
		for c := range hub.Accepts {
			if old.Accepts[c] != No && new.Accepts[c] != Yes && !slices.Contains(gone, c) {
				gone = append(gone, c)
			}
		}
	}
	slices.Sort(gone)
	return gone
}

// mayPresent says whether the member may present the credential at now, and from what that is concluded.
func (e Member) mayPresent(c Cred, now time.Time) (why string, may bool) {
	switch {
	case e.Presents == nil:
		return e.because("what it presents is unknown"), true
	case !now.Before(e.Until):
		return e.because("the last statement about it is too old to be believed"), true
	case slices.Contains(e.Presents, c):
		return e.because("known to"), true
	}
	return "", false
}

func (e Member) because(fallback string) string {
	if e.Why == "" {
		return fallback
	}
	if e.Presents == nil || fallback == "known to" {
		return e.Why
	}
	return fallback + ": " + e.Why
}
