package patch

import (
	"reflect"
	"testing"
)

func TestMatchesComparesOnlyOurPaths(t *testing.T) {
	live := map[string]any{"spec": map[string]any{"mode": "JWT", "hub": "x", "replicas": float64(2)}}
	type m = map[string]any
	for _, tc := range []struct {
		name string
		want m
		ok   bool
	}{
		{"the same value", m{"spec": m{"mode": "JWT"}}, true},
		{"another value", m{"spec": m{"mode": "MUTUAL_TLS"}}, false},
		{"absent as wanted", m{"spec": m{"other": nil}}, true},
		{"there and wanted absent", m{"spec": m{"mode": nil}}, false},
		{"below something absent", m{"spec": m{"xcp": m{"mode": nil}}}, true},
		{"below something absent, wanted", m{"spec": m{"xcp": m{"mode": "JWT"}}}, false},
		{"nothing wanted", nil, true},
	} {
		if got := Matches(live, tc.want, false); got != tc.ok {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.ok)
		}
	}
}

func TestMatchesComparesListsByName(t *testing.T) {
	type m = map[string]any
	type l = []any
	live := m{"containers": l{m{"name": "sidecar"}, m{"name": "control-plane", "env": l{m{"name": "MODE", "value": "zone"},
		m{"name": "TOKEN", "valueFrom": m{"secretKeyRef": m{"name": "cp-token", "key": "token"}}}}}}}
	env := func(entries ...any) m { return m{"containers": l{m{"name": "control-plane", "env": l(entries)}}} }
	for _, tc := range []struct {
		name string
		want m
		ok   bool
	}{
		{"the same value", env(m{"name": "MODE", "value": "zone"}), true},
		{"another value", env(m{"name": "MODE", "value": "global"}), false},
		{"a reference and no value", env(m{"name": "TOKEN", "value": nil,
			"valueFrom": m{"secretKeyRef": m{"name": "cp-token"}}}), true},
		{"a reference to something else", env(m{"name": "TOKEN", "valueFrom": m{"secretKeyRef": m{"name": "other"}}}), false},
		{"wanted absent, and it is", env(m{"name": "AUTH", "value": nil, "valueFrom": nil}), true},
		{"wanted absent, and it is not", env(m{"name": "MODE", "value": nil}), false},
		{"wanted, and it is absent", env(m{"name": "AUTH", "value": "cpToken"}), false},
		{"wanted in another container", m{"containers": l{m{"name": "sidecar",
			"env": l{m{"name": "MODE", "value": "zone"}}}}}, false},
		{"several", env(m{"name": "MODE", "value": "zone"}, m{"name": "AUTH", "value": nil}), true},
	} {
		if got := Matches(live, tc.want, true); got != tc.ok {
			t.Errorf("%s: %v, want %v", tc.name, got, tc.ok)
		}
	}
	got := Strategic(env(m{"name": "AUTH", "value": nil}, m{"name": "MODE", "value": "zone", "valueFrom": nil}))
	if want := env(m{"name": "AUTH", "$patch": "delete"}, m{"name": "MODE", "value": "zone",
		"valueFrom": nil}); !reflect.DeepEqual(got, want) {
		t.Errorf("the patch %v, want %v", got, want)
	}
}
