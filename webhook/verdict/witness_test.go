package verdict

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

func edgeXcp(ns string, mode any) m {
	return m{"metadata": m{"namespace": ns, "name": "edge-xcp"}, "spec": m{"centralAuthMode": mode}}
}

func TestWitnessesBesideTheRoster(t *testing.T) {
	onJWT := entry("eu-1", "uid-1", "jwt")
	mpc := entry("mpc", "", "jwt")
	mpc.Spec = api.EdgeClusterSpec{Role: api.RoleMPC}
	elsewhere := controlPlane("uid-9", m{"centralAuthMode": "JWT"})
	elsewhere["spec"].(m)["managementPlane"] = m{"clusterName": "hub"}
	here := []map[string]any{controlPlane("uid-1", m{"centralAuthMode": "JWT"})}
	for _, tc := range []struct {
		name string
		inv  Inventory
		deny []string // pieces of the denial, none = mTLS may go
	}{
		{"the EdgeXcp agrees", Inventory{Roster: []api.EdgeCluster{onJWT}, ControlPlanes: here,
			EdgeXcps: []map[string]any{edgeXcp("istio-system", "JWT")}}, nil},
		{"the EdgeXcp lags behind", Inventory{Roster: []api.EdgeCluster{onJWT}, ControlPlanes: here,
			EdgeXcps: []map[string]any{edgeXcp("istio-system", "MUTUAL_TLS")}},
			[]string{"eu-1: mtls", "EdgeXcp istio-system/edge-xcp says MUTUAL_TLS"}},
		{"the EdgeXcp says nothing", Inventory{Roster: []api.EdgeCluster{onJWT}, ControlPlanes: here,
			EdgeXcps: []map[string]any{edgeXcp("istio-system", nil)}}, []string{"eu-1: mtls", "says no documented mode"}},
		{"one of two says otherwise", Inventory{Roster: []api.EdgeCluster{onJWT}, ControlPlanes: here,
			EdgeXcps: []map[string]any{edgeXcp("istio-system", "JWT"), edgeXcp("istio-system", "MUTUAL_TLS")}},
			[]string{"says MUTUAL_TLS"}},
		{"the EdgeXcp is in another namespace", Inventory{Roster: []api.EdgeCluster{onJWT}, ControlPlanes: here,
			EdgeXcps: []map[string]any{edgeXcp("other", "MUTUAL_TLS")}}, nil},
		{"a JWT in EdgeXcp does not make up for the statement", Inventory{Roster: []api.EdgeCluster{entry("eu-1", "uid-1",
			"mtls")}, ControlPlanes: here, EdgeXcps: []map[string]any{edgeXcp("istio-system", "JWT")}},
			[]string{"eu-1: mtls (stated by"}},

		{"another cluster's ControlPlane at the same place is none re-created",
			Inventory{Roster: []api.EdgeCluster{onJWT, entry("hub", "uid-9", "jwt")},
				ControlPlanes: []map[string]any{elsewhere}}, nil},

		{"Central's metrics name who is listed", Inventory{Roster: []api.EdgeCluster{onJWT}, Central: []string{"eu-1"}}, nil},
		{"Central's metrics name MPC", Inventory{Roster: []api.EdgeCluster{onJWT, mpc}, Central: []string{"eu-1", "mpc"}},
			nil},
		{"MPC runs, and is listed", Inventory{Roster: []api.EdgeCluster{onJWT, mpc}, MPC: "tsb/mpc-1"}, nil},
		{"MPC runs, and nobody listed it", Inventory{Roster: []api.EdgeCluster{onJWT}, MPC: "tsb/mpc-1"},
			[]string{"mpc: mtls", "(pod tsb/mpc-1), and the roster lacks it"}},
		{"MPC runs, and nobody else is known", Inventory{MPC: "tsb/mpc-1"}, nil},
		{"Central's metrics name one more", Inventory{Roster: []api.EdgeCluster{onJWT}, Central: []string{"eu-1", "us-1"}},
			[]string{"us-1: mtls (Central's metrics name this edge and the roster lacks it"}},
		{"the inventory and the metrics name the same one", Inventory{Roster: []api.EdgeCluster{onJWT},
			Clusters: []string{"us-1"}, Central: []string{"us-1"}}, []string{"1 member may", "us-1: mtls (the hub knows"}},
		{"nobody but Central's metrics knows anybody", Inventory{Central: []string{"us-1"}}, []string{"us-1: mtls"}},
		{"Central's metrics cannot be read", Inventory{Roster: []api.EdgeCluster{onJWT},
			CentralErr: "the metrics of pod tsb/central-1 could not be read: connection refused"},
			[]string{"any edge that Central's metrics would name: mtls", "connection refused",
				"let the webhook reach the metrics of Central's pods"}},
		{"Central runs, unread, and nobody is known", Inventory{CentralErr: "no route"},
			[]string{"any edge that Central's metrics would name"}},
		{"a long error still leaves room for the remedy", Inventory{CentralErr: strings.Repeat("x", 500)},
			[]string{"then try again)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := decide(t, update(both, jwtOnly), tc.inv)
			if v.Allowed != (len(tc.deny) == 0) {
				t.Errorf("allowed %v: %s", v.Allowed, v.Message)
			}
			for _, piece := range tc.deny {
				if !strings.Contains(v.Message, piece) {
					t.Errorf("the denial lacks %q:\n%s", piece, v.Message)
				}
			}
			if strings.Contains(v.Message, "--central-metrics") {
				t.Errorf("the denial recommends a flag that makes the hub blind:\n%s", v.Message)
			}
		})
	}
}

