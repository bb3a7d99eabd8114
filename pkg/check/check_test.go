package check_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func token(where string) plan.Material {
	return plan.Material{What: "the edge's token", Where: where, Needed: true, From: noon.Add(-10 * time.Minute),
		Until: noon.Add(50 * time.Minute), Rotated: true, Remedy: "see its log"}
}

// healthy is a fleet about which no rule has anything to say.
func healthy() plan.State {
	yes := true
	settled := plan.Workload{Found: true, Replicas: 1, Settled: true, Processes: []plan.Process{{Name: "p", UID: "p",
		Ready: true, Started: true, Presents: "jwt"}}}
	version := plan.Version{Text: "1.6.0", Source: "label app.kubernetes.io/version"}
	operator := func(where string) *plan.Operator {
		return &plan.Operator{Where: where, Workload: settled, Version: plan.Version{Text: "1.6.0",
			Source: "the image of Deployment " + where}}
	}
	skew := time.Duration(0)
	stated := &plan.Statement{Presents: []guard.Cred{"jwt"}, Observed: noon,
		Until: noon.Add(15 * time.Minute), Source: "ci"}
	edge := guard.Member{Presents: []guard.Cred{"jwt"}, Until: noon.Add(time.Minute), Why: "read from its pods"}
	return plan.State{At: noon,
		Contexts: []plan.Context{{Name: "eu", Skew: &skew}, {Name: "hub", Skew: &skew}},
		Hub: plan.Hub{HubIdentity: plan.HubIdentity{Found: true, Context: "hub",
			Object: plan.Ref{Group: "install.tetrate.io", Resource: "managementplanes", Kind: "ManagementPlane",
				Namespace: "tsb", Name: "mp"}},
			HubDeclaration: plan.HubDeclaration{Accepts: guard.Hub{Accepts: map[guard.Cred]guard.Tri{"mtls": guard.Yes,
				"jwt": guard.Yes}}},
			HubCertificate: plan.HubCertificate{Server: plan.Certificate{Where: "tsb/xcp-central-cert",
				Names: []string{"tsb.example.test", "*.edges.test", "10.0.0.1"}}},
			HubMembers: plan.HubMembers{Inventory: []string{"eu"}},
			HubRecords: plan.HubRecords{Roster: plan.RosterState{Namespace: true, Kind: true}},
			HubRunning: plan.HubRunning{Workload: settled, Connections: &plan.Connections{Config: 1, State: 2}},
			Inspection: &plan.Inspection{Field: "spec.components.xcp.centralAuthModes", Wanted: "{jwt: true, mutualTls: true}",
				Version: version, Operator: operator("tsb/tsb-operator-management-plane"), Guarded: &yes,
				Server: &plan.Server{URIs: []string{"spiffe://xcp.tetrate.io/central"},
					Usages: []string{"server auth", "client auth"}, CA: true, Identity: "spiffe://xcp.tetrate.io/central",
					Needs: []string{"server auth", "client auth"}, NeedsCA: true},
				Materials: []plan.Material{{What: "Central's certificate", Where: "tsb/xcp-central-cert", Needed: true,
					From: noon.Add(-time.Hour), Until: noon.Add(90 * 24 * time.Hour), Remedy: "re-issue it"}}}},
		Members: []plan.Member{
			{Identity: plan.Identity{Name: "eu", ClusterName: "eu", Role: plan.RoleEdge, Context: "eu", ClusterUID: "uid-eu",
				Object: plan.Ref{Group: "install.tetrate.io", Resource: "controlplanes", Kind: "ControlPlane",
					Namespace: "istio-system", Name: "cp"}},
				Declaration: plan.Declaration{Declared: "jwt"},
				Effective:   "jwt",
				Evidence:    edge,
				Workload:    settled,
				Connecting: plan.Connecting{Dials: "tsb.example.test:9443", ServerName: "tsb.example.test",
					LastEvent: noon.Add(-time.Minute)},
				Registration: plan.Registration{Registered: true, Statement: stated},
				Inspection: &plan.Inspection{Field: "spec.components.xcp.centralAuthMode", Wanted: "JWT", Version: version,
					Operator:  operator("istio-system/tsb-operator-control-plane"),
					Materials: []plan.Material{token("istio-system/token")}}},
			{Identity: plan.Identity{Name: "mpc", Role: plan.RoleMPC, Context: "hub", Object: plan.Ref{Group: "apps",
				Resource: "deployments", Kind: "Deployment", Namespace: "tsb", Name: "mpc"}}, Evidence: edge, Workload: settled,
				Registration: plan.Registration{Registered: true, Statement: stated}, Inspection: &plan.Inspection{}}}}
}

