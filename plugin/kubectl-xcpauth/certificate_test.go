package main

import (
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// centralFleet is a hub whose certificate lacks the names that its edges dial: a DNS name, and an address.
func centralFleet(t *testing.T) (kubeconfig string) {
	t.Helper()
	cert, _ := pair(t, "central.xcp.tetrate.io")
	hub := append(apifake.Hub("eu", "us"), apifake.Secret("tsb", "xcp-central-cert",
		map[string]string{"tls.crt": string(cert), "ca.crt": string(cert)}))
	us := apifake.Edge("us")
	us[1]["spec"].(apifake.Object)["managementPlane"].(apifake.Object)["host"] = "192.0.2.7"
	return serve(t, map[string]*apifake.Server{"hub": apifake.Start(hub...), "eu": apifake.Start(apifake.Edge("eu")...),
		"us": apifake.Start(us...)}, nil)
}

func TestARequestHasEveryNameAndItsKeyIsKeptOnce(t *testing.T) {
	kubeconfig, keyFile := centralFleet(t), filepath.Join(t.TempDir(), "central.key")
	r := xcpauth(t, kubeconfig, "certificate", "request", "--key-out", keyFile, "--central-name", "standby.example.test")
	if r.code != 0 {
		t.Fatalf("exit code %d\n%s", r.code, r.err)
	}
	block, rest := pem.Decode([]byte(r.out))
	if block == nil || len(rest) > 0 {
		t.Fatalf("not one PEM block:\n%s", r.out)
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := csr.CheckSignature(); err != nil {
		t.Error(err)
	}
	if want := []string{"central.xcp.tetrate.io", "standby.example.test",
		"tsb.example.test"}; !slices.Equal(csr.DNSNames, want) {
		t.Errorf("DNS names %v, want %v", csr.DNSNames, want)
	}
	if len(csr.IPAddresses) != 1 || csr.IPAddresses[0].String() != "192.0.2.7" || len(csr.URIs) != 1 ||
		csr.URIs[0].String() != "spiffe://xcp.tetrate.io/central" {
		t.Errorf("addresses %v, URIs %v", csr.IPAddresses, csr.URIs)
	}
	if !slices.ContainsFunc(csr.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidExtKeyUsage) }) {
		t.Error("no extended key usages are asked for")
	}
	for _, says := range []string{"server auth, client auth: both extended key usages must be in the certificate",
		"--central-cert CERTIFICATE --central-key " + keyFile} {
		if !strings.Contains(strings.Join(strings.Fields(r.err), " "), says) {
			t.Errorf("stderr does not say %q:\n%s", says, r.err)
		}
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(keyFile); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info.Mode(), err)
	}
	if strings.Contains(r.out+r.err, strings.Split(string(key), "\n")[1]) {
		t.Error("the key was printed")
	}
	if k, err := x509.ParsePKCS8PrivateKey(pemBytes(t, key)); err != nil || !samePublic(k, csr.PublicKey) {
		t.Errorf("the key is not the request's: %v", err)
	}

	again := xcpauth(t, kubeconfig, "certificate", "request", "--key-out", keyFile)
	if now, err := os.ReadFile(keyFile); again.code != 1 || again.out != "" ||
		!strings.Contains(again.err, "is there already, and is not overwritten") || err != nil || string(now) != string(key) {
		t.Errorf("a second request: exit code %d, %s, %v", again.code, again.err, err)
	}
	if none := xcpauth(t, kubeconfig, "certificate", "request"); none.code != 1 ||
		!strings.Contains(none.err, "name one with --key-out") {
		t.Errorf("without a file: %d, %s", none.code, none.err)
	}
}

func TestTheCertificateReportsHaveTheSameFactsInEveryFormat(t *testing.T) {
	kubeconfig := centralFleet(t)
	for format, decode := range map[string]func([]byte, any) error{"json": json.Unmarshal,
		"yaml": func(b []byte, v any) error { return yaml.Unmarshal(b, v) }} {
		var request struct {
			Kind, KeyFile, Request string
			Names, URIs, Usages    []string
		}
		file := filepath.Join(t.TempDir(), "key")
		r := xcpauth(t, kubeconfig, "certificate", "request", "--key-out", file, "-o", format)
		if err := decode([]byte(r.out), &request); err != nil || r.code != 0 || request.Kind != "CertificateRequest" ||
			request.KeyFile != file || len(request.Usages) != 2 ||
			!strings.HasPrefix(request.Request, "-----BEGIN CERTIFICATE REQUEST-----") ||
			fmt.Sprint(request.Names) != "[192.0.2.7 central.xcp.tetrate.io tsb.example.test]" {
			t.Errorf("%s: %v, %+v", format, err, request)
		}
		var show struct {
			Dialled []string
			Hubs    []struct {
				Hub, Issuer, CA, Changes string
				Names, Lacks             []string
			}
		}
		r = xcpauth(t, kubeconfig, "certificate", "show", "-o", format)
		if err := decode([]byte(r.out), &show); err != nil || r.code != 0 || len(show.Hubs) != 1 {
			t.Fatalf("%s: %v, %+v", format, err, show)
		}
		h := show.Hubs[0]
		if fmt.Sprint(h.Lacks) != "[192.0.2.7 tsb.example.test]" || h.Issuer != "by hand" ||
			!strings.HasPrefix(h.CA, "private") || !strings.Contains(h.Changes, "kubectl xcpauth certificate request") {
			t.Errorf("%s: %+v", format, h)
		}
	}
	table := xcpauth(t, kubeconfig, "certificate", "show", "--central-name", "central.xcp.tetrate.io")
	for _, says := range []string{"hub: secret tsb/xcp-central-cert in context hub", "lacks: 192.0.2.7, tsb.example.test",
		"names: central.xcp.tetrate.io", "issuer: by hand"} {
		if !strings.Contains(strings.Join(strings.Fields(table.out), " "), says) {
			t.Errorf("the table does not say %q:\n%s", says, table.out)
		}
	}
}

func pemBytes(t *testing.T, text []byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatal("not PEM")
	}
	return block.Bytes
}

// samePublic says whether a private key belongs to a public one.
func samePublic(private, public any) bool {
	k, ok := private.(*rsa.PrivateKey)
	return ok && k.PublicKey.Equal(public)
}
