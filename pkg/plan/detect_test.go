package plan

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestTheProductIsRecognisedByWhatIsInTheClusters(t *testing.T) {
	product := func(name, resource string) Provider {
		r := Read{Resource: resource}
		return Provider{Name: name, Detects: func(s Snapshot) bool { return s.Reads[r].OK() },
			Trim: func(_ Read, b []byte) []byte { return b },
			Reads: func(soFar map[Read]Result, _ bool) []Read {
				if _, done := soFar[r]; done {
					return nil
				}
				return []Read{{Resource: "namespaces"}, r}
			},
			ReadState: func([]Snapshot, Selection, time.Time) State {
				return State{Hub: Hub{HubIdentity: HubIdentity{Found: true, Context: name}}}
			},
			Next: func(State, Goal) Wave { return Wave{Title: name} }}
	}
	d := Detect(product("a", "as"), product("b", "bs"))
	holds := func(context string, resources ...string) Snapshot {
		s := Snapshot{Context: context, Reads: map[Read]Result{}}
		for _, r := range resources {
			s.Reads[Read{Resource: r}] = Result{Body: []byte("{}")}
		}
		return s
	}
	for _, tc := range []struct {
		name    string
		snaps   []Snapshot
		where   Selection
		product string
		err     string
	}{
		{"nothing is found", []Snapshot{holds("x")}, Selection{}, "a", ""},
		{"the first is", []Snapshot{holds("x", "as"), holds("y")}, Selection{}, "a", ""},
		{"the second is", []Snapshot{holds("x"), holds("y", "bs")}, Selection{}, "b", ""},
		{"both are", []Snapshot{holds("x", "as"), holds("y", "bs")}, Selection{}, "a",
			"two products are found: a in x; b in y; pass --product"},
		{"both are, and one was named", []Snapshot{holds("x", "as"), holds("y", "bs")}, Selection{Product: "b"}, "b", ""},
		{"both are, and the hub of one", []Snapshot{holds("x", "as"), holds("y", "bs")}, Selection{Hub: "y"}, "b", ""},
		{"both are in one cluster, which is the hub", []Snapshot{holds("x", "as", "bs")}, Selection{Hub: "x"}, "a",
			"two products"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := d.ReadState(tc.snaps, tc.where, time.Time{})
			if f.Product != tc.product || !strings.HasPrefix(f.Hub.Err, tc.err) || (tc.err == "") != f.Hub.Found {
				t.Errorf("%s, hub %+v; want %s, error %q", f.Product, f.Hub, tc.product, tc.err)
			}
			if w := d.Next(f, Goal{}); w.Title != tc.product {
				t.Errorf("%s decides what is next", w.Title)
			}
		})
	}
}

// A context is asked for the second product once the first has answered, unless that shows a member and no hub. What
// both read is read once.
func TestTheSecondProductIsAskedForUnlessAMemberOfTheFirstIsThere(t *testing.T) {
	both := Read{Resource: "namespaces"}
	as, bs := Read{Resource: "as"}, Read{Resource: "bs"}
	product := func(reads ...Read) Provider {
		return Provider{Detects: func(Snapshot) bool { return false },
			MemberAlone: func(s Snapshot) bool { return string(s.Reads[as].Body) == "member" },
			Reads: func(soFar map[Read]Result, _ bool) []Read {
				if _, begun := soFar[reads[1]]; begun {
					return nil
				}
				return reads
			}}
	}
	d := Detect(product(both, as), product(both, bs))
	for _, tc := range []struct {
		name  string
		soFar map[Read]Result
		want  []Read
	}{
		{"nothing was read", nil, []Read{both, as}},
		{"nothing is there", map[Read]Result{both: {}, as: {Missing: true}}, []Read{bs}},
		{"a hub is there", map[Read]Result{both: {}, as: {Body: []byte("hub")}}, []Read{bs}},
		{"it could not be read", map[Read]Result{both: {}, as: {Err: "forbidden"}}, []Read{bs}},
		{"a member is there", map[Read]Result{both: {}, as: {Body: []byte("member")}}, nil},
	} {
		if got := d.Reads(tc.soFar, false); !slices.Equal(got, tc.want) {
			t.Errorf("%s: it reads %v, want %v", tc.name, got, tc.want)
		}
	}
}