// A fence lengthens the life of a statement. Where the hub can see that it is not there any more, or is another, it
// does not.
func TestAStatedFenceMustBeTheOneThatIsThere(t *testing.T) {
	here := []map[string]any{controlPlane("uid-1", m{"centralAuthMode": "JWT"})}
	stated := func(ago time.Duration) api.EdgeCluster {
		e := entry("eu-1", "uid-1", "jwt")
		seen, until := metav1.NewTime(noon.Add(-ago)), metav1.NewTime(noon.Add(24*time.Hour))
		e.Status.ObservedTime, e.Status.ValidUntil, e.Status.Fence = &seen, &until,
			&api.FenceStatus{Binding: "xcpauth-fence", UID: "b/p", ProvenTime: seen}
		return e
	}
	for name, tc := range map[string]struct {
		inv     Inventory
		allowed bool
		says    string
	}{
		"it is there": {Inventory{Roster: []api.EdgeCluster{stated(time.Hour)},
			ControlPlanes: here, Fence: "b/p"}, true, ""},
		"it is gone": {Inventory{Roster: []api.EdgeCluster{stated(time.Hour)},
			ControlPlanes: here}, false, "its fence is not there any more"},
		"it is another": {Inventory{Roster: []api.EdgeCluster{stated(time.Hour)},
			ControlPlanes: here, Fence: "b2/p"}, false, "its fence is another"},
		"it cannot be read": {Inventory{Roster: []api.EdgeCluster{stated(time.Hour)},
			ControlPlanes: here, Fence: "b/p", FenceErr: "forbidden"}, false, "could not be read: forbidden"},
		"it is gone, and the statement is new": {Inventory{Roster: []api.EdgeCluster{stated(time.Minute)},
			ControlPlanes: here}, true, ""},
		"the edge is in another cluster": {Inventory{Roster: []api.EdgeCluster{stated(time.Hour)}}, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if v := decide(t, update(both, jwtOnly), tc.inv); v.Allowed != tc.allowed || !strings.Contains(v.Message, tc.says) {
				t.Errorf("allowed %v: %s", v.Allowed, v.Message)
			}
		})
	}
}

