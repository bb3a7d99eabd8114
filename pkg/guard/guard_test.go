package guard

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func hub(mtls, jwt Tri) Hub { return Hub{Accepts: map[Cred]Tri{"mtls": mtls, "jwt": jwt}} }

func TestWithdraw(t *testing.T) {
	soon := noon.Add(time.Minute)
	onMTLS := Member{Name: "edge-1", Presents: []Cred{"mtls"}, Until: soon, Why: "read from its pods"}
	onJWT := Member{Name: "edge-2", Presents: []Cred{"jwt"}, Until: soon, Why: "read from its pods"}
	onBoth := Member{Name: "edge-3", Presents: []Cred{"jwt", "mtls"}, Until: soon, Why: "old pod beside the new one"}
	unknown := Member{Name: "edge-4", Until: soon, Why: "unreachable since 11:58"}
	stale := Member{Name: "edge-5", Presents: []Cred{"jwt"}, Until: noon, Why: "published by ci@eu 15m ago"}
	asleep := Member{Name: "edge-6", Presents: []Cred{}, Until: soon, Why: "no pods"}

	for _, tc := range []struct {
		name     string
		old, new Hub
		edges    []Member
		want     []Blocker
	}{
		{"mtls off with an edge on mtls", hub(Yes, Yes), hub(No, Yes), []Member{onJWT, onMTLS},
			[]Blocker{{"edge-1", "mtls", "read from its pods"}}},
		{"mtls off with every edge on jwt", hub(Yes, Yes), hub(No, Yes), []Member{onJWT}, nil},
		{"mtls off while an old pod still presents it", hub(Yes, Yes), hub(No, Yes), []Member{onBoth},
			[]Blocker{{"edge-3", "mtls", "old pod beside the new one"}}},
		{"mtls off with an unknown edge", hub(Yes, Yes), hub(No, Yes), []Member{unknown},
			[]Blocker{{"edge-4", "mtls", "unreachable since 11:58"}}},
		{"a statement at the end of its time is not believed", hub(Yes, Yes), hub(No, Yes), []Member{stale},
			[]Blocker{{"edge-5", "mtls", "the last statement about it is too old to be believed: published by ci@eu 15m ago"}}},
		{"a member known to present nothing blocks nothing", hub(Yes, Yes), hub(No, No), []Member{asleep}, nil},
		{"mtls to unknown is a withdrawal", hub(Yes, Yes), hub(Unknown, Yes), []Member{onMTLS},
			[]Blocker{{"edge-1", "mtls", "read from its pods"}}},
		{"unknown to off is a withdrawal", hub(Unknown, Yes), hub(No, Yes), []Member{onMTLS},
			[]Blocker{{"edge-1", "mtls", "read from its pods"}}},
		{"unknown to unknown is a withdrawal unless the basis is the same", hub(Unknown, Unknown), hub(Unknown, Unknown),
			[]Member{onMTLS}, []Blocker{{"edge-1", "mtls", "read from its pods"}}},
		{"the same basis withdraws nothing", Hub{Accepts: hub(Unknown, Unknown).Accepts, Basis: "null"},
			Hub{Accepts: hub(Unknown, Unknown).Accepts, Basis: "null"}, []Member{onMTLS, unknown}, nil},
		{"another basis is no reason to pass", Hub{Accepts: hub(Unknown, Yes).Accepts, Basis: "null"},
			Hub{Accepts: hub(Unknown, Yes).Accepts, Basis: "{}"}, []Member{onMTLS},
			[]Blocker{{"edge-1", "mtls", "read from its pods"}}},
		{"off stays off", hub(No, Yes), hub(No, Yes), []Member{onMTLS, unknown}, nil},
		{"turning a mode on withdraws nothing", hub(Yes, No), hub(Yes, Yes), []Member{onMTLS, unknown}, nil},
		{"jwt off with an edge on jwt", hub(Yes, Yes), hub(Yes, No), []Member{onMTLS, onJWT},
			[]Blocker{{"edge-2", "jwt", "read from its pods"}}},
		{"a removed stanza withdraws both", hub(Yes, Yes), hub(Unknown, Unknown), []Member{unknown, onJWT}, []Blocker{
			{"edge-2", "jwt", "read from its pods"}, {"edge-4", "jwt", "unreachable since 11:58"},
			{"edge-4", "mtls", "unreachable since 11:58"}}},
		{"a credential that only the old hub names", Hub{Accepts: map[Cred]Tri{"kid:1": Yes}},
			Hub{Accepts: map[Cred]Tri{"kid:2": Yes}}, []Member{{Name: "zone", Presents: []Cred{"kid:1"}, Until: soon}},
			[]Blocker{{"zone", "kid:1", "known to"}}},
		{"nobody there, nobody blocked", hub(Yes, Yes), hub(No, No), nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if d := cmp.Diff(tc.want, Withdraw(tc.old, tc.new, tc.edges, noon)); d != "" {
				t.Errorf("blockers (-want +got):\n%s", d)
			}
		})
	}
}

