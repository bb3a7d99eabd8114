package kongmesh_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// Where the chart mounts them.
const (
	zoneCA     = "/var/run/secrets/kuma.io/kds-client-tls-cert/ca.crt"
	serverCert = "/var/run/secrets/kuma.io/kds-server-tls-cert/tls.crt"
	general    = "/var/run/secrets/kuma.io/tls-cert/tls.crt"
	rootCA     = "KUMA_MULTIZONE_ZONE_KDS_ROOT_CA_FILE"
	skip       = "KUMA_MULTIZONE_ZONE_KDS_TLS_SKIP_VERIFY"
	dialled    = "global.example.test" // by apifake's zones
)

// authority is a CA for an hour before noon and as long after.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// renewed is a CA as some issuers renew it: under its own name and key, from an hour ago on.
func renewed(t *testing.T, ca *authority) string {
	t.Helper()
	want := *ca.cert
	want.NotBefore = noon.Add(-time.Hour)
	der, err := x509.CreateCertificate(rand.Reader, &want, &want, &ca.key.PublicKey, ca.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// headed is a certificate with PEM headers.
func headed(text string) string {
	block, _ := pem.Decode([]byte(text))
	return string(pem.EncodeToMemory(&pem.Block{Type: block.Type, Headers: map[string]string{"Name": "CA"},
		Bytes: block.Bytes}))
}

func certificate(t *testing.T, by *authority, until time.Duration, names ...string) (*authority, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	want := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a CA"},
		NotBefore: noon.Add(-100 * time.Hour), NotAfter: noon.Add(until), DNSNames: names,
		IsCA: len(names) == 0, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if by == nil {
		by = &authority{want, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, want, by.cert, &key.PublicKey, by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// withFile mounts a secret where a control plane reads a file, as the chart does, and adds the secret with that
// file's key unless it is nil.
func withFile(objects []apifake.Object, file, secret string, content *string) []apifake.Object {
	for _, o := range objects {
		if o["kind"] == "Deployment" { // its pod has the same spec
			spec := o["spec"].(apifake.Object)["template"].(apifake.Object)["spec"].(apifake.Object)
			c := spec["containers"].([]any)[0].(apifake.Object)
			c["volumeMounts"] = []any{apifake.Object{"name": "of-" + secret, "mountPath": path.Dir(file)}}
			spec["volumes"] = []any{apifake.Object{"name": "of-" + secret, "secret": apifake.Object{"secretName": secret}}}
		}
	}
	if content == nil {
		return objects
	}
	return append(objects, apifake.Secret("kong-mesh-system", secret, map[string]string{path.Base(file): *content}))
}

// findings are the names of what check finds about the trust between a global and west, each with who it is about.
func findings(t *testing.T, fl fleet) []string {
	t.Helper()
	f := fl.facts(t, kongmesh.CheckProvider(), nil)
	var ids []string
	for _, x := range check.Run(check.Rules(), f, check.Options{}) {
		id, of := x.Name, x.Object
		switch {
		case id != "" && (strings.HasPrefix(id, "zone-") || strings.HasPrefix(id, "global-certificate")):
		case slices.Contains([]string{"XA033", "XA034", "XA035"}, x.Rule):
			id = x.Rule
		default:
			continue
		}
		ids = append(ids, id+" "+x.Member)
		if x.Found == "" || of == "" || x.Severity != finding.Info && x.Remedy == "" {
			t.Errorf("%+v says too little", x)
		}
	}
	slices.Sort(ids)
	return ids
}

func TestTheTrustBetweenAZoneAndTheGlobalIsFound(t *testing.T) {
	ca, caPEM := certificate(t, nil, 9000*time.Hour)
	_, otherPEM := certificate(t, nil, 9000*time.Hour)
	_, soonPEM := certificate(t, nil, time.Hour)
	_, leaf := certificate(t, ca, 9000*time.Hour, dialled, "kong-mesh-global-zone-sync.kong-mesh-system")
	_, misnamed := certificate(t, ca, 9000*time.Hour, "elsewhere.example.test")
	_, expired := certificate(t, ca, -time.Hour, dialled)
	again, withHeaders := renewed(t, ca), headed(caPEM)
	both, none := otherPEM+caPEM, "-----BEGIN NOTHING-----\n-----END NOTHING-----\n"
	global := func(cert *string, env ...any) []apifake.Object {
		env = append(env, apifake.Variable("KUMA_MULTIZONE_GLOBAL_KDS_TLS_CERT_FILE", serverCert),
			apifake.Variable("KUMA_GENERAL_TLS_CERT_FILE", general))
		return withFile(append([]apifake.Object{key("1")}, apifake.Global("2.13.10", map[string]bool{"west": true},
			env...)...), serverCert, "kds-server", cert)
	}
	zone := func(version string, ca *string, env ...any) []apifake.Object {
		return withFile(apifake.Zone(version, "west", env...), zoneCA, "kds-client", ca)
	}
	file := apifake.Variable(rootCA, zoneCA)
	for _, tc := range []struct {
		name         string
		global, west []apifake.Object
		want         string
	}{
		{"all is well", global(&leaf), zone("2.13.10", &caPEM, file), ""},
		{"a bundle, while the CA changes", global(&leaf), zone("2.13.10", &both, file), ""},
		{"another CA", global(&leaf), zone("2.13.10", &otherPEM, file), "zone-refuses-global west"},
		{"another name", global(&misnamed), zone("2.13.10", &caPEM, file), "zone-dials-other-name west"},
		{"the certificate has expired, which is no matter of who signed it", global(&expired),
			zone("2.13.10", &caPEM, file), "XA033 hub"},
		{"a CA renewed under its own key, younger than the leaf", global(&leaf), zone("2.13.10", &again, file), ""},
		{"a CA with PEM headers, which the zone skips", global(&leaf), zone("2.13.10", &withHeaders, file),
			"zone-ca-malformed west"},
		{"the CA expires soon", global(&leaf), zone("2.13.10", &soonPEM, file), "XA035 west, zone-refuses-global west"},
		{"it is told not to verify, whatever its CA", global(&leaf), zone("2.13.10", &caPEM, file,
			apifake.Variable(skip, "true")), "zone-does-not-verify west"},
		{"in the loader's other words", global(&leaf), zone("2.13.10", &caPEM, file, apifake.Variable(skip, "1")),
			"zone-does-not-verify west"},
		{"it is told to verify", global(&leaf), zone("2.13.10", &caPEM, file, apifake.Variable(skip, "false")), ""},
		{"before 2.3 nothing tells it not to", global(&leaf), zone("2.2.0", &caPEM, file, apifake.Variable(skip, "true")),
			""},
		{"before 2.3 no CA is no verification", global(&leaf), zone("2.2.0", nil), "zone-does-not-verify west"},
		{"from 2.3 on no CA is that of its image", global(&leaf), zone("2.3.0", nil), "zone-ca-unknown west"},
		{"no CA and no version", global(&leaf), zone("latest", nil), "zone-ca-unknown west"},
		{"what says whether it verifies is not seen", global(&leaf), zone("2.13.10", &caPEM, file,
			apifake.SecretVariable(skip, "settings", "skip")), "zone-ca-unknown west"},
		{"a file that no secret gives", global(&leaf), zone("2.13.10", &caPEM, apifake.Variable(rootCA, "/etc/ssl/ca.crt")),
			"zone-ca-unknown west"},
		{"a secret that is not there", global(&leaf), zone("2.13.10", nil, file), "zone-ca-missing west"},
		{"a CA that is none", global(&leaf), zone("2.13.10", &none, file), "zone-ca-malformed west"},
		{"the global's secret is not there", global(nil), zone("2.13.10", &caPEM, file), "global-certificate-missing hub"},
		{"the global's certificate is none", global(&none), zone("2.13.10", &caPEM, file),
			"global-certificate-malformed hub"},
		{"something before the global has it", global(&leaf, apifake.Variable("KUMA_MULTIZONE_GLOBAL_KDS_TLS_ENABLED",
			"false")), zone("2.13.10", &otherPEM, file), "global-certificate-unknown hub"},
		{"nothing names the global's", mesh("")["global"], zone("2.13.10", &caPEM, file), "global-certificate-unknown hub"},
		{"the general one", withFile(append([]apifake.Object{key("1")}, apifake.Global("2.13.10",
			map[string]bool{"west": true}, apifake.Variable("KUMA_GENERAL_TLS_CERT_FILE", general))...), general,
			"kong-mesh-tls-cert", &leaf),
			zone("2.13.10", &otherPEM, file), "zone-refuses-global west"},
		{"the global runs with an older one", rewritten(global(&leaf), "kds-server"), zone("2.13.10", &caPEM, file),
			"global-certificate-older hub"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := strings.Join(findings(t, fleet{"global": tc.global, "west": tc.west}), ", "); got != tc.want {
				t.Errorf("found %q, want %q", got, tc.want)
			}
		})
	}
}

// What is true of the certificate's reload is said by version: in the order of 2.x a global of 3.0 would cut zones off.
func TestHowAServedCertificateIsRenewedIsSaidByVersion(t *testing.T) {
	ca, _ := certificate(t, nil, 9000*time.Hour)
	_, leaf := certificate(t, ca, time.Hour, dialled)
	for version, tc := range map[string]struct {
		older bool
		says  string
	}{
		"2.13.10": {true, "renew it there; once every zone verifies the new one, restart the global"},
		"3.0.0":   {false, "first give every zone the CA of the new certificate"},
		"3.1.2":   {false, "without a restart"},
		"latest":  {true, "first give every zone the CA of the new certificate"},
	} {
		env := []any{apifake.Variable("KUMA_MULTIZONE_GLOBAL_KDS_TLS_CERT_FILE", serverCert)}
		global := append([]apifake.Object{key("1")}, apifake.Global(version, map[string]bool{"west": true}, env...)...)
		fl := fleet{"global": rewritten(withFile(global, serverCert, "kds-server", &leaf), "kds-server"),
			"west": apifake.Zone("2.13.10", "west")}
		f := fl.facts(t, kongmesh.CheckProvider(), nil)
		remedy, older := "", false
		for _, x := range check.Run(check.Rules(), f, check.Options{}) {
			if x.Name == "global-certificate-older" {
				older = true
			}
			if x.Rule == "XA035" {
				remedy = x.Remedy
			}
		}
		if older != tc.older || !strings.Contains(remedy, tc.says) {
			t.Errorf("%s: an older certificate is served: %v, want %v; remedy %q, want %q in it", version, older, tc.older,
				remedy, tc.says)
		}
	}
}

// rewritten has a secret written after the pods beside it were made.
func rewritten(objects []apifake.Object, name string) []apifake.Object {
	for _, o := range objects {
		meta := o["metadata"].(apifake.Object)
		switch {
		case o["kind"] == "Pod":
			meta["creationTimestamp"] = noon.Add(-time.Hour).Format(time.RFC3339)
		case meta["name"] == name:
			meta["creationTimestamp"] = noon.Format(time.RFC3339)
		}
	}
	return objects
}

// A setting in the configuration file counts where no variable goes before it.
func TestTheConfigurationFileSaysHowAZoneVerifies(t *testing.T) {
	for config, want := range map[string]string{
		"multizone: {zone: {kds: {tlsSkipVerify: true}}}":                                             "zone-does-not-verify west",
		"multizone: {zone: {kds: {tlsSkipVerify: false}}}":                                            "zone-ca-unknown west",
		"multizone: {zone: {kds: {rootCaFile: " + zoneCA + "}}}":                                      "zone-ca-missing west",
		"multizone: {zone: {kds: {tlsSkipVerify: [], rootCaFile: " + zoneCA + "}}}":                   "zone-ca-unknown west",
		"multizone: {zone: {kds: {tlsSkipVerify: true}}}\nmode: zone # and what is not of interest\n": "zone-does-not-verify west",
	} {
		west := append(withFile(apifake.Zone("2.13.10", "west"), zoneCA, "kds-client", nil),
			apifake.Object{"apiVersion": "v1", "kind": "ConfigMap",
				"metadata": apifake.Object{"name": "kong-mesh-control-plane-config", "namespace": "kong-mesh-system"},
				"data":     apifake.Object{"config.yaml": config}})
		if got := findings(t, fleet{"global": mesh("")["global"], "west": west}); !slices.Contains(got, want) {
			t.Errorf("%s: found %v, want %s", config, got, want)
		}
	}
}

// Who plans to give a zone a token is told that the zone gives it to whoever answers; it stands in nobody's way.
func TestAPlanSaysWhoDoesNotVerifyTheGlobal(t *testing.T) {
	for name, tc := range map[string]struct {
		env  []any
		says string
	}{
		"it is told not to": {[]any{apifake.Variable(skip, "true")}, skip + " is true"},
		"not known":         {nil, ""},
	} {
		fl := fleet{"global": append(mesh("")["global"], apifake.Object{"apiVersion": "v1", "kind": "Namespace",
			"metadata": apifake.Object{"name": "xcpauth-system"}}), "west": apifake.Zone("2.13.10", "west", tc.env...)}
		d := kongmesh.Provider()
		f := fl.facts(t, d, nil)
		p := plan.Build(d, f, d.Complete(f, plan.Goal{Pace: plan.Pace{Within: time.Minute}}))
		var said []string
		for _, n := range p.Notes {
			said = append(said, n.Member+": "+n.Why)
		}
		if text := strings.Join(said, "\n"); len(p.Obstacles) != 0 || p.Changes() == 0 || (tc.says == "") != (text == "") ||
			!strings.Contains(text, tc.says) {
			t.Errorf("%s: noted %q, blocked %v, %d changes", name, text, p.Obstacles, p.Changes())
		}
	}
}
