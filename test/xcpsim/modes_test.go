package xcpsim

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func crWithXCP(t *testing.T, xcp string) *unstructured.Unstructured {
	t.Helper()
	cr := &unstructured.Unstructured{}
	text := `{"apiVersion":"install.tetrate.io/v1alpha1","kind":"ControlPlane","spec":{
		"managementPlane":{"host":"tsb.example.test","port":9443,"clusterName":"edge-1"},"components":{"xcp":` + xcp + `}}}`
	if err := cr.UnmarshalJSON([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return cr
}

func TestHubModesAreReadStrictly(t *testing.T) {
	for xcp, want := range map[string]string{
		`{"centralAuthModes":{"jwt":true,"mutualTls":true}}`:   "jwt,mtls",
		`{"centralAuthModes":{"mutualTls":true}}`:              "mtls",
		`{"centralAuthModes":{"jwt":true}}`:                    "jwt",
		`{"centralAuthModes":{"jwt":true,"mutualTls":null}}`:   "jwt",
		`{"centralAuthModes":{"jwt":false,"mutualTls":false}}`: "",
		`{"centralAuthModes":{"jwt":true,"mutualTls":"true"}}`: "error",
		`{"centralAuthModes":{"jwt":1}}`:                       "error",
		`{"centralAuthModes":{"jwt":true,"mutualTLS":true}}`:   "error",
		`{"centralAuthModes":{"jwt":true,"mutual_tls":true}}`:  "error",
		`{"central_auth_modes":{"jwt":true}}`:                  "error",
		`{"centralAuthModes":[]}`:                              "error",
		`{"centralAuthModes":{}}`:                              "unset",
		`{"centralAuthModes":null}`:                            "unset",
		`{}`:                                                   "unset",
		`null`:                                                 "unset",
	} {
		for unset, meaning := range map[Unset]string{UnsetKind: "jwt,mtls", UnsetJWT: "jwt", UnsetMTLS: "mtls"} {
			expect := want
			if want == "unset" {
				expect = meaning
			}
			accepts, err := hubModes(crWithXCP(t, xcp), reading{unset: unset})
			got := formatModes(accepts)
			if err != nil {
				got = "error"
			}
			if got != expect {
				t.Errorf("%s with unset %d: %q, want %q", xcp, unset, got, expect)
			}
		}
	}
}

func TestEdgeXcpFollowsTheControlPlaneAndItsOverlays(t *testing.T) {
	overlay := func(kind, path, value string) string {
		return `{"centralAuthMode":"JWT","kubeSpec":{"overlays":[{"kind":"` + kind +
			`","name":"edge-xcp","patches":[{"path":"` + path + `","value":"` + value + `"}]}]}}`
	}
	jwt := func(more string) string {
		return `{"centralAuthMode":"JWT","xcpEdgeClusterName":"edge-1","xcpCentralHost":"tsb.example.test:9443",
			"centralAuthJwt":{"secret":"xcp-edge-central-auth-token","centralCaSecret":"xcp-central-ca-bundle"` + more + `}}`
	}
	mtls := `{"centralAuthMode":"MUTUAL_TLS","xcpEdgeClusterName":"edge-1","xcpCentralHost":"tsb.example.test:9443"}`
	for name, c := range map[string]struct {
		xcp   string
		unset Unset
		want  string // "" = refused
	}{
		"mutual tls":       {`{"centralAuthMode":"MUTUAL_TLS"}`, UnsetKind, mtls},
		"jwt":              {`{"centralAuthMode":"JWT"}`, UnsetKind, jwt("")},
		"unset, kind":      {`{}`, UnsetKind, mtls},
		"unset means jwt":  {`null`, UnsetJWT, jwt("")},
		"UNKNOWN is unset": {`{"centralAuthMode":"UNKNOWN"}`, UnsetJWT, jwt("")},
		"lower case":       {`{"centralAuthMode":"jwt"}`, UnsetKind, ""},
		"number":           {`{"centralAuthMode":2}`, UnsetKind, ""},
		"alias":            {`{"central_auth_mode":"JWT"}`, UnsetKind, ""},
		"overlay sets the name": {overlay("EdgeXcp", "spec.centralAuthJwt.centralSni", "central.xcp.tetrate.io"), UnsetKind,
			jwt(`,"centralSni":"central.xcp.tetrate.io"`)},
		"overlay of another": {overlay("Deployment", "spec.centralAuthMode", "MUTUAL_TLS"), UnsetKind, jwt("")},
	} {
		t.Run(name, func(t *testing.T) {
			spec, err := edgeSpec(crWithXCP(t, c.xcp), reading{unset: c.unset})
			if (err != nil) != (c.want == "") {
				t.Fatalf("spec %v, error %v", spec, err)
			}
			if err != nil {
				return
			}
			var want any
			if err := json.Unmarshal([]byte(c.want), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, any(spec)); diff != "" {
				t.Errorf("spec (-want +got):\n%s", diff)
			}
		})
	}
	spec, err := edgeSpec(crWithXCP(t, overlay("EdgeXcp", "spec.centralAuthMode", "MUTUAL_TLS")), reading{})
	if err != nil || spec["centralAuthMode"] != modeMTLS {
		t.Errorf("an overlay overrules the typed mode: got %v, %v", spec["centralAuthMode"], err)
	}
}

func TestOtherSpellingsAreRefusedOrUnderstood(t *testing.T) {
	for _, c := range []struct{ hub, edge, want string }{
		{hub: `{"central_auth_modes":{"jwt":true,"mutual_tls":true}}`, want: "jwt,mtls"},
		{hub: `{"centralAuthModes":{"jwt":true,"mutual_tls":true}}`, want: "jwt,mtls"},
		{hub: `{"centralAuthModes":{"mutual_tls":false}}`, want: ""},
		{hub: `{"centralAuthModes":{"mutualTls":true,"mutual_tls":true}}`, want: "error"},
		{hub: `{"centralAuthModes":{"mutualTls":true},"central_auth_modes":{"jwt":true}}`, want: "error"},
		{hub: `{"centralAuthModes":{"jwt":true,"mutual_tls":"true"}}`, want: "error"},
		{edge: `{"central_auth_mode":"JWT"}`, want: "JWT"},
		{edge: `{"centralAuthMode":1}`, want: "MUTUAL_TLS"},
		{edge: `{"centralAuthMode":2}`, want: "JWT"},
		{edge: `{"centralAuthMode":3}`, want: "error"},
		{edge: `{"centralAuthMode":"jwt"}`, want: "error"},
		{edge: `{"centralAuthMode":"JWT","central_auth_mode":"JWT"}`, want: "error"},
	} {
		for understood, want := range map[bool]string{false: "error", true: c.want} {
			got, err := "", error(nil)
			if c.edge != "" {
				got, err = edgeMode(crWithXCP(t, c.edge), reading{aliases: understood})
			} else {
				var accepts map[Credential]bool
				accepts, err = hubModes(crWithXCP(t, c.hub), reading{aliases: understood})
				got = formatModes(accepts)
			}
			if err != nil {
				got = "error"
			}
			if got != want {
				t.Errorf("%s%s with aliases %v: %q, want %q", c.hub, c.edge, understood, got, want)
			}
		}
	}
}