// An entry of MPC, which anybody who registers members can make, answers for no edge: not by its cluster's name, not by
// its own, not by the ControlPlane that it names. Neither does one of a role that is not known.
func TestOnlyAnEntryOfAnEdgeAnswersForItsCluster(t *testing.T) {
	here := []map[string]any{controlPlane("uid-1", m{"centralAuthMode": "JWT"})}
	for _, role := range []api.Role{api.RoleMPC, "", "Other"} {
		claims := entry("eu-1", "uid-1", "jwt")
		claims.Spec.Role = role
		for name, inv := range map[string]Inventory{
			"a cluster that the hub knows":            {Clusters: []string{"eu-1"}},
			"an edge that Central's metrics name":     {Central: []string{"eu-1"}},
			"a ControlPlane of the hub's own cluster": {ControlPlanes: here},
		} {
			inv.Roster = []api.EdgeCluster{claims}
			if v := decide(t, update(both, jwtOnly), inv); v.Allowed {
				t.Errorf("role %q covers %s", role, name)
			}
			inv.Roster = []api.EdgeCluster{entry("eu-1", "uid-1", "jwt")}
			if v := decide(t, update(both, jwtOnly), inv); !v.Allowed {
				t.Errorf("%s, by an edge's entry: %s", name, v.Message)
			}
		}
	}
}

func TestAReCreatedControlPlaneIsOneMember(t *testing.T) {
	inv := Inventory{Roster: []api.EdgeCluster{entry("eu-1", "uid-1", "jwt")},
		ControlPlanes: []map[string]any{controlPlane("uid-9", m{"centralAuthMode": "JWT"})}, Clusters: []string{"eu-1"},
		Central: []string{"eu-1"}}
	if got := Members(inv, noon); len(got) != 1 || got[0].Presents != nil {
		t.Errorf("%+v", got)
	}
}

func TestADisagreementOfTheLowerLayerIsAWarning(t *testing.T) {
	central := func(modes any) []map[string]any {
		return []map[string]any{{"metadata": m{"namespace": "tsb", "name": "central-xcp"},
			"spec": m{"centralAuthModes": modes}}}
	}
	for name, tc := range map[string]struct {
		below any
		warns string
	}{
		"it agrees":                 {m{"jwt": true, "mutualTls": true}, ""},
		"it says nothing":           {nil, ""},
		"it says it in its own way": {m{"mtls": false}, ""},
		"it already refuses": {m{"jwt": true, "mutualTls": false},
			"CentralXcp tsb/central-xcp says no for mtls where the ManagementPlane says yes"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, edges := range []cases.Edges{cases.OnJWT, cases.OnMTLS} {
				inv := fleet(edges)
				inv.CentralXcps = central(tc.below)
				v := decide(t, update(both, jwtOnly), inv)
				if v.Allowed != (edges == cases.OnJWT) || strings.Join(v.Warnings, "") != "" != (tc.warns != "") ||
					!strings.Contains(strings.Join(v.Warnings, ""), tc.warns) {
					t.Errorf("edges on %s: %+v", edges, v)
				}
			}
		})
	}
	inv := fleet(cases.OnJWT)
	inv.CentralXcps = central(m{"mutualTls": true})
	if v := decide(t, update(jwtOnly, stanza(m{})), inv); !strings.Contains(strings.Join(v.Warnings, ""),
		"says yes for mtls where the ManagementPlane says no") {
		t.Errorf("still accepting: %+v", v)
	}
}

func TestNamesInAnyOrderAreEachFoundOnce(t *testing.T) {
	for _, tc := range []struct{ names, named, want string }{
		{"", "", ""}, {"a b c", "a b c", ""}, {"a b c", "b", "a c"}, {"c a b", "b", "c a"}, {"b a b a", "", "b a"},
		{"c b a", "a b c", ""}, {"a z", "a b c", "z"}, {"b", "a c", "b"}, {"d a c", "a a c c", "d"},
	} {
		if got := strings.Join(missingFrom(strings.Fields(tc.names), strings.Fields(tc.named)), " "); got != tc.want {
			t.Errorf("%q beside %q: %q, want %q", tc.names, tc.named, got, tc.want)
		}
	}
}
