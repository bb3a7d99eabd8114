package verdict

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

type m = map[string]any

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// managementPlane has xcp at its place; nil means that xcp is absent.
func managementPlane(xcp m) m {
	components := m{}
	if xcp != nil {
		components["xcp"] = xcp
	}
	return m{"metadata": m{"namespace": "tsb", "name": "managementplane"}, "spec": m{"components": components}}
}

func controlPlane(uid string, xcp m) m {
	return m{"metadata": m{"namespace": "istio-system", "name": "controlplane", "uid": uid},
		"spec": m{"managementPlane": m{"clusterName": "eu-1"}, "components": m{"xcp": xcp}}}
}

// entry is a member whose last statement says presents and is valid for another minute.
func entry(name, uid string, presents ...string) api.EdgeCluster {
	until, seen := metav1.NewTime(noon.Add(time.Minute)), metav1.NewTime(noon.Add(-time.Minute))
	return api.EdgeCluster{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: api.EdgeClusterSpec{ClusterName: name,
		Role:         api.RoleEdge,
		ControlPlane: &api.ControlPlaneReference{Namespace: "istio-system", Name: "controlplane", UID: uid}},
		Status: api.EdgeClusterStatus{Presents: presents, ObservedTime: &seen, ValidUntil: &until, ControlPlaneUID: uid,
			Source: "ci@eu"}}
}

func fleet(of cases.Edges) Inventory {
	edge := entry("eu-1", "uid-1", string(of))
	if of == cases.Unknown {
		edge.Status = api.EdgeClusterStatus{}
	}
	return Inventory{Roster: []api.EdgeCluster{edge}}
}

func decide(t *testing.T, req Request, inv Inventory) Verdict {
	t.Helper()
	req.Namespace, req.Name = "tsb", "managementplane"
	q, err := Ask(req)
	if err != nil {
		t.Fatalf("asking: %v", err)
	}
	if !q.NeedsInventory() {
		inv = Inventory{} // nobody would have read it
	}
	return q.Answer(inv, noon)
}

func update(old, new m) Request {
	return Request{Operation: Update, Old: managementPlane(old), New: managementPlane(new)}
}

func stanza(v any) m { return m{"centralAuthModes": v} }

var both, jwtOnly, mtlsOnly = stanza(m{"jwt": true, "mutualTls": true}), stanza(m{"jwt": true, "mutualTls": false}),
	stanza(m{"jwt": false, "mutualTls": true})

func TestEveryEditOfTheTableForEveryFleet(t *testing.T) {
	for _, c := range cases.All() {
		for _, edges := range []cases.Edges{cases.OnMTLS, cases.OnJWT, cases.Unknown} {
			t.Run(fmt.Sprintf("%s/%s", c.Name, edges), func(t *testing.T) {
				v := decide(t, update(c.Old, c.New), fleet(edges))
				if v.Allowed == c.Denied[edges] {
					t.Errorf("allowed %v, want %v\n%s", v.Allowed, !c.Denied[edges], v.Message)
				}
				if !v.Allowed && (v.Code != http.StatusForbidden || !strings.Contains(v.Message, "eu-1")) {
					t.Errorf("a denial must be a 403 that names the member: %d %s", v.Code, v.Message)
				}
			})
		}
	}
}

