package roster

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// at is a time relative to noon.
func at(d time.Duration) *metav1.Time { return &metav1.Time{Time: noon.Add(d)} }

// stated is an entry whose statement was seen a minute before noon, after change; a fence makes it one behind a fence
// that was verified then.
func stated(fenced bool, change func(*api.EdgeCluster)) api.EdgeCluster {
	m := plan.Member{Identity: plan.Identity{Name: "far", ClusterName: "far", ClusterUID: "cluster-1", Role: plan.RoleEdge,
		Object: plan.Ref{Kind: "ControlPlane", Namespace: "istio-system", Name: "controlplane", UID: "uid-1"}}}
	e := Entry("", m)
	var fence *api.FenceStatus
	if fenced {
		fence = &api.FenceStatus{Binding: plan.FenceName, UID: "binding-1", ProvenTime: *at(-time.Minute)}
	}
	e.Status = Statement(m, "jwt", true, fence, []string{"seen"}, "ci@far", noon.Add(-time.Minute))
	if change != nil {
		change(&e)
	}
	return e
}

// Whatever a statement says itself, and whichever clock was wrong when it was made: how long it is believed from noon
// on, 0 for not at all.
func TestHowLongAStatementIsBelieved(t *testing.T) {
	years := 10 * 365 * day
	seen := func(d time.Duration) func(*api.EdgeCluster) {
		return func(e *api.EdgeCluster) { e.Status.ObservedTime = at(d) }
	}
	until := func(d time.Duration) func(*api.EdgeCluster) {
		return func(e *api.EdgeCluster) { e.Status.ValidUntil = at(d) }
	}
	proven := func(d time.Duration) func(*api.EdgeCluster) {
		return func(e *api.EdgeCluster) { e.Status.Fence.ProvenTime = *at(d) }
	}
	of := func(all ...func(*api.EdgeCluster)) func(*api.EdgeCluster) {
		return func(e *api.EdgeCluster) {
			for _, change := range all {
				change(e)
			}
		}
	}
	for _, tc := range []struct {
		name   string
		fenced bool
		change func(*api.EdgeCluster)
		want   time.Duration
		void   string // a piece of why it is void
	}{
		{"as it is made", false, nil, 14 * time.Minute, ""},
		{"as it is made behind a fence", true, nil, 7*day - time.Minute, ""},

		{"the one who states is an hour ahead", false, of(seen(time.Hour), until(75*time.Minute)), 0, "a clock is wrong"},
		{"the one who states is an hour ahead, behind a fence", true, of(seen(time.Hour), until(7*day), proven(time.Hour)), 0,
			"a clock is wrong"},
		{"the one who states is an hour behind", false, of(seen(-time.Hour), until(-45*time.Minute)), 0, ""},
		{"the one who states is an hour behind, behind a fence", true, of(seen(-time.Hour), until(7*day-time.Hour),
			proven(-time.Hour)), 7*day - time.Hour, ""},
		{"within a minute ahead", false, of(seen(time.Minute), until(16*time.Minute)), 16 * time.Minute, ""},
		{"a second more", false, of(seen(61*time.Second), until(16*time.Minute)), 0, "a clock is wrong"},

		{"the fence alone is of an hour ahead", true, proven(time.Hour), 0, "its fence was seen later"},
		{"the fence is of a minute after what stands behind it", true, proven(0), 7*day - time.Minute, ""},
		{"a fence that was verified a year before, and was the same since", true, proven(-365 * day),
			7*day - time.Minute, ""},
		{"a fence without a time", true, func(e *api.EdgeCluster) { e.Status.Fence.ProvenTime = metav1.Time{} },
			14 * time.Minute, ""},
		{"a fence without a UID", true, func(e *api.EdgeCluster) { e.Status.Fence.UID = "" }, 14 * time.Minute, ""},
		{"an empty fence", false, func(e *api.EdgeCluster) {
			e.Status.Fence, e.Status.ValidUntil = &api.FenceStatus{},
				at(years)
		}, 14 * time.Minute, ""},

		{"to be believed for years", false, until(years), 14 * time.Minute, ""},
		{"to be believed for years, behind a fence", true, until(years), 7*day - time.Minute, ""},
		{"until the last year there is", true, func(e *api.EdgeCluster) {
			e.Status.ValidUntil = &metav1.Time{Time: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
		}, 7*day - time.Minute, ""},
		{"to be believed for less than it could be", true, until(time.Minute), time.Minute, ""},
		{"until noon", true, until(0), 0, ""},
		{"over before it was seen", false, until(-time.Hour), 0, ""},
		{"15 minutes ago", false, of(seen(-Believed), until(years)), 0, ""},
		{"7 days ago, behind a fence", true, of(seen(-BelievedFenced), until(years), proven(-BelievedFenced)), 0, ""},
		{"a second less than 7 days ago, behind a fence", true, of(seen(-BelievedFenced+time.Second), until(years),
			proven(-BelievedFenced)), time.Second, ""},

		{"seen at the zero time", false, func(e *api.EdgeCluster) { e.Status.ObservedTime = &metav1.Time{} }, 0, ""},
		{"seen at the zero time, behind a fence", true, func(e *api.EdgeCluster) { e.Status.ObservedTime = &metav1.Time{} },
			0, "its fence was seen later"},
		{"until the zero time", false, func(e *api.EdgeCluster) { e.Status.ValidUntil = &metav1.Time{} }, 0, ""},
		{"seen before there were years", false, func(e *api.EdgeCluster) {
			e.Status.ObservedTime = &metav1.Time{Time: time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)}
		}, 0, ""},
		{"seen at a negative Unix time", true, func(e *api.EdgeCluster) {
			e.Status.ObservedTime, e.Status.Fence.ProvenTime = &metav1.Time{Time: time.Unix(-1, 0)}, metav1.Unix(-1, 0)
		}, 0, ""},
		{"seen when nobody can say", false, func(e *api.EdgeCluster) { e.Status.ObservedTime = nil }, 0, "does not say when"},
		{"seen when nobody can say, behind a fence", true, func(e *api.EdgeCluster) { e.Status.ObservedTime = nil }, 0,
			"does not say when"},
		{"in the last year there is", true, func(e *api.EdgeCluster) {
			last := metav1.Time{Time: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)}
			e.Status.ObservedTime, e.Status.ValidUntil, e.Status.Fence.ProvenTime = &last, &last, last
		}, 0, "a clock is wrong"},
		{"in another zone", false, func(e *api.EdgeCluster) {
			far := metav1.NewTime(noon.Add(-time.Minute).In(time.FixedZone("", 14*60*60)))
			e.Status.ObservedTime = &far
		}, 14 * time.Minute, ""},

		{"of a ControlPlane that was re-created", true, func(e *api.EdgeCluster) { e.Status.ControlPlaneUID = "uid-0" },
			0, "re-created"},
		{"of no ControlPlane", true, func(e *api.EdgeCluster) { e.Status.ControlPlaneUID = "" }, 0, "re-created"},
		{"of a ControlPlane that was re-created, with a fence that is ahead", true, func(e *api.EdgeCluster) {
			e.Status.ControlPlaneUID, e.Status.Fence.ProvenTime = "uid-0", *at(years)
		}, 0, "a clock is wrong"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			st := StatementOf(stated(tc.fenced, tc.change), noon)
			if st == nil {
				t.Fatal("it says nothing")
			}
			believed := max(0, st.Until.Sub(noon))
			if st.Invalid != "" || st.Until.Before(noon) {
				believed = 0
			}
			if believed != tc.want || !strings.Contains(st.Invalid, tc.void) || (st.Invalid == "") != (tc.void == "") {
				t.Errorf("believed for %s, void %q; want %s, %q", believed, st.Invalid, tc.want, tc.void)
			}
		})
	}
}