func eu(f *plan.State) *plan.Member { return f.Member("eu") }

// oneOf changes the one material of eu.
func oneOf(change func(*plan.Material)) func(*plan.State) {
	return func(f *plan.State) { change(&eu(f).Inspection.Materials[0]) }
}

func absent(f *plan.State, name string) {
	f.Members = append(f.Members, plan.Member{Identity: plan.Identity{Name: name, ClusterName: name, Role: plan.RoleEdge,
		Err: "no selected context reaches it"}, Registration: plan.Registration{Registered: true,
		Statement: eu(f).Statement}, Inspection: &plan.Inspection{}})
}

func skewOf(f *plan.State, d ...time.Duration) {
	f.Contexts = nil
	for i := range d {
		f.Contexts = append(f.Contexts, plan.Context{Name: string(rune('a' + i)), Skew: &d[i]})
	}
}

// Each rule with what makes it speak, what it then says, and what is nearly that and must leave it quiet.
func TestRules(t *testing.T) {
	tested := map[string]bool{}
	for _, tc := range []struct {
		id, member, saw string
		fires, quiet    func(*plan.State)
	}{
		{"XA001", "-", "refused the connection", func(f *plan.State) {
			f.Contexts = append(f.Contexts, plan.Context{Name: "down", Err: "the API server refused the connection"})
			f.Others = []plan.OtherContext{{Context: "down", State: "unreachable", Why: "the API server refused the connection"}}
		}, func(f *plan.State) {
			f.Others = []plan.OtherContext{{Context: "stranger", State: "no-member", Why: "no ControlPlane there"}}
		}},
		{"XA002", "hub", "2 rights missing: get secrets/xcp-central-cert in tsb; list clusters.xcp.tetrate.io in tsb",
			func(f *plan.State) {
				f.Contexts[1].Missing = []plan.Permission{{Verb: "get", Resource: "secrets", Namespace: "tsb",
					Name: "xcp-central-cert"}, {Verb: "list", Group: "xcp.tetrate.io", Resource: "clusters", Namespace: "tsb"}}
			}, func(f *plan.State) { f.Contexts[1].Missing = []plan.Permission{} }},
		{"XA003", "eu", "the API server did not answer in time", func(f *plan.State) {
			f.Contexts[0].Unread = []plan.Unread{{What: "pods istio-system", Why: "the API server did not answer in time"}}
		}, func(f *plan.State) { // said by the right that is missing
			f.Contexts[0].Unread = []plan.Unread{{What: "pods istio-system", Why: "forbidden (403): no", Denied: true}}
			f.Contexts[0].Missing = []plan.Permission{{Verb: "list", Resource: "pods", Namespace: "istio-system"}}
		}},
		{"XA004", "far", "no selected context holds it", func(f *plan.State) { absent(f, "far") }, func(f *plan.State) {
			absent(f, "far")
			f.Member("far").Context = "far" // its context did not answer, which is said
		}},
		{"XA005", "-", "it is 2m ahead of the others (4 clocks compared)", func(f *plan.State) {
			skewOf(f, 2*time.Minute,
				time.Second, 0)
		}, func(f *plan.State) { skewOf(f, 59*time.Second, 0, 0) }},
		{"XA006", "-", "it is 6m behind the others (4 clocks compared)", func(f *plan.State) {
			skewOf(f, -6*time.Minute, 0,
				0)
		}, func(f *plan.State) { skewOf(f, 2*time.Minute, 0, 0) }},
		{"XA010", "eu", "it presents jwt (read from its pods), and ManagementPlane tsb/mp does not accept that",
			func(f *plan.State) { f.Hub.Accepts.Accepts["jwt"] = guard.No }, func(f *plan.State) { f.Hub.Accepts.Accepts["mtls"] = guard.No }},
		{"XA011", "hub", "whether it accepts mtls is not written",
			func(f *plan.State) { f.Hub.Accepts.Accepts["mtls"] = guard.Unknown }, func(f *plan.State) { f.Hub.Accepts.Accepts["mtls"] = guard.No }},
		{"XA012", "eu", "it sets no mode; the effective one is jwt", func(f *plan.State) { eu(f).Declared = "" },
			func(f *plan.State) { eu(f).Declared, eu(f).Anomalies = "", []string{"said already"} }},
		{"XA013", "eu", "it is 2: not a documented mode", func(f *plan.State) {
			eu(f).Inspection.Anomalies = []plan.Anomaly{{Path: "spec.components.xcp.centralAuthMode", Value: "2",
				Consequence: "not a documented mode"}}
		}, func(f *plan.State) { eu(f).Inspection.Anomalies = []plan.Anomaly{{Overlay: true}} }},
		{"XA014", "hub", "it is a patch of spec.auth: behind the typed field", func(f *plan.State) {
			f.Hub.Inspection.Anomalies = []plan.Anomaly{{Overlay: true, Value: "a patch of spec.auth",
				Consequence: "behind the typed field"}}
		}, func(f *plan.State) { f.Hub.Inspection.Anomalies = []plan.Anomaly{{Overlay: true, Documented: true}} }},
		{"XA015", "eu", "it is a patch of centralSni: moves the name", func(f *plan.State) {
			eu(f).Inspection.Anomalies = []plan.Anomaly{{Overlay: true, Documented: true, Value: "a patch of centralSni",
				Consequence: "moves the name"}}
		}, func(f *plan.State) { eu(f).Inspection.Anomalies = []plan.Anomaly{{Overlay: true}} }},
		{"XA016", "eu", "it says jwt, and EdgeXcp says mtls", func(f *plan.State) { eu(f).Effective = "mtls" },
			func(f *plan.State) { eu(f).Effective = "" }},
		{"XA020", "eu", "the edge verifies other.example.test",
			func(f *plan.State) { eu(f).ServerName = "other.example.test" }, func(f *plan.State) { eu(f).ServerName = "a.edges.test" }},
		{"XA021", "eu", "it does not verify Central's certificate: unknown authority; that counts at its next connection",
			func(f *plan.State) {
				eu(f).Inspection.Distrust = []plan.Distrust{{Where: "istio-system/ca", Whose: "Central's certificate",
					Why: "unknown authority", Now: true, Remedy: "add the CA"}}
			}, func(*plan.State) {}},
		{"XA022", "hub", "its URIs are nothing", func(f *plan.State) { f.Hub.Inspection.Server.URIs = nil },
			func(f *plan.State) { f.Hub.Inspection.Server.URIs, f.Hub.Inspection.Server.Identity = nil, "" }},
		{"XA023", "hub", "it may be used for server auth, and not for client auth",
			func(f *plan.State) { f.Hub.Inspection.Server.Usages = []string{"server auth"} }, func(f *plan.State) { f.Hub.Inspection.Server.Usages = nil }},
		{"XA024", "hub", "it is not there, and mutual TLS may be in use",
			func(f *plan.State) { f.Hub.Inspection.Server.CA = false }, func(f *plan.State) {
				f.Hub.Inspection.Server.CA,
					f.Hub.Inspection.Server.NeedsCA = false, false
			}},
		{"XA025", "eu", "its CA does not verify this hub", func(f *plan.State) {
			f.Others = []plan.OtherContext{{Context: "eu", State: "other-management-plane", Claims: "eu",
				Why: "its CA does not verify this hub"}}
		}, func(f *plan.State) {
			f.Others = []plan.OtherContext{{Context: "mars", State: "other-management-plane", Claims: "mars",
				Why: "another hub"}}
		}},
		{"XA030", "eu", "the edge's token is not there", oneOf(func(m *plan.Material) { m.Absent = true }),
			oneOf(func(m *plan.Material) { m.Absent, m.Needed = true, false })},
		{"XA031", "eu", "cannot be used: it has white space at its end",
			oneOf(func(m *plan.Material) { m.Wrong = "it has white space at its end" }), oneOf(func(m *plan.Material) { m.Unread = "forbidden" })},
		{"XA032", "eu", "is not this cluster's: clusterFqn",
			oneOf(func(m *plan.Material) { m.Foreign = "clusterFqn is another's" }), oneOf(func(*plan.Material) {})},
		{"XA033", "eu", "expired at 2026-03-01T11:59:00Z", oneOf(func(m *plan.Material) { m.Until = noon.Add(-time.Minute) }),
			oneOf(func(m *plan.Material) { m.Until = time.Time{} })},
		{"XA034", "eu", "is valid from 2026-03-01T12:10:00Z",
			oneOf(func(m *plan.Material) { m.From = noon.Add(10 * time.Minute) }), oneOf(func(m *plan.Material) { m.From = noon.Add(30 * time.Second) })},
		{"XA035", "hub", "expires in 8d", func(f *plan.State) {
			f.Hub.Inspection.Materials[0].From, f.Hub.Inspection.Materials[0].Until = noon.Add(-82*24*time.Hour),
				noon.Add(8*24*time.Hour)
		}, func(f *plan.State) {
			f.Hub.Inspection.Materials[0].From, f.Hub.Inspection.Materials[0].Until = noon.Add(-80*24*time.Hour),
				noon.Add(10*24*time.Hour)
		}},
		{"XA036", "eu", "lives 60m and has 2m left", oneOf(func(m *plan.Material) {
			m.From,
				m.Until = noon.Add(-58*time.Minute), noon.Add(2*time.Minute)
		}),
			oneOf(func(m *plan.Material) { m.From, m.Until = noon.Add(-56*time.Minute), noon.Add(4*time.Minute) })},
		{"XA037", "eu", "secret istio-system/oap-token expired at 2026-03-01T11:59:00Z, and nothing renewed it",
			oneOf(func(m *plan.Material) {
				m.Where, m.Renewed, m.Until = "istio-system/oap-token", true, noon.Add(-time.Minute)
			}), oneOf(func(m *plan.Material) { m.Renewed = true })},
		{"XA040", "eu", "says 1.3.2; JWTs need 1.4", func(f *plan.State) {
			eu(f).Inspection.Version = plan.Version{Text: "1.3.2", Source: "label", TooOld: "1.4"}
		}, func(f *plan.State) { eu(f).Inspection.Version.Text = "1.5.0" }},
		{"XA041", "eu", "neither its labels nor the image", func(f *plan.State) {
			eu(f).Inspection.Version, eu(f).Inspection.Operator.Version = plan.Version{}, plan.Version{}
		}, func(f *plan.State) { eu(f).Inspection.Version = plan.Version{} }},
		{"XA042", "hub", "its rollout is not over",
			func(f *plan.State) { f.Hub.Inspection.Operator.Workload.Settled = false }, func(f *plan.State) {
				f.Hub.Inspection.Operator.Workload.Settled, f.Hub.Inspection.Operator.Workload.Err = false, "not read"
			}},
		{"XA043", "eu", "it is scaled to 0", func(f *plan.State) { eu(f).Inspection.Operator.Workload.Replicas = 0 },
			func(f *plan.State) {
				eu(f).Inspection.Operator.Workload = plan.Workload{Err: "could not be read"}
			}},
		{"XA044", "eu", "label app.kubernetes.io/version says 1.6.0, and the image of Deployment istio-system/tsb-operator-control-plane says 1.7.0", func(f *plan.State) { eu(f).Inspection.Operator.Version.Text = "1.7.0" },
			func(f *plan.State) { eu(f).Inspection.Operator.Version.Text = "" }},
		{"XA045", "eu", "the edge is of release 1.7, and the hub of 1.6", func(f *plan.State) {
			eu(f).Inspection.Operator.Version.Text, eu(f).Inspection.Version.Text = "1.7.0", "1.7.0"
		}, func(f *plan.State) {
			eu(f).Inspection.Operator.Version.Text, eu(f).Inspection.Version.Text = "1.6.3", "1.6.3"
		}},
		{"XA046", "eu", "it is not there", func(f *plan.State) { eu(f).Inspection.Operator.Workload = plan.Workload{} },
			func(f *plan.State) { eu(f).Inspection.Operator.Workload.Replicas = 0 }},
		{"XA050", "eu", "it is kept by Argo CD (apps)", func(f *plan.State) { eu(f).Owner = "Argo CD (apps)" },
			func(f *plan.State) { eu(f).HelmNote = "istio-system/cp" }},
		{"XA051", "hub", "it belongs to Helm release tsb/mp", func(f *plan.State) { f.Hub.HelmNote = "tsb/mp" },
			func(f *plan.State) { f.Hub.Owner = "Flux (tsb)" }},
		{"XA060", "eu", "it is scaled to 0", func(f *plan.State) { eu(f).Workload.Replicas = 0 },
			func(f *plan.State) { eu(f).Workload = plan.Workload{} }},
		{"XA061", "eu", `the hub does not list cluster "eu"`, func(f *plan.State) { f.Hub.Inventory = []string{} },
			func(f *plan.State) { f.Hub.Inventory = nil }},
		{"XA062", "far", "a cluster without a ControlPlane, and the hub lists it still", func(f *plan.State) {
			absent(f, "far")
			f.Hub.Inventory = append(f.Hub.Inventory, "far")
			f.Member("far").Inspection.Gone = "context far reaches a cluster without a ControlPlane"
		}, func(f *plan.State) { absent(f, "far") }},
		{"XA063", "eu", "it is being deleted", func(f *plan.State) { eu(f).Inspection.Deleting = true },
			func(f *plan.State) { eu(f).Workload = plan.Workload{} }},
		{"XA064", "eu-us", `cluster name "eu" is claimed in eu (ControlPlane istio-system/cp), us (ControlPlane istio-system/cp)`, func(f *plan.State) {
			m := *eu(f)
			m.Name, m.Context = "eu-us", "us"
			f.Members = append(f.Members, m)
		}, func(f *plan.State) { absent(f, "eu-far") }},
		{"XA065", "mpc", `it waits: secret "mpc-certs" not found`, func(f *plan.State) {
			f.Member("mpc").Workload.Processes = []plan.Process{{Name: "p", Waiting: `secret "mpc-certs" not found`}}
		}, func(f *plan.State) {
			f.Member("mpc").Workload.Processes = []plan.Process{{Name: "p", Waiting: "Pending", Ending: true}}
		}},
		{"XA066", "eu", "Central last received something of it 13m ago",
			func(f *plan.State) { eu(f).LastEvent = noon.Add(-13 * time.Minute) }, func(f *plan.State) { eu(f).LastEvent = time.Time{} }},
		{"XA067", "mpc", "Central counts 1 stream of cluster state for 1 edge",
			func(f *plan.State) { f.Hub.Connections.State = 1 }, func(f *plan.State) { f.Hub.Connections = nil }},
		{"XA068", "eu", "it is version 1", func(f *plan.State) {
			eu(f).Fence = plan.Fence{Policy: plan.Ref{Name: plan.FenceName, UID: "p"}, OutdatedReason: "it is version 1"}
		}, func(f *plan.State) { eu(f).Fence = plan.Fence{Unavailable: "its API server has none"} }},
		{"XA070", "hub", "it is not there", func(f *plan.State) { no := false; f.Hub.Inspection.Guarded = &no },
			func(f *plan.State) { f.Hub.Inspection.Guarded = nil }},
		{"XA071", "eu", "its statement, by ci, was believed until 2026-03-01T12:00:00Z",
			func(f *plan.State) { st := *eu(f).Statement; st.Until = noon; eu(f).Statement = &st },
			func(f *plan.State) { st := *eu(f).Statement; st.Until = noon.Add(time.Second); eu(f).Statement = &st }},
		{"XA072", "hub", "the wave \"Canary\" of ci", func(f *plan.State) { f.Hub.InFlight = `the wave "Canary" of ci` },
			func(*plan.State) {}},
		{"XA073", "hub", "the hub's inventory could not be read",
			func(f *plan.State) { f.Hub.InventoryErr = "the hub's inventory could not be read" }, func(f *plan.State) { f.Hub.Server.Err = "said elsewhere" }},
		{"XA074", "eu", "the roster has it in cluster x",
			func(f *plan.State) { eu(f).Inspection.Impostor = "the roster has it in cluster x" }, func(f *plan.State) { eu(f).EntryStale = true }},
	} {
		tested[tc.id] = true
		t.Run(tc.id, func(t *testing.T) {
			run := func(change func(*plan.State)) []finding.Finding {
				f := healthy()
				change(&f)
				return slices.DeleteFunc(check.Run(rules(), f, check.Options{}),
					func(x finding.Finding) bool { return x.Rule != tc.id })
			}
			found := run(tc.fires)
			if !slices.ContainsFunc(found, func(x finding.Finding) bool {
				return x.Member == tc.member && strings.Contains(x.Found, tc.saw) && x.Remedy != ""
			}) {
				t.Errorf("found %+v, want %s: %s, with a remedy", found, tc.member, tc.saw)
			}
			if found := run(tc.quiet); len(found) > 0 {
				t.Errorf("nearly that, and it says %+v", found)
			}
		})
	}
	for _, r := range rules() {
		if !tested[r.ID] {
			t.Errorf("%s has no case", r.ID)
		}
	}
}

