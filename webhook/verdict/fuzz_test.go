package verdict

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// quickly is the one member of an entry as the decision sees it before anybody is named.
func quickly(e api.EdgeCluster) guard.Member {
	return summarizeMembers(Inventory{Roster: []api.EdgeCluster{e}}, noon, false)[0]
}

// Whatever lies in the roster: a statement that a decision believes was seen of the very ControlPlane that is
// registered, not in the future, within the time that a statement is believed, and names nothing but credentials that
// TSB has.
func FuzzStatement(f *testing.F) {
	for _, entry := range []string{
		`{}`, `{"spec":{"role":"MPC"},"status":{"presents":["jwt"],"observedTime":"2026-01-02T11:59:00Z","validUntil":"2026-01-02T12:10:00Z"}}`,
		`{"spec":{"clusterName":"eu-1","role":"Edge","controlPlane":{"namespace":"a","name":"b","uid":"1"}},"status":{"presents":["jwt"],"controlPlaneUID":"1","observedTime":"2026-01-02T11:59:00Z","validUntil":"2026-01-02T12:10:00Z"}}`,
		`{"spec":{"controlPlane":{"uid":"1"}},"status":{"presents":["jwt"],"controlPlaneUID":"2","observedTime":"2026-01-02T11:59:00Z","validUntil":"2026-01-02T12:10:00Z"}}`,
		`{"spec":{"controlPlane":{"uid":"1"}},"status":{"presents":["jwt"],"controlPlaneUID":"1","observedTime":"2026-01-02T13:00:00Z","validUntil":"2026-01-02T14:10:00Z"}}`,
		`{"spec":{"controlPlane":{"uid":"1"}},"status":{"presents":["jwt"],"controlPlaneUID":"1","observedTime":"2026-01-01T00:00:00Z","validUntil":"9999-01-02T14:10:00Z"}}`,
		`{"spec":{"controlPlane":{"uid":"1"}},"status":{"presents":["jwt"],"controlPlaneUID":"1","observedTime":"2026-01-01T00:00:00Z","validUntil":"9999-01-02T14:10:00Z","fence":{"binding":"x","uid":"y","provenTime":"2026-01-01T00:00:00Z"}}}`,
		`{"spec":{},"status":{"presents":[""],"observedTime":"2026-01-02T11:59:00Z","validUntil":"2026-01-02T12:10:00Z"}}`,
		`{"spec":{},"status":{"presents":["kid:1","jwt"],"observedTime":"2026-01-02T11:59:00Z","validUntil":"2026-01-02T12:10:00Z"}}`,
		`{"spec":{},"status":{"presents":["jwt"],"validUntil":"2026-01-02T12:10:00Z"}}`,
		`{"spec":{},"status":{"presents":["jwt"],"observedTime":"0001-01-01T00:00:00Z","validUntil":"2026-01-02T12:10:00Z"}}`,
		`{"spec":{},"status":{"presents":["mtls","mtls"],"observedTime":null,"validUntil":"2026-01-02T12:00:00Z","rotationTime":"x"}}`, `{"spec":[],"status":"x"}`,
	} {
		f.Add(entry)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var e api.EdgeCluster
		if json.Unmarshal([]byte(text), &e) != nil {
			return // an error of the inventory, and so a denial
		}
		found := Members(Inventory{Roster: []api.EdgeCluster{e}}, noon)
		if len(found) != 1 {
			t.Fatalf("%d members of one entry", len(found))
		}
		m, st := found[0], e.Status
		if quick := quickly(e); quick.Until != m.Until || (quick.Presents == nil) != (m.Presents == nil) ||
			!slices.Equal(quick.Presents, m.Presents) {
			t.Errorf("without words it is %+v, with them %+v", quick, m)
		}
		if m.Presents == nil || !noon.Before(m.Until) {
			return // not believed
		}
		longest := 15 * time.Minute
		if st.Fence != nil {
			longest = 7 * 24 * time.Hour
		}
		switch cp := e.Spec.ControlPlane; {
		case len(m.Presents) == 0 || len(m.Presents) != len(st.Presents):
			t.Errorf("believed to present %v", m.Presents)
		case slices.ContainsFunc(m.Presents, func(c guard.Cred) bool { return c != "mtls" && c != "jwt" }):
			t.Errorf("believed to present %v, which TSB does not have", m.Presents)
		case st.ObservedTime == nil || st.ValidUntil == nil || m.Until.After(st.ValidUntil.Time):
			t.Errorf("believed until %s, without times that say so: %+v", m.Until, st)
		case st.ObservedTime.After(noon.Add(time.Minute)):
			t.Errorf("believed although it was seen at %s", st.ObservedTime)
		case m.Until.After(st.ObservedTime.Add(longest)):
			t.Errorf("seen at %s and believed until %s", st.ObservedTime, m.Until)
		case cp != nil && cp.UID != st.ControlPlaneUID:
			t.Errorf("believed of %q although seen of %q", cp.UID, st.ControlPlaneUID)
		}
	})
}