func TestAnEntryThatSaysNothingHasNoStatement(t *testing.T) {
	for name, change := range map[string]func(*api.EdgeCluster){
		"it was never verified":        func(e *api.EdgeCluster) { e.Status = api.EdgeClusterStatus{} },
		"it presents nothing":          func(e *api.EdgeCluster) { e.Status.Presents = []string{} },
		"it has no end":                func(e *api.EdgeCluster) { e.Status.ValidUntil = nil },
		"a fence is all that it knows": func(e *api.EdgeCluster) { e.Status = api.EdgeClusterStatus{Fence: e.Status.Fence} },
	} {
		if st := StatementOf(stated(true, change), noon); st != nil {
			t.Errorf("%s: %+v", name, st)
		}
	}
}

// When a statement was written is the word of the API server that keeps it: what was seen more than a minute after
// that was seen by a clock that is ahead. Where its managedFields do not say, nothing is concluded.
func TestAStatementThatWasSeenAfterItWasWrittenIsVoid(t *testing.T) {
	wrote := func(d time.Duration, subresource, fields string) []metav1.ManagedFieldsEntry {
		return []metav1.ManagedFieldsEntry{{Manager: "x", Subresource: "status", Time: at(-day),
			FieldsV1: metav1.NewFieldsV1(`{"f:status":{"f:conditions":{}}}`)},
			{Manager: "y", Subresource: subresource, Time: at(d), FieldsV1: metav1.NewFieldsV1(fields)}}
	}
	const statement = `{"f:status":{"f:observedTime":{},"f:presents":{}}}`
	for name, tc := range map[string]struct {
		fields []metav1.ManagedFieldsEntry
		void   bool
	}{
		"written when it was seen":      {wrote(-time.Minute, "status", statement), false},
		"a minute before":               {wrote(-2*time.Minute, "status", statement), false},
		"a second more":                 {wrote(-2*time.Minute-time.Second, "status", statement), true},
		"an hour before":                {wrote(-61*time.Minute, "status", statement), true},
		"an hour later, as is provided": {wrote(time.Hour, "status", statement), false},
		"of something else":             {wrote(-61*time.Minute, "status", `{"f:status":{"f:conditions":{}}}`), false},
		"of the spec":                   {wrote(-61*time.Minute, "", statement), false},
		"of no time": {[]metav1.ManagedFieldsEntry{{Subresource: "status",
			FieldsV1: metav1.NewFieldsV1(statement)}}, false},
		"of no fields": {[]metav1.ManagedFieldsEntry{{Subresource: "status", Time: at(-time.Hour)}}, false},
		"nobody says":  {nil, false},
	} {
		e := stated(false, func(e *api.EdgeCluster) { e.ManagedFields = tc.fields })
		if st := StatementOf(e, noon); (st.Invalid != "") != tc.void {
			t.Errorf("%s: void %q", name, st.Invalid)
		}
		if e.ManagedFields = Writer(e.ManagedFields); (StatementOf(e, noon).Invalid != "") != tc.void ||
			len(e.ManagedFields) > 1 {
			t.Errorf("%s, trimmed: %v", name, e.ManagedFields)
		}
	}
}

// A statement read back says what was stated, fence or none.
func TestAStatementIsReadAsItWasMade(t *testing.T) {
	for _, fenced := range []bool{false, true} {
		st := StatementOf(stated(fenced, nil), noon)
		want := plan.Statement{Presents: []guard.Cred{"jwt"}, Observed: noon.Add(-time.Minute),
			Until: noon.Add(14 * time.Minute), Source: "ci@far", Rotated: true}
		if fenced {
			want.Fence, want.FenceSeen, want.Until = "binding-1", noon.Add(-time.Minute), noon.Add(7*day-time.Minute)
		}
		if st.Fence != want.Fence || !st.FenceSeen.Equal(want.FenceSeen) || !st.Until.Equal(want.Until) ||
			!st.Observed.Equal(want.Observed) ||
			len(st.Presents) != 1 || st.Presents[0] != "jwt" || st.Source != want.Source || !st.Rotated || st.Invalid != "" {
			t.Errorf("fenced %v: %+v, want %+v", fenced, st, want)
		}
	}
}