func TestWhoIsAMember(t *testing.T) {
	with := func(e api.EdgeCluster, change func(*api.EdgeCluster)) api.EdgeCluster { change(&e); return e }
	declares := func(mode any) m { return m{"centralAuthMode": mode} }
	onJWT := entry("eu-1", "uid-1", "jwt")
	for _, tc := range []struct {
		name string
		inv  Inventory
		deny string // a piece of the reason, "" = mTLS may go
	}{
		{"nobody is known", Inventory{}, ""},
		{"an edge on jwt", Inventory{Roster: []api.EdgeCluster{onJWT}}, ""},
		{"an edge that may present both", Inventory{Roster: []api.EdgeCluster{entry("eu-1", "uid-1", "jwt", "mtls")}},
			"stated by ci@eu"},
		{"one of many is not on jwt", Inventory{Roster: []api.EdgeCluster{onJWT, entry("eu-2", "uid-2", "mtls")}},
			"eu-2: mtls"},
		{"no statement", Inventory{Roster: []api.EdgeCluster{with(onJWT,
			func(e *api.EdgeCluster) { e.Status = api.EdgeClusterStatus{} })}}, "nothing is verified"},
		{"an empty statement", Inventory{Roster: []api.EdgeCluster{with(onJWT,
			func(e *api.EdgeCluster) { e.Status.Presents = []string{} })}}, "nothing is verified"},
		{"a statement that ends now", Inventory{Roster: []api.EdgeCluster{with(onJWT,
			func(e *api.EdgeCluster) { e.Status.ValidUntil = &metav1.Time{Time: noon} })}}, "too old"},
		{"a statement without an end", Inventory{Roster: []api.EdgeCluster{with(onJWT,
			func(e *api.EdgeCluster) { e.Status.ValidUntil = nil })}}, "nothing is verified"},
		{"a statement about a ControlPlane that is gone", Inventory{Roster: []api.EdgeCluster{with(onJWT,
			func(e *api.EdgeCluster) { e.Status.ControlPlaneUID = "uid-0" })}}, "re-created"},
		{"a statement that does not say about which ControlPlane", Inventory{Roster: []api.EdgeCluster{with(onJWT,
			func(e *api.EdgeCluster) { e.Status.ControlPlaneUID = "" })}}, "re-created"},
		{"a credential that TSB does not have", Inventory{Roster: []api.EdgeCluster{with(onJWT,
			func(e *api.EdgeCluster) { e.Status.Presents = []string{"JWT"} })}}, `"JWT"`},
		{"MPC on jwt", Inventory{Roster: []api.EdgeCluster{with(onJWT, func(e *api.EdgeCluster) {
			e.Spec, e.Status.ControlPlaneUID = api.EdgeClusterSpec{Role: api.RoleMPC}, "uid-of-its-managementplane"
		})}}, ""},

		{"the hub's own ControlPlane agrees with its entry", Inventory{Roster: []api.EdgeCluster{onJWT},
			ControlPlanes: []map[string]any{controlPlane("uid-1", declares("JWT"))}}, ""},
		{"the hub's own ControlPlane is on MUTUAL_TLS", Inventory{Roster: []api.EdgeCluster{onJWT},
			ControlPlanes: []map[string]any{controlPlane("uid-1", declares("MUTUAL_TLS"))}}, "declares MUTUAL_TLS"},
		{"the hub's own ControlPlane declares nothing", Inventory{Roster: []api.EdgeCluster{onJWT},
			ControlPlanes: []map[string]any{controlPlane("uid-1", m{})}}, "no documented mode"},
		{"the hub's own ControlPlane is written in lower case", Inventory{Roster: []api.EdgeCluster{onJWT},
			ControlPlanes: []map[string]any{controlPlane("uid-1", declares("jwt"))}}, "no documented mode"},
		{"the entry is worse than the hub's own ControlPlane", Inventory{Roster: []api.EdgeCluster{entry("eu-1", "uid-1",
			"mtls")}, ControlPlanes: []map[string]any{controlPlane("uid-1", declares("JWT"))}}, "eu-1: mtls"},
		{"the hub's own ControlPlane without an entry", Inventory{ControlPlanes: []map[string]any{controlPlane("uid-1",
			declares("JWT"))}}, "the roster lacks"},
		{"the hub's own ControlPlane was re-created", Inventory{Roster: []api.EdgeCluster{onJWT},
			ControlPlanes: []map[string]any{controlPlane("uid-9", declares("JWT"))}},
			"eu-1: mtls (its ControlPlane istio-system/controlplane was re-created (UID uid-9, the roster says uid-1)"},

		{"the hub knows a cluster that the roster has", Inventory{Roster: []api.EdgeCluster{onJWT},
			Clusters: []string{"eu-1"}}, ""},
		{"the hub knows a cluster that the roster lacks", Inventory{Roster: []api.EdgeCluster{onJWT},
			Clusters: []string{"eu-1", "us-1"}}, "us-1: mtls (the hub knows this cluster"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := decide(t, update(both, jwtOnly), tc.inv)
			if v.Allowed != (tc.deny == "") || !strings.Contains(v.Message, tc.deny) {
				t.Errorf("allowed %v: %s\nwant a denial with %q", v.Allowed, v.Message, tc.deny)
			}
		})
	}
}

