package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Detect is the provider of whichever product is found: it reads what each of them reads, and decides by the one that
// is there. A context is asked for the first product first, and for the others when that has answered, unless it shows
// a member of the first and no hub. Where no product is found, it is the first; where several are, the selection names
// one, or the hub's context holds one alone, or there is no hub.
func Detect(providers ...Provider) Provider {
	of := func(f State) Provider {
		i := slices.IndexFunc(providers, func(d Provider) bool { return d.Name == f.Product })
		return providers[max(i, 0)]
	}
	return Provider{
		Name: "recognised",
		Detects: func(s Snapshot) bool {
			return slices.ContainsFunc(providers, func(d Provider) bool { return d.Detects(s) })
		},
		Trim: func(r Read, body []byte) []byte {
			for _, d := range providers {
				body = d.Trim(r, body)
			}
			return body
		},
		Reads: func(soFar map[Read]Result, metrics bool) []Read {
			var next []Read
			for _, d := range providers {
				for _, r := range d.Reads(soFar, metrics) {
					if _, done := soFar[r]; !done && !slices.Contains(next, r) {
						next = append(next, r)
					}
				}
				if len(soFar) == 0 || d.MemberAlone != nil && d.MemberAlone(Snapshot{Reads: soFar}) {
					break
				}
			}
			return next
		},
		Permissions: func(soFar map[Read]Result, migrate bool) []Permission {
			return permissionsOf(providers, soFar, migrate)
		},
		ReadState: func(snaps []Snapshot, where Selection, at time.Time) State {
			d, err := detected(providers, snaps, where)
			f := d.ReadState(snaps, where, at)
			f.Product = d.Name
			switch none := !slices.ContainsFunc(snaps, func(s Snapshot) bool {
				return s.Err != "" || slices.ContainsFunc(providers, func(d Provider) bool { return d.Detects(s) })
			}); {
			case err != "":
				f.Hub = Hub{HubIdentity: HubIdentity{Err: err}}
			case none && where.Product == "" && !where.NoHub && !f.Hub.Found:
				f.Hub.Err = noHubFound(providers, snaps, where, at)
			}
			return f
		},
		Complete:     func(f State, g Goal) Goal { return of(f).Complete(f, g) },
		Next:         func(f State, g Goal) Wave { return of(f).Next(f, g) },
		Verify:       func(f State, m Member, g Goal) Step { return of(f).Verify(f, m, g) },
		InstallFence: func(f State, m Member, g Goal) Step { return of(f).InstallFence(f, m, g) },
		AllowsUndo:   func(f State, p Write, from guard.Cred) bool { return of(f).AllowsUndo(f, p, from) },
		CredentialAfter: func(f State, p Write) (guard.Cred, bool) {
			if y := of(f).CredentialAfter; y != nil {
				return y(f, p)
			}
			return "", false
		},
		CannotPresent: func(f State, m Member, c guard.Cred) string {
			if b := of(f).CannotPresent; b != nil {
				return b(f, m, c)
			}
			return ""
		},
		Converged: func(f State, m Member, g Goal) (bool, string) {
			if s := of(f).Converged; s != nil {
				return s(f, m, g)
			}
			return f.Switched(m, g.To), ""
		},
		RemoveFence: func(f State, m Member) []Write { return of(f).RemoveFence(f, m) },
	}
}

// permissionsOf are the rights for what is found in a context; where nothing is, or where it could not be told, those
// for any of the products.
func permissionsOf(providers []Provider, soFar map[Read]Result, migrate bool) []Permission {
	nothing := !slices.ContainsFunc(providers, func(d Provider) bool { return d.Detects(Snapshot{Reads: soFar}) })
	all := map[Permission]bool{}
	for _, d := range providers {
		if d.Permissions == nil || !nothing && !d.Detects(Snapshot{Reads: soFar}) {
			continue
		}
		for _, n := range d.Permissions(soFar, migrate) {
			all[n] = true
		}
	}
	return SortedPermissions(all)
}

// detected finds the one provider of snapshots, and else says why it could not.
func detected(providers []Provider, snaps []Snapshot, where Selection) (Provider, string) {
	if where.Product != "" {
		for _, d := range providers {
			if d.Name == where.Product {
				return d, ""
			}
		}
	}
	var here, hubs []Provider
	var seen []string
	for _, d := range providers {
		var in []string
		for _, s := range snaps {
			if d.Detects(s) {
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
		return providers[0], ""
	case len(here) == 1:
		return here[0], ""
	case len(hubs) == 1:
		return hubs[0], ""
	}
	return here[0], fmt.Sprintf("two products are found: %s; pass --product with one of them, or --context with the hub that is meant", strings.Join(seen, "; "))
}

// noHubFound says which hubs were looked for, in contexts that hold nothing of any product.
func noHubFound(providers []Provider, snaps []Snapshot, where Selection, at time.Time) string {
	var hubs, in []string
	for _, d := range providers {
		hubs = append(hubs, fmt.Sprintf("a %s (%s)", d.ReadState(nil, Selection{}, at).Words.Hub, d.Name))
	}
	for _, s := range snaps {
		if where.Hub == "" || s.Context == where.Hub {
			in = append(in, s.Context)
		}
	}
	return fmt.Sprintf("no hub found in %s: neither %s; pass the context of one with --context", Few(in, 10),
		strings.Join(hubs, " nor "))
}