func TestWithdrawnIsSortedAndNamesEachCredentialOnce(t *testing.T) {
	all := Hub{Accepts: map[Cred]Tri{"mtls": Yes, "jwt": Yes, "kid:2": Unknown, "kid:1": Yes, "none": No}}
	for range 20 { // maps have no order
		if d := cmp.Diff([]Cred{"jwt", "kid:1", "kid:2", "mtls", "other"}, Withdrawn(all,
			Hub{Accepts: map[Cred]Tri{"mtls": No, "jwt": Unknown, "other": No}})); d != "" {
			t.Fatalf("withdrawn (-want +got):\n%s", d)
		}
	}
	if got := Withdrawn(Hub{}, Hub{Accepts: map[Cred]Tri{"new": No, "known": Yes}}); len(got) != 1 || got[0] != "new" {
		t.Errorf("a credential of which the old hub said nothing: %v", got)
	}
}

func TestTriSaysItsWord(t *testing.T) {
	for tri, want := range map[Tri]string{Unknown: "unknown", No: "no", Yes: "yes", 7: "unknown"} {
		if got := tri.String(); got != want {
			t.Errorf("%d is %q, want %q", tri, got, want)
		}
	}
}

// An edit that Withdraw lets pass never stops accepting what a member may present: the promise, for every hub and
// fleet.
func TestWithdrawNeverPassesABreakingEdit(t *testing.T) {
	tri := rapid.SampledFrom([]Tri{Unknown, No, Yes})
	creds := []Cred{"mtls", "jwt", "kid:1"}
	hubs := rapid.Custom(func(t *rapid.T) Hub {
		h := Hub{Accepts: map[Cred]Tri{}}
		for _, c := range creds {
			if rapid.Bool().Draw(t, "named") {
				h.Accepts[c] = tri.Draw(t, string(c))
			}
		}
		return h
	})
	edges := rapid.SliceOf(rapid.Custom(func(t *rapid.T) Member {
		e := Member{Name: rapid.StringMatching(`e[0-9]`).Draw(t, "name"), Until: noon.Add(time.Duration(rapid.IntRange(-2,
			2).Draw(t, "until")) * time.Minute)}
		if rapid.Bool().Draw(t, "known") {
			e.Presents = append([]Cred{}, rapid.SliceOfDistinct(rapid.SampledFrom(creds), rapid.ID).Draw(t, "presents")...)
		}
		return e
	}))
	rapid.Check(t, func(t *rapid.T) {
		old, new, fleet := hubs.Draw(t, "old"), hubs.Draw(t, "new"), edges.Draw(t, "edges")
		if len(Withdraw(old, new, fleet, noon)) > 0 {
			return
		}
		for _, e := range fleet {
			for _, c := range creds {
				_, named := old.Accepts[c]
				_, renamed := new.Accepts[c]
				if !named && !renamed {
					continue // neither hub speaks of it
				}
				mayPresent := e.Presents == nil || slices.Contains(e.Presents, c) || !e.Until.After(noon)
				if mayPresent && old.Accepts[c] != No && new.Accepts[c] != Yes {
					t.Fatalf("%v may present %s, which %v accepts and %v does not", e, c, old, new)
				}
			}
		}
	})
}