// The same member must not be counted twice because it is seen in three places.
func TestEveryMemberIsAccountedForOnce(t *testing.T) {
	inv := Inventory{
		Roster:        []api.EdgeCluster{entry("eu-1", "uid-1", "jwt"), entry("us-1", "uid-2", "jwt")},
		ControlPlanes: []map[string]any{controlPlane("uid-1", m{"centralAuthMode": "JWT"})},
		Clusters:      []string{"us-1", "eu-1", "ap-1"},
	}
	var got []string
	for _, e := range Members(inv, noon) {
		got = append(got, e.Name)
	}
	if want := "ap-1 eu-1 us-1"; strings.Join(got, " ") != want {
		t.Errorf("members %v, want %s", got, want)
	}
	if n := len(Members(Inventory{ControlPlanes: inv.ControlPlanes, Clusters: []string{"eu-1"}}, noon)); n != 1 {
		t.Errorf("a ControlPlane without an entry and its cluster are %d members, want 1", n)
	}
}

func TestJWTIsGuardedLikeMutualTLS(t *testing.T) {
	if v := decide(t, update(both, mtlsOnly), fleet(cases.OnJWT)); v.Allowed || !strings.Contains(v.Message, "eu-1: jwt") {
		t.Errorf("jwt off with an edge on jwt: %+v", v)
	}
}

func TestCreating(t *testing.T) {
	create := func(xcp m) Request { return Request{Operation: Create, New: managementPlane(xcp)} }
	for _, tc := range []struct {
		name    string
		xcp     m
		inv     Inventory
		allowed bool
		warns   string
	}{
		{"jwt-only on a hub without any inventory", jwtOnly, Inventory{}, true, "no member of this hub is known yet"},
		{"unset on a hub without any inventory", nil, Inventory{}, true, "no member of this hub is known yet"},
		{"jwt-only with an edge on mtls: no way around by delete and create", jwtOnly, fleet(cases.OnMTLS), false, ""},
		{"both modes with an edge on mtls", both, fleet(cases.OnMTLS), true, ""},
		{"jwt-only with every edge on jwt", jwtOnly, fleet(cases.OnJWT), true, ""},
		{"unset with every edge on jwt", nil, fleet(cases.OnJWT), false, ""},
		{"jwt-only with a cluster that only the hub knows", jwtOnly, Inventory{Clusters: []string{"eu-1"}}, false, ""},
		{"jwt-only with a ControlPlane beside it", jwtOnly, Inventory{ControlPlanes: []map[string]any{controlPlane("uid-1",
			m{})}}, false, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := decide(t, create(tc.xcp), tc.inv)
			if v.Allowed != tc.allowed || (tc.warns != "") != (len(v.Warnings) > 0) ||
				!strings.Contains(strings.Join(v.Warnings, "\n"), tc.warns) {
				t.Errorf("%+v\nwant allowed %v, warning %q", v, tc.allowed, tc.warns)
			}
		})
	}
}

func TestFinalizersOfAnObjectBeingDeletedAreNeverHeldUp(t *testing.T) {
	req := update(both, m{})
	req.New["metadata"].(m)["deletionTimestamp"] = "2026-01-02T11:00:00Z"
	if v := decide(t, req, fleet(cases.Unknown)); !v.Allowed {
		t.Errorf("denied: %s", v.Message)
	}
	again := Request{Operation: Delete, Old: managementPlane(both)}
	again.Old["metadata"].(m)["deletionTimestamp"] = "2026-01-02T11:00:00Z"
	if v := decide(t, again, fleet(cases.Unknown)); !v.Allowed || v.Rule != RuleDeleted {
		t.Errorf("deleted once more: %+v", v)
	}
}

func TestNothingIsReadForAnEditThatWithdrawsNothing(t *testing.T) {
	for _, req := range []Request{update(mtlsOnly, both), update(both, both), update(jwtOnly, stanza(m{"jwt": true}))} {
		q, err := Ask(req)
		if err != nil || q.NeedsInventory() {
			t.Errorf("%v to %v needs the inventory (%v)", req.Old, req.New, err)
		}
	}
}

