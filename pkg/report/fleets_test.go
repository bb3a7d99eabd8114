package report

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	meshinspect "github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/inspect"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/inspect"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

func again(verb string) string { return "kubectl xcpauth " + verb }

// of is the report of a fleet of TSB.
func of(f plan.State) Model {
	f.Product, f.UsesRoster, f.Hub.Version = tsb.Name, true, "1.6.0"
	return New(Input{State: f, Plan: plan.Build(tsb.Provider(), f, plan.Goal{Pace: plan.Pace{Within: 15 * time.Minute}}),
		Rules:    check.Documented(append(check.Rules(), inspect.Rules()...)),
		Findings: check.Run(append(check.Rules(), inspect.Rules()...), f, check.Options{}),
		By:       "ann@change-host", Tool: "v1.2.3", Again: again})
}

// went is a wave that was carried out some minutes before noon.
func went(before int, took time.Duration, title, result string, failed []string, steps ...string) plan.WaveRecord {
	began := tsbobjects.Noon.Add(-time.Duration(before) * time.Minute)
	return plan.WaveRecord{Wave: title, Began: began, Ended: began.Add(took), By: "ann@change-host", Goal: "jwt-only",
		Result: result, Failed: failed, Steps: steps}
}

// done is three edges of which nothing is left to do.
func done() plan.State {
	f := tsbfleet.Fleet(guard.No, guard.Yes)
	for _, name := range []string{"edge-eu", "edge-us", "edge-ap"} {
		m := tsbfleet.Verified(tsbfleet.Edge(name, state.JWT))
		m.Credential.Expires = tsbobjects.Noon.Add(50 * time.Minute)
		m.Workload.Processes = []plan.Process{{Name: "edge-1-a", Ready: true, Presents: state.JWT}}
		m.Statement.Evidence = []string{"the edge pods mount the token", "its pods have connected twice since"}
		m.Statement.Source = "ann@change-host"
		f.Members = append(f.Members, m)
	}
	f.Hub.Server = plan.Certificate{Where: "secret tsb/xcp-central-cert", Names: []string{"tsb.example.test"},
		Expires: tsbobjects.Noon.Add(90 * 24 * time.Hour)}
	f.Hub.History = []plan.WaveRecord{
		went(200, 2*time.Second, "register", plan.ResultVerified, nil, "register"),
		went(190, 75*time.Second, "both modes on", plan.ResultVerified, nil, "open"),
		went(180, 15*time.Minute, "canary", "edge-eu: not verified within 15m0s: its pods have not connected since; put back",
			[]string{"edge-eu"}, "move/edge-eu"),
		went(90, 4*time.Minute, "canary", plan.ResultVerified, nil, "move/edge-eu"),
		went(5, 5*time.Minute, "the rest", plan.ResultVerified, nil, "move/edge-us", "move/edge-ap"),
		went(1, time.Minute, "mTLS off", plan.ResultVerified, nil, "close"),
	}
	return linked(f)
}

// linked has the hub run, and each edge connected that has a ready pod.
func linked(f plan.State) plan.State {
	f.Hub.Workload.Processes = []plan.Process{{Name: "central-1", Ready: true}}
	for i := range f.Members {
		m := &f.Members[i]
		switch ready := slices.ContainsFunc(m.Workload.Processes, func(p plan.Process) bool { return p.Ready }); {
		case m.Err != "":
		case ready:
			m.Link = plan.Link{Connected: guard.Yes, Why: "Central last heard of it at noon"}
		default:
			m.Link = plan.Link{Connected: guard.No, Why: "it has no ready pod"}
		}
	}
	return f
}