func TestAHealthyFleetHasNoFindings(t *testing.T) {
	if found := check.Run(rules(), healthy(), check.Options{}); len(found) > 0 {
		t.Errorf("%+v", found)
	}
}

func TestNoHubIsNoPanic(t *testing.T) {
	check.Run(rules(), plan.State{At: noon}, check.Options{})
	f := healthy()
	f.Hub = plan.Hub{HubIdentity: plan.HubIdentity{Err: "no ManagementPlane found"}}
	check.Run(rules(), f, check.Options{})
}

func TestWarnWithinIsAbsolute(t *testing.T) {
	day := 24 * time.Hour
	for _, tc := range []struct {
		name         string
		within, left time.Duration
		rotated      bool
		want         bool
	}{
		{"a tenth by default", 0, 8 * day, false, true},
		{"more than a tenth", 0, 10 * day, false, false},
		{"a month when asked for", 30 * day, 29 * day, false, true},
		{"an hour when asked for", time.Hour, 8 * day, false, false},
		{"a rotated token never counts", 30 * day, 30 * time.Minute, true, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := plan.Material{Until: noon.Add(tc.left), From: noon.Add(tc.left - 90*day), Rotated: tc.rotated}
			if tc.rotated {
				m.From = noon.Add(-30 * time.Minute)
			}
			f := healthy()
			oneOf(func(is *plan.Material) { *is = m })(&f)
			got := slices.ContainsFunc(check.Run(rules(), f, check.Options{WarnWithin: tc.within}),
				func(x finding.Finding) bool {
					return x.Rule == "XA035" && x.Member == "eu"
				})
			if got != tc.want {
				t.Errorf("reported: %v, want %v", got, tc.want)
			}
		})
	}
}