func TestMalformedRequestsAreDenied(t *testing.T) {
	for name, req := range map[string]Request{
		"no operation":              {},
		"an operation of tomorrow":  {Operation: "CONNECT", Old: m{}, New: m{}},
		"an update without its old": {Operation: Update, New: managementPlane(both)},
		"an update without its new": {Operation: Update, Old: managementPlane(both)},
		"a create without its new":  {Operation: Create},
		"a delete without its old":  {Operation: Delete},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Ask(req)
			if err == nil {
				t.Fatal("read without an error")
			}
			if v := Undecided(req, http.StatusBadRequest, err); v.Allowed || v.Message == "" {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestADenialNamesTenMembersCountsTheRestAndSaysWhatIsOdd(t *testing.T) {
	var inv Inventory
	for i := range 13 {
		inv.Roster = append(inv.Roster, entry(fmt.Sprintf("edge-%02d", 12-i), fmt.Sprintf("uid-%d", i), "mtls", "jwt"))
	}
	v := decide(t, update(both, stanza(m{"jwt": true, "mutual_tls": true})), inv)
	lines := strings.Split(v.Message, "\n")
	if len(lines) != 1+10+1+1+1+2 {
		t.Fatalf("%d lines:\n%s", len(lines), v.Message)
	}
	for i, want := range map[int]string{
		0:  "ManagementPlane tsb/managementplane would no longer surely accept jwt and mtls, which 13 members may still present:",
		1:  "- edge-00: jwt and mtls (stated by ci@eu, seen 2026-01-02T11:59:00Z, valid until 2026-01-02T12:01:00Z)",
		10: "- edge-09: jwt and mtls (stated by ci@eu, seen 2026-01-02T11:59:00Z, valid until 2026-01-02T12:01:00Z)",
		11: "- and 3 more",
		12: "Not as documented: spec.components.xcp.centralAuthModes.mutual_tls is true: not a documented key; the modes are mutualTls and jwt",
		13: "Run `kubectl xcpauth status` to see every member; write every mode that they present as true.",
	} {
		if lines[i] != want {
			t.Errorf("line %d\n got %s\nwant %s", i, lines[i], want)
		}
	}
	if got, want := v.Audit("v1"), (map[string]string{"decision": "denied", "withdrawn": "jwt,mtls", "blockers": "13",
		"version": "v1", "rule": "withdraw", "digest": v.Digest, "roster": v.Roster}); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("audit %v, want %v", got, want)
	}
}

func TestADenialSaysPlainlyWhatIsSwitchedOff(t *testing.T) {
	v := decide(t, update(both, jwtOnly), fleet(cases.OnMTLS))
	if want := "ManagementPlane tsb/managementplane would stop accepting mtls, which 1 member may still present:"; !strings.HasPrefix(v.Message, want) {
		t.Errorf("%s\nwant %s", v.Message, want)
	}
}

func TestTextOfOthersStaysOnItsLineAndWithinItsLength(t *testing.T) {
	e := entry("eu-1", "uid-1", "mtls")
	e.Status.Source = "ci\nGET /\x1b[31m" + strings.Repeat("x", 10_000) + "\u202e"
	e.Status.Witnesses = []string{"never shown"}
	v := decide(t, update(both, jwtOnly), Inventory{Roster: []api.EdgeCluster{e}})
	if strings.ContainsAny(v.Message, "\x1b\u202e") || strings.Count(v.Message, "\n") != 4 || len(v.Message) > 1500 {
		t.Errorf("%d bytes: %q", len(v.Message), v.Message)
	}
	strange := m{"jwt": true, "mutualTls": true}
	for i := range 100 {
		strange[fmt.Sprintf("k%02d", i)] = strings.Repeat("é", 500)
	}
	v = decide(t, update(stanza(strange), stanza(strange)), Inventory{})
	if len(v.Warnings) != 6 {
		t.Errorf("%d warnings, want 5 and a count", len(v.Warnings))
	}
	for _, w := range v.Warnings {
		if utf8.RuneCountInString(w) > 256 || strings.Contains(w, "\n") {
			t.Errorf("warning of %d runes: %q", utf8.RuneCountInString(w), w)
		}
	}
}
