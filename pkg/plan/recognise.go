package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Recognise is the dialect of whichever product is found: it reads what each of them reads, and decides by the one that is there. Where
// none is, it is the first; where several are, the selection names one, or the hub's context holds one alone, or there is no hub.
func Recognise(dialects ...Dialect) Dialect {
	of := func(f Facts) Dialect {
		i := slices.IndexFunc(dialects, func(d Dialect) bool { return d.Name == f.Product })
		return dialects[max(i, 0)]
	}
	return Dialect{
		Name: "recognised",
		Here: func(s Snapshot) bool { return slices.ContainsFunc(dialects, func(d Dialect) bool { return d.Here(s) }) },
		Trim: func(r Read, body []byte) []byte {
			for _, d := range dialects {
				body = d.Trim(r, body)
			}
			return body
		},
		Reads: func(soFar map[Read]Result, metrics bool) []Read {
			var next []Read
			seen := map[Read]bool{}
			for _, d := range dialects {
				for _, r := range d.Reads(soFar, metrics) {
					if !seen[r] {
						next, seen[r] = append(next, r), true
					}
				}
			}
			return next
		},
		Needs: func(soFar map[Read]Result, migrate bool) []Need { return needs(dialects, soFar, migrate) },
		Facts: func(snaps []Snapshot, where Selection, at time.Time) Facts {
			d, err := recognised(dialects, snaps, where)
			f := d.Facts(snaps, where, at)
			f.Product = d.Name
			switch none := !slices.ContainsFunc(snaps, func(s Snapshot) bool {
				return s.Err != "" || slices.ContainsFunc(dialects, func(d Dialect) bool { return d.Here(s) })
			}); {
			case err != "":
				f.Hub = Hub{Err: err}
			case none && where.Product == "" && !where.NoHub && !f.Hub.Found:
				f.Hub.Err = nowhere(dialects, snaps, where, at)
			}
			return f
		},
		Aim:      func(f Facts, g Goal) Goal { return of(f).Aim(f, g) },
		Next:     func(f Facts, g Goal) Wave { return of(f).Next(f, g) },
		Prove:    func(f Facts, m Member, g Goal) Step { return of(f).Prove(f, m, g) },
		Enclose:  func(f Facts, m Member, g Goal) Step { return of(f).Enclose(f, m, g) },
		Judge:    func(c Claim, seen []Facts) Judgement { return of(seen[len(seen)-1]).Judge(c, seen) },
		Restores: func(f Facts, p Patch, from guard.Cred) bool { return of(f).Restores(f, p, from) },
		Yields: func(f Facts, p Patch) (guard.Cred, bool) {
			if y := of(f).Yields; y != nil {
				return y(f, p)
			}
			return "", false
		},
		Bars: func(f Facts, m Member, c guard.Cred) string {
			if b := of(f).Bars; b != nil {
				return b(f, m, c)
			}
			return ""
		},
		Stands: func(f Facts, m Member, g Goal) (bool, string) {
			if s := of(f).Stands; s != nil {
				return s(f, m, g)
			}
			return f.Moved(m, g.To), ""
		},
		Lift:  func(f Facts, m Member) []Patch { return of(f).Lift(f, m) },
		After: func(f Facts, s []Step) Facts { return of(f).After(f, s) },
	}
}

// needs are the rights for what is found in a context; where nothing is, or where it could not be told, those for any of the products.
func needs(dialects []Dialect, soFar map[Read]Result, migrate bool) []Need {
	nothing := !slices.ContainsFunc(dialects, func(d Dialect) bool { return d.Here(Snapshot{Reads: soFar}) })
	all := map[Need]bool{}
	for _, d := range dialects {
		if d.Needs == nil || !nothing && !d.Here(Snapshot{Reads: soFar}) {
			continue
		}
		for _, n := range d.Needs(soFar, migrate) {
			all[n] = true
		}
	}
	return SortedNeeds(all)
}

// recognised finds the one dialect of snapshots, and else says why it could not.
func recognised(dialects []Dialect, snaps []Snapshot, where Selection) (Dialect, string) {
	if where.Product != "" {
		for _, d := range dialects {
			if d.Name == where.Product {
				return d, ""
			}
		}
	}
	var here, hubs []Dialect
	var seen []string
	for _, d := range dialects {
		var in []string
		for _, s := range snaps {
			if d.Here(s) {
				in = append(in, s.Context)
			}
		}
		if len(in) == 0 {
			continue
		}
		if here = append(here, d); slices.Contains(in, where.Hub) {
			hubs = append(hubs, d)
		}
		seen = append(seen, fmt.Sprintf("%s in %s", d.Name, Few(in, 10)))
	}
	switch {
	case len(here) == 0:
		return dialects[0], ""
	case len(here) == 1:
		return here[0], ""
	case len(hubs) == 1:
		return hubs[0], ""
	}
	return here[0], fmt.Sprintf("two products are found: %s; pass --product with one of them, or --context with the hub that is meant", strings.Join(seen, "; "))
}

// nowhere says which hubs were looked for, in contexts that hold nothing of any product.
func nowhere(dialects []Dialect, snaps []Snapshot, where Selection, at time.Time) string {
	var hubs, in []string
	for _, d := range dialects {
		hubs = append(hubs, fmt.Sprintf("a %s (%s)", d.Facts(nil, Selection{}, at).Words.Hub, d.Name))
	}
	for _, s := range snaps {
		if where.Hub == "" || s.Context == where.Hub {
			in = append(in, s.Context)
		}
	}
	return fmt.Sprintf("no hub found in %s: neither %s; pass the context of one with --context", Few(in, 10),
		strings.Join(hubs, " nor "))
}