func TestClocksAreComparedWithMostOfThem(t *testing.T) {
	m := time.Minute
	for _, tc := range []struct {
		name string
		off  []time.Duration
		want []string // context, or "" for this machine
	}{
		{"all agree", []time.Duration{0, 0, 0}, nil},
		{"this machine is off", []time.Duration{3 * m, 3 * m, 3 * m}, []string{""}},
		{"one of many is off", []time.Duration{0, 0, 3 * m}, []string{"c"}},
		{"one context alone is compared with this machine", []time.Duration{3 * m}, []string{"a"}},
		{"none told", nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := healthy()
			skewOf(&f, tc.off...)
			var got []string
			for _, x := range check.Run(rules(), f, check.Options{}) {
				if x.Rule == "XA005" || x.Rule == "XA006" {
					got = append(got, x.Context)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("off are %q, want %q", got, tc.want)
			}
		})
	}
}

func TestCommandsSurviveAShell(t *testing.T) {
	if got, want := check.Command("kubectl", "--context", "it's a $name", "get", ""),
		`kubectl --context 'it'\''s a $name' get ''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// A product without a roster has no finding about one, nor about what only the other product has.
func TestAProductIsLookedAtByItsOwnRules(t *testing.T) {
	f := healthy()
	f.Product, f.UsesRoster = "other", false
	f.Hub.Roster, f.Member("eu").Statement = plan.RosterState{}, nil
	if found := check.Run(check.Rules(), f, check.Options{}); len(found) > 0 {
		t.Errorf("%+v", found)
	}
	finds(ruleExpired)(&f)
	f.Hub.InFlight = "a wave"
	var ids []string
	for _, x := range check.Run(check.Rules(), f, check.Options{}) {
		ids = append(ids, x.Rule)
	}
	if strings.Join(ids, " ") != "XA901 XA072" {
		t.Errorf("%v", ids)
	}
}

// A context that was reached and may not be read is not one that kubectl cannot reach.
func TestARefusalOfRightsIsNotCalledUnreachable(t *testing.T) {
	for why, command := range map[string]string{
		`forbidden (403): namespaces "kube-system" is forbidden`: "kubectl --context down auth can-i --list",
		"the API server refused the connection":                  "kubectl --context down version",
	} {
		f := healthy()
		f.Others = []plan.OtherContext{{Context: "down", State: "unreachable", Why: why}}
		if strings.HasPrefix(why, "forbidden") {
			f.Denied = []string{"down"}
		}
		found := check.Run(rules(), f, check.Options{})
		if len(found) != 1 || found[0].Rule != check.Unreachable || found[0].Command != command {
			t.Errorf("%s: %+v", why, found)
		}
		if reached := strings.HasPrefix(found[0].Remedy, "it was reached"); reached != strings.HasPrefix(why, "forbidden") {
			t.Errorf("%s: %s", why, found[0].Remedy)
		}
	}
}
