package globalapi

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// What kumactl's configuration says is taken as kumactl takes it; what is not done here is refused, and no token is in
// any error.
func TestTheEndpointIsKumactls(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := func(more string) string {
		return `{contexts: [{name: prod, controlPlane: cp}, {name: other, controlPlane: none}], currentContext: prod,
controlPlanes: [{name: cp, coordinates: {apiServer: {` + more + `}}}]}`
	}
	const auth = `authType: tokens, authConf: {token: eyJsecret}`
	for _, tc := range []struct {
		name, config, context, says, address, login string
	}{
		{"with a token", server(`url: "https://global:5682/", ` + auth), "", "", "https://global:5682", "eyJsecret"},
		{"without", server(`url: "http://localhost:5681"`), "prod", "", "http://localhost:5681", ""},
		{"in clear", server(`url: "http://global:5681", ` + auth), "", "would be asked in clear", "", ""},
		{"no address", server(`url: "global:5681"`), "", "is no address of a global's API", "", ""},
		{"a password in it", server(`url: "https://a:eyJsecret@global:5682"`), "", "and nothing else", "", ""},
		{"not verified", server(`url: "https://global:5682", skipVerify: true`), "",
			"without verifying its certificate", "", ""},
		{"another authentication", server(`url: "https://global:5682", authType: oidc`), "", `authentication "oidc"`, "", ""},
		{"headers", server(`url: "https://global:5682", headers: [{key: a, value: eyJsecret}]`), "",
			"with headers of its own", "", ""},
		{"a CA that is not there", server(`url: "https://global:5682", caCertFile: ca.pem`), "", "reading the CA", "", ""},
		{"no such context", server(`url: "https://global:5682"`), "dev", `it has no context "dev"`, "", ""},
		{"no such control plane", server(`url: "https://global:5682"`), "other", `it has no control plane "none"`, "", ""},
		{"no YAML", "{eyJsecret", "", "it is not as kumactl writes it", "", ""},
	} {
		e, err := FromKumactl(write("config", tc.config), tc.context)
		said := fmt.Sprint(err)
		if (err == nil) != (tc.says == "") || !strings.Contains(said, tc.says) || strings.Contains(said, "eyJ") {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.says)
		}
		if err == nil && (e.Addresses[0] != tc.address || string(e.Login.Reveal()) != tc.login) {
			t.Errorf("%s: %+v", tc.name, e)
		}
	}
}

// An address outside of clusters is verified with the CA that was given, and with no other.
func TestAnAddressIsVerified(t *testing.T) {
	s := httptest.NewTLSServer(says(`{"mode":"global"}`, asJSON, http.StatusOK))
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
		0o600); err != nil {
		t.Fatal(err)
	}
	for file, says := range map[string]string{ca: "", "": "certificate"} {
		conf, err := TLS(file, "", "")
		if err != nil {
			t.Fatal(err)
		}
		body, err := Client{TLS: conf}.Read(t.Context(), nil, plan.Read{Name: s.URL, Asked: "/config"})
		if (err == nil) != (says == "") || err != nil && !strings.Contains(observe.Explain(err), says) {
			t.Errorf("with CA %q: %s, %v", file, body, err)
		}
	}
	if _, err := TLS(filepath.Join(t.TempDir(), "none"), "", ""); err == nil {
		t.Error("a CA that is not there is taken")
	}
}
