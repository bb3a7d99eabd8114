package state

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

func TestWhatTheLowerLayerSays(t *testing.T) {
	type m = map[string]any
	for name, tc := range map[string]struct {
		spec any
		edge guard.Cred
		hub  map[guard.Cred]guard.Tri
	}{
		"the documented words": {m{"centralAuthMode": "JWT", "centralAuthModes": m{"jwt": true, "mutualTls": false}}, JWT,
			map[guard.Cred]guard.Tri{JWT: guard.Yes, MTLS: guard.No}},
		"the other word": {m{"centralAuthMode": "MUTUAL_TLS", "centralAuthModes": m{"mutualTls": true}}, MTLS,
			map[guard.Cred]guard.Tri{MTLS: guard.Yes}},
		"lower case, and strings": {m{"centralAuthMode": "jwt", "centralAuthModes": m{"jwt": "true", "mutualTls": nil}}, "",
			map[guard.Cred]guard.Tri{}},
		"a number, and a list": {m{"centralAuthMode": 2, "centralAuthModes": []any{"jwt"}}, "",
			map[guard.Cred]guard.Tri{}},
		"nothing":                  {m{}, "", map[guard.Cred]guard.Tri{}},
		"a spec that is no object": {"x", "", map[guard.Cred]guard.Tri{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := ReadEdgeXcp(m{"spec": tc.spec}); got != tc.edge {
				t.Errorf("EdgeXcp: %q, want %q", got, tc.edge)
			}
			if d := cmp.Diff(tc.hub, ReadCentralXcp(m{"spec": tc.spec})); d != "" {
				t.Errorf("CentralXcp (-want +got):\n%s", d)
			}
		})
	}
}

func TestCentralsPodsAreToldByTheirReplicaSet(t *testing.T) {
	type m = map[string]any
	pod := func(hash any, owners ...any) m {
		return m{"metadata": m{"labels": m{"pod-template-hash": hash}, "ownerReferences": owners}}
	}
	for name, tc := range map[string]struct {
		pod  m
		want bool
	}{
		"of Deployment central":        {pod("7d4", m{"kind": "ReplicaSet", "name": "central-7d4"}), true},
		"of Deployment central-helper": {pod("7d4", m{"kind": "ReplicaSet", "name": "central-helper-7d4"}), false},
		"of Deployment xcp-operator-central": {pod("7d4", m{"kind": "ReplicaSet", "name": "xcp-operator-central-7d4"}),
			false},
		"of a StatefulSet":                    {pod("7d4", m{"kind": "StatefulSet", "name": "central-7d4"}), false},
		"of nobody":                           {pod("7d4"), false},
		"without a hash":                      {pod(nil, m{"kind": "ReplicaSet", "name": "central-"}), false},
		"without metadata":                    {m{}, false},
		"owned by what is no owner reference": {pod("7d4", "central-7d4"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := CentralPod(tc.pod); got != tc.want {
				t.Errorf("%v", got)
			}
		})
	}
}

func TestTheEdgesThatCentralsMetricsName(t *testing.T) {
	const head = "# HELP x y\nxcp_central_version{version=\"1.6\"} 1\n"
	for name, tc := range map[string]struct {
		page string
		want []string
		err  string
	}{
		"nobody is connected": {head, []string{}, ""},
		"onboarded, and heard of": {head +
			"xcp_central_current_onboarded_edge{edge=\"b\"} 1\nxcp_central_last_config_propagation_event_timestamp_ms{edge=\"a\",status=\"received\",type=\"cluster_state\"} 1.7e12\n", []string{"a", "b"}, ""},
		"no longer onboarded, and never heard": {head + "xcp_central_current_onboarded_edge{edge=\"b\"} 0\n",
			[]string{}, ""},
		"a name in quotes": {head + "xcp_central_current_onboarded_edge{edge=\"a \\\"b\\\" c\"} 1\n",
			[]string{`a "b" c`}, ""},
		"another metric with a label edge": {head + "xcp_central_config_update_push_count{edge=\"c\"} 1\n",
			[]string{}, ""},
		"an empty page": {"", nil, "none of the documented series"},
		"somebody else's page": {"go_goroutines 5\nxcp_edge_version 1\n", nil,
			"none of the documented series"},
		"a value that is no number": {head + "xcp_central_current_onboarded_edge{edge=\"b\"} x\n",
			nil, "no number"},
		"a line without end":                     {head + strings.Repeat("x", 2<<20), nil, "too long"},
		"a page without end":                     {strings.Repeat(head, MaxMetrics/len(head)+2), nil, "longer than 16 MiB"},
		"an HTML page that greets with a status": {"<html>xcp_central_version</html>", nil, "none of the documented series"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := EdgesInMetrics(strings.NewReader(tc.page))
			if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Errorf("edges (-want +got):\n%s", d)
			}
		})
	}
}
