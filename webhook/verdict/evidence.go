package verdict

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// Evidence is what an admitted withdrawal rested on for one member.
type Evidence struct {
	Member string
	Source string    // who published it; the webhook itself where it was read live
	Kind   string    // see the words below
	Seen   time.Time // when that was seen in the member's cluster
}

// The words of Evidence.Kind.
const (
	ByPods  = "pods"  // a statement about the member's pods
	ByFence = "fence" // such a statement, behind a fence
	ByLive  = "live"  // read in the member's own cluster for this decision
)

// itself is the source of what the webhook read live.
const itself = "xcpauth-webhook"

// restsOn is what is known of the members of an inventory and from whom, the oldest first.
func restsOn(inv Inventory, now time.Time) []Evidence {
	all := make([]Evidence, 0, len(inv.Roster)) // one allocation for all, and words only where they are told
	for i := range inv.Roster {
		entry := &inv.Roster[i]
		e := Evidence{Member: displayed(entry), Source: itself, Kind: ByLive}
		if entry.Spec.Evidence == api.EvidenceLive {
			e.Seen = inv.Live[entry.Name].At
		} else if st, says := roster.Says(entry, now); says {
			e.Source, e.Kind, e.Seen = cmp.Or(st.Source, "(not said)"), ByPods, st.Observed
			if st.Fence != "" {
				e.Kind = ByFence
			}
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b Evidence) int {
		return cmp.Or(a.Seen.Compare(b.Seen), cmp.Compare(a.Member,
			b.Member))
	})
	return all
}

// Rests tells in one line, of at most limit bytes, what a withdrawal rested on: first how many members by which kind
// and the oldest of each, then as many members as there is room for, the oldest first.
func Rests(all []Evidence, limit int) string {
	if len(all) == 0 {
		return "it rested on nobody"
	}
	var kinds []string
	for _, kind := range []string{ByLive, ByFence, ByPods} {
		var of []Evidence
		for _, e := range all {
			if e.Kind == kind {
				of = append(of, e)
			}
		}
		if len(of) > 0 {
			kinds = append(kinds, fmt.Sprintf("%s by %s (the oldest seen %s)", Count(len(of)), kind, stamp(of[0].Seen)))
		}
	}
	told := "it rested on " + strings.Join(kinds, ", ") + ":"
	for i, e := range all {
		next := fmt.Sprintf(" %s from %s, %s, seen %s;", clean(e.Member, 80), clean(e.Source, 80), e.Kind, stamp(e.Seen))
		rest := fmt.Sprintf(" and %d more", len(all)-i)
		if len(told)+len(next)+len(rest) > limit {
			return told + rest
		}
		told += next
	}
	return strings.TrimSuffix(told, ";")
}
