package manifests_test

import (
	"maps"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// What is surely both modes on is not asked about, whatever was stored, so that an outage of the webhook never blocks
// the way back.
func TestBothModesOnIsNotAskedAbout(t *testing.T) {
	c := shipped(t)
	both := m{"jwt": true, "mutualTls": true}
	xcp := func(fields m) m { return m{"spec": m{"hub": "registry", "components": m{"xcp": fields}}} }
	jwtOnly := xcp(m{"centralAuthModes": m{"jwt": true, "mutualTls": false}})
	with := func(stanza any, more m) m {
		fields := m{"centralAuthModes": stanza}
		maps.Copy(fields, more)
		return xcp(fields)
	}
	owned := func(o m, owners ...any) m {
		o = maps.Clone(o)
		o["metadata"] = m{"namespace": "tsb", "name": "managementplane", "ownerReferences": owners}
		return o
	}
	a, b := m{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "1"}, m{"apiVersion": "v1", "kind": "ConfigMap",
		"name": "b", "uid": "2"}
	many := make([]any, 21)
	for i := range many {
		many[i] = m{"kind": "Service"}
	}
	for _, tc := range []struct {
		name     string
		old, new m
		asked    bool
	}{
		{"the way back", jwtOnly, with(both, nil), false},
		{"the way back from nothing", xcp(m{}), with(both, nil), false},
		{"the way back from an alias", xcp(m{"central_auth_modes": both}), with(both, nil), false},
		{"the way back with a harmless overlay", jwtOnly, with(both, m{"kubeSpec": m{"overlays": []any{m{"kind": "CentralXcp",
			"patches": []any{m{"path": "spec.logLevels", "value": "x"}}}}}}), false},
		{"the way back with an owner that was there", owned(jwtOnly, a), owned(with(both, nil), a), false},
		{"the way back with another owner", owned(jwtOnly, a), owned(with(both, nil), b), true},
		{"the way back with an owner that was not there", jwtOnly, owned(with(both, nil), a), true},
		{"the way back without the owner", owned(jwtOnly, a), with(both, nil), true},
		{"created with an owner", nil, owned(with(both, nil), a), true},
		{"mTLS off", with(both, nil), jwtOnly, true},
		{"the stanza goes", with(both, nil), xcp(m{}), true},
		{"a third key", jwtOnly, with(m{"jwt": true, "mutualTls": true, "mutual_tls": false}, nil), true},
		{"one mode as a text", jwtOnly, with(m{"jwt": true, "mutualTls": "true"}, nil), true},
		{"one mode as a number", jwtOnly, with(m{"jwt": true, "mutualTls": int64(1)}, nil), true},
		{"an alias beside it", jwtOnly, with(both, m{"central_auth_modes": m{}}), true},
		{"an overlay behind it", jwtOnly, with(both, m{"kubeSpec": m{"overlays": []any{m{"kind": "CentralXcp",
			"patches": []any{m{"path": "spec.centralAuthModes", "value": m{}}}}}}}), true},
		{"more overlays than can be judged for sure", jwtOnly, with(both, m{"kubeSpec": m{"overlays": many}}), true},
		{"the same beside another change of xcp", with(both, nil), with(both, m{"logLevels": m{}}), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if asked, err := c.calls(t, tc.old, tc.new); asked != tc.asked || err != nil {
				t.Errorf("asked %v (%v), want %v", asked, err, tc.asked)
			}
		})
	}
	for _, tc := range cases.HubSpellings() {
		if asked, err := c.calls(t, tc.Object, with(both, nil)); asked || err != nil {
			t.Errorf("%s in another spelling goes: asked %v (%v)", tc.Name, asked, err)
		}
	}
}
