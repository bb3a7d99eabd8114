package state

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

// plane wraps spec.components.xcp as it would be stored.
func plane(xcp map[string]any) map[string]any {
	components := map[string]any{}
	if xcp != nil {
		components["xcp"] = xcp
	}
	return map[string]any{"spec": map[string]any{"components": components}}
}

func TestEveryWayToWriteTheStanza(t *testing.T) {
	fleets := map[cases.Edges]guard.Member{
		cases.OnMTLS:  {Name: "edge-1", Presents: []guard.Cred{MTLS}, Until: tsbobjects.Noon.Add(time.Minute)},
		cases.OnJWT:   {Name: "edge-1", Presents: []guard.Cred{JWT}, Until: tsbobjects.Noon.Add(time.Minute)},
		cases.Unknown: {Name: "edge-1"},
	}
	for _, tc := range cases.All() {
		old, _ := ReadHub(plane(tc.Old))
		new, _ := ReadHub(plane(tc.New))
		for edges, e := range fleets {
			t.Run(tc.Name+"/"+string(edges), func(t *testing.T) {
				blockers := guard.Withdraw(old, new, []guard.Member{e}, tsbobjects.Noon)
				if got := len(blockers) > 0; got != tc.Denied[edges] {
					t.Errorf("denied = %v, want %v; old %+v, new %+v, blockers %v", got, tc.Denied[edges], old, new, blockers)
				}
			})
		}
	}
}

// A key on the way to the stanza that is there in another spelling too makes both modes unknown, and putting it there
// withdraws both.
func TestAnotherSpellingMakesTheModesUnknown(t *testing.T) {
	before, _ := ReadHub(plane(map[string]any{"centralAuthModes": map[string]any{"jwt": true, "mutualTls": true}}))
	for _, tc := range cases.HubSpellings() {
		t.Run(tc.Name, func(t *testing.T) {
			hub, odd := ReadHub(tc.Object)
			if hub.Accepts[MTLS] != guard.Unknown || hub.Accepts[JWT] != guard.Unknown || len(odd) != 1 ||
				!strings.Contains(odd[0].String(), "an alias") {
				t.Errorf("mtls %s, jwt %s, %v", hub.Accepts[MTLS], hub.Accepts[JWT], odd)
			}
			if gone := guard.Withdrawn(before, hub); len(gone) != 2 {
				t.Errorf("withdrawn: %v", gone)
			}
			if again, _ := ReadHub(tc.Object); len(guard.Withdrawn(hub, again)) > 0 {
				t.Error("leaving it as it is withdraws something")
			}
		})
	}
	for xcp, level := range map[string]string{`{"centralAuthMode":"JWT","CentralAuthMode":"JWT"}`: "CentralAuthMode",
		`{"centralAuthMode":"JWT","KubeSpec":{}}`: "KubeSpec"} {
		if mode, odd := ReadEdge(plane(decode(t, xcp))); mode != "" || len(odd) != 1 || odd[0].Path != XCPPath+"."+level {
			t.Errorf("%s: %q, %v", xcp, mode, odd)
		}
	}
	if mode, odd := ReadEdge(decode(t,
		`{"spec":{"components":{"xcp":{"centralAuthMode":"JWT"}}},"Spec":{"a":"secret"}}`)); mode != "" || len(odd) != 1 ||
		strings.Contains(odd[0].String(), "secret") {
		t.Errorf("a second spec: %q, %v", mode, odd)
	}
}

func TestReadHubNamesWhatIsOdd(t *testing.T) {
	for _, tc := range []struct {
		name, xcp string
		mtls, jwt guard.Tri
		odd       []string // prefixes of the anomalies, in order
	}{
		{"explicit", `{"centralAuthModes":{"jwt":true,"mutualTls":false}}`, guard.No, guard.Yes, nil},
		{"entry left out", `{"centralAuthModes":{"mutualTls":true}}`, guard.Yes, guard.No, nil},
		{"only a false entry", `{"centralAuthModes":{"mutualTls":false}}`, guard.No, guard.Unknown, nil},
		{"string", `{"centralAuthModes":{"jwt":"true","mutualTls":true}}`, guard.Yes, guard.Unknown,
			[]string{`spec.components.xcp.centralAuthModes.jwt is "true": not a boolean`}},
		{"alias inside", `{"centralAuthModes":{"jwt":true,"mutual_tls":true}}`, guard.Unknown, guard.Unknown,
			[]string{`spec.components.xcp.centralAuthModes.mutual_tls is true: not a documented key`}},
		{"alias outside", `{"central_auth_modes":{}}`, guard.Unknown, guard.Unknown,
			[]string{`spec.components.xcp.central_auth_modes is {}: an alias`}},
		{"list", `{"centralAuthModes":[1]}`, guard.Unknown, guard.Unknown,
			[]string{`spec.components.xcp.centralAuthModes is [1]: not an object`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, odd := ReadHub(plane(decode(t, tc.xcp)))
			if h.Accepts[MTLS] != tc.mtls || h.Accepts[JWT] != tc.jwt {
				t.Errorf("mtls %v jwt %v, want %v %v", h.Accepts[MTLS], h.Accepts[JWT], tc.mtls, tc.jwt)
			}
			if len(odd) != len(tc.odd) {
				t.Fatalf("oddities %v, want %v", odd, tc.odd)
			}
			for i := range odd {
				if !strings.HasPrefix(odd[i].String(), tc.odd[i]) {
					t.Errorf("anomaly %q, want prefix %q", odd[i], tc.odd[i])
				}
			}
		})
	}
	for _, wrong := range []string{`{"spec":[]}`, `{"spec":{"components":"x"}}`, `{"spec":{"components":{"xcp":7}}}`} {
		h, odd := ReadHub(decode(t, wrong))
		if len(odd) != 1 || h.Accepts[MTLS] != guard.Unknown {
			t.Errorf("%s: %+v %v, want unknown with one anomaly", wrong, h, odd)
		}
	}
}

func TestReadEdgeIsExact(t *testing.T) {
	for xcp, want := range map[string]guard.Cred{
		`{"centralAuthMode":"JWT"}`:                           JWT,
		`{"centralAuthMode":"MUTUAL_TLS"}`:                    MTLS,
		`{}`:                                                  "",
		`{"centralAuthMode":"UNKNOWN"}`:                       "",
		`{"centralAuthMode":"jwt"}`:                           "",
		`{"centralAuthMode":2}`:                               "",
		`{"central_auth_mode":"JWT"}`:                         "",
		`{"centralAuthMode":"JWT","central_auth_mode":"JWT"}`: "",
		`{"centralAuthMode":"JWT","kubeSpec":{"overlays":[{"kind":"EdgeXcp","patches":[{"path":"spec.centralAuthMode","value":"MUTUAL_TLS"}]}]}}`:       "",
		`{"centralAuthMode":"JWT","kubeSpec":{"overlays":[{"kind":"EdgeXcp","patches":[{"path":"spec.centralAuthJwt.centralSni","value":"c.x.io"}]}]}}`: JWT,
	} {
		if got, _ := ReadEdge(plane(decode(t, xcp))); got != want {
			t.Errorf("%s: %q, want %q", xcp, got, want)
		}
	}
	if d := cmp.Diff([]plan.Anomaly(nil), second(ReadEdge(map[string]any{}))); d != "" {
		t.Errorf("an empty object has anomalies: %s", d)
	}
}

func second[A, B any](_ A, b B) B { return b }

func decode(t *testing.T, text string) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