// mixed is thirty edges in every state, or as many as are asked for.
func mixed(n int) plan.State {
	f := tsbfleet.Fleet(guard.Yes, guard.Yes)
	for i := range n {
		name := fmt.Sprintf("edge-%03d", i+1)
		m := tsbfleet.Edge(name, state.MTLS)
		m.Workload.Processes = []plan.Process{{Name: name + "-a", Ready: true, Presents: state.MTLS}}
		switch i % 10 {
		case 1, 2, 3, 4:
			m = tsbfleet.Verified(tsbfleet.Edge(name, state.JWT))
			m.Statement.Source, m.Statement.Evidence = "ci@build-7", []string{"the edge pods mount the token"}
			m.Credential.Expires = tsbobjects.Noon.Add(50 * time.Minute)
			m.Workload.Processes = []plan.Process{{Name: name + "-a", Ready: true, Presents: state.JWT}}
		case 5:
			m.Err, m.Evidence = "the API server did not answer in time", guard.Member{Name: name}
			m.Declared, m.Effective = "", ""
			m.Workload, m.Credential, m.Statement = plan.Workload{}, plan.Credential{}, nil
		case 6:
			m.Credential = plan.Credential{State: plan.CredentialMissing, MissingSecrets: []string{state.SecretToken}}
			m.Obstacles = []string{"secret istio-system/xcp-edge-central-auth-token is not there; create it with tctl"}
		case 7:
			m.Workload.Processes[0].Ready = false
		}
		f.Members = append(f.Members, m)
	}
	f.Hub.Server = plan.Certificate{Where: "secret tsb/xcp-central-cert", Names: []string{"tsb.example.test"},
		Expires: tsbobjects.Noon.Add(20 * 24 * time.Hour)}
	f.Others = []plan.OtherContext{{Context: "asleep", State: "unreachable", Why: "the API server did not answer in time"},
		{Context: "sandbox", State: "no-member", Why: "no ControlPlane there"}}
	f.Hub.History = []plan.WaveRecord{went(90, 4*time.Minute, "canary", plan.ResultVerified, nil, "move/edge-002")}
	f.Hub.InFlight = `the wave "ten more" of bob@other-host, begun 2026-01-02T11:58:00Z`
	return linked(f)
}

// mesh is a global of Kong Mesh with three zones: one with a good token, one with an expired one, and one without. What
// nobody may see of them is returned too.
func mesh(t *testing.T) (Model, []string) {
	t.Helper()
	const inline = "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	private := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	secrets := []string{private}
	contexts := map[string][]apifake.Object{"global": append(apifake.Global("2.13.10",
		map[string]bool{"west": true, "east": true, "north": false}), apifake.GlobalSecret(zonetoken.KeyName("1"), private)),
		"north": apifake.Zone("2.13.10", "north"), "asleep": nil}
	for zone, issued := range map[string]time.Time{"west": tsbobjects.Noon,
		"east": tsbobjects.Noon.Add(-100 * 24 * time.Hour)} {
		token, _, err := zonetoken.Issue(zonetoken.Grant{Zone: zone, ValidFor: 90 * 24 * time.Hour,
			ID: "11111111-1111-4111-8111-111111111111", KeyID: "1"}, key, issued)
		if err != nil {
			t.Fatal(err)
		}
		contexts[zone] = append(apifake.Zone("2.13.10", zone, apifake.SecretVariable(inline, "cp-token", "token")),
			apifake.TokenSecret("cp-token", string(token.Reveal())))
		secrets = append(secrets, string(token.Reveal()))
	}
	d := plan.Detect(tsb.CheckProvider(), kongmesh.CheckProvider())
	var snaps []plan.Snapshot
	for _, context := range slices.Sorted(maps.Keys(contexts)) {
		s := plan.Snapshot{Context: context, At: tsbobjects.Noon, Reads: map[plan.Read]plan.Result{}}
		if contexts[context] == nil {
			s.Err = "the API server did not answer in time"
		}
		for next := d.Reads(s.Reads, false); s.Err == "" && len(next) > 0; next = d.Reads(s.Reads, false) {
			for _, r := range next {
				s.Reads[r] = answer(contexts[context], r)
			}
		}
		snaps = append(snaps, s)
	}
	f := d.ReadState(snaps, plan.Selection{}, tsbobjects.Noon)
	return New(Input{State: f, Plan: plan.Build(d, f, plan.Goal{Pace: plan.Pace{Within: 15 * time.Minute}}),
		Rules:    finding.Sorted(check.Documented(check.Rules()), meshinspect.Rules()),
		Findings: check.Run(check.Rules(), f, check.Options{}), By: "ann@change-host", Tool: "v1.2.3", Again: again}), secrets
}

func answer(objects []apifake.Object, r plan.Read) plan.Result {
	at := r.Path()
	if r.Labels != "" {
		at += "?labelSelector=" + url.QueryEscape(r.Labels)
	}
	if code, body := apifake.Get(objects, at); code == http.StatusOK && r.Port == 0 {
		return plan.Result{Body: body}
	}
	return plan.Result{Missing: r.Port == 0}
}
