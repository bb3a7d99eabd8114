package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is kept of a plane tells all that is read of it: who looks after it, and what it says.
func TestOnlyLongAnnotationsAreTakenOut(t *testing.T) {
	long := strings.Repeat("x", longestNote)
	for name, tc := range map[string]struct{ body, want string }{
		"a long one beside a short one": {
			`{"items":[{"metadata":{"annotations":{"a":"` + long + `","b":"kept"},"name":"p"},"spec":{"x":1}}]}`,
			`{"items":[{"metadata":{"annotations":{"b":"kept"},"name":"p"},"spec":{"x":1}}]}`},
		"none":       {`{"items":[{"metadata":{"name":"p"}}]}`, `{"items":[{"metadata":{"name":"p"}}]}`},
		"no objects": {`{"items":[]}`, `{"items":[]}`},
		"no list":    {`{"kind":"Status"}`, `{"kind":"Status"}`},
		"annotations of no sort": {`{"items":[{"metadata":{"annotations":7}}]}`,
			`{"items":[{"metadata":{"annotations":7}}]}`},
		"two names that are alike": {`{"items":[{"a":1,"a":2}]}`, `{"items":[{"a":1,"a":2}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(TrimNotes([]byte(tc.body))); !sameJSON(t, got, tc.want) {
				t.Errorf("%s\nbecomes %s\nwant %s", tc.body, got, tc.want)
			}
		})
	}
}

// sameJSON compares texts that no decoder need take.
func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	if a == b {
		return true
	}
	var left, right any
	if Decode([]byte(a), &left) != nil || Decode([]byte(b), &right) != nil {
		return false
	}
	return cmp.Equal(left, right)
}

// A ReplicaSet is left out only where each of its owners is known, by name, to be another's.
func TestAReplicaSetIsAnothersWhenAllItsOwnersAre(t *testing.T) {
	for owners, want := range map[string]bool{
		``:                            false,
		`{"name":"edge","uid":"1"}`:   false,
		`{"name":"istiod","uid":"1"}`: true,
		`{"uid":"1"}`:                 false,
		`{"name":"istiod","uid":"1"},{"uid":"2"}`:    false,
		`{"name":"istiod"},{"name":"edge"}`:          false,
		`{"name":"istiod"},{"name":"otel","uid":""}`: true,
	} {
		var rs ReplicaSet
		if err := Decode([]byte(`{"metadata":{"ownerReferences":[`+owners+`]}}`), &rs); err != nil {
			t.Fatal(err)
		}
		if got := rs.OfAnother("central", "edge"); got != want {
			t.Errorf("owners %s: %t, want %t", owners, got, want)
		}
	}
}
