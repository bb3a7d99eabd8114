package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// pair makes a self-signed certificate with its key, PEM.
func pair(t *testing.T, name string) (cert, key []byte) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// ownFile writes a file that nobody else may read.
func ownFile(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWhatComesFromOutsideMustGoTogether(t *testing.T) {
	cert, key := pair(t, "tsb.example.test")
	otherCert, otherKey := pair(t, "other.example.test")
	open := ownFile(t, key)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := ownFile(t, cert), ownFile(t, key)
	shown := plan.Goal{Sources: plan.Sources{Pair: &plan.Certificate{Chain: cert}}}
	for _, tc := range []struct {
		name   string
		flags  supplyFlags
		goal   plan.Goal
		saved  bool
		writes bool
		says   string // "" when all is well
	}{
		{"nothing", supplyFlags{}, plan.Goal{}, false, true, ""},
		{"a pair", supplyFlags{cert: certFile, key: keyFile}, plan.Goal{}, false, true, ""},
		{"a certificate to plan with", supplyFlags{cert: certFile}, plan.Goal{}, false, false, ""},
		{"a certificate to write", supplyFlags{cert: certFile}, plan.Goal{}, false, true,
			"the private key of the certificate is needed to write it; pass --central-key"},
		{"a key alone", supplyFlags{key: keyFile}, plan.Goal{}, false, true,
			"--central-key and --central-ca go with --central-cert"},
		{"another's key", supplyFlags{cert: certFile, key: ownFile(t, otherKey)}, plan.Goal{}, false, true,
			"the key of --central-key does not go with the certificate: tls: private key does not match public key"},
		{"a certificate for a key", supplyFlags{cert: certFile, key: certFile}, plan.Goal{}, false, true,
			"the key of --central-key does not go with the certificate"},
		{"a key for a certificate", supplyFlags{cert: keyFile, key: keyFile}, plan.Goal{}, false, true,
			"the given certificate: it holds no PEM certificate"},
		{"a CA that is none", supplyFlags{cert: certFile, key: keyFile, ca: keyFile}, plan.Goal{}, false, true,
			"the given CA: it holds no PEM certificate"},
		{"a key that others may read", supplyFlags{cert: certFile, key: open}, plan.Goal{}, false, true, "run: chmod 600"},
		{"two sources", supplyFlags{secrets: "a", tctl: "tctl"}, plan.Goal{}, false, true,
			"--secrets and --tctl both say where credentials come from; pass one of them"},
		{"a profile of nothing", supplyFlags{profile: "a"}, plan.Goal{}, false, true, "--tctl-profile goes with --tctl"},
		{"a tctl that is not there", supplyFlags{tctl: filepath.Join(t.TempDir(), "tctl")}, plan.Goal{}, false, true,
			"put it on PATH, or name it with --tctl=PATH"},
		{"a hub's certificate without a hub", supplyFlags{cert: certFile, key: keyFile}, plan.Goal{NoHub: true}, false, true,
			"--central-cert is written in the hub, and --no-hub does without"},
		{"a saved plan, its key given again", supplyFlags{key: keyFile}, shown, true, true, ""},
		{"a saved plan, all given again", supplyFlags{cert: certFile, key: keyFile}, shown, true, true, ""},
		{"a saved plan, without its key", supplyFlags{}, shown, true, true, "pass --central-key"},
		{"a saved plan, another certificate", supplyFlags{cert: ownFile(t, otherCert), key: ownFile(t, otherKey)}, shown,
			true, true, "the saved plan is stale: the certificate of --central-cert"},
		{"a saved plan without a certificate", supplyFlags{cert: certFile, key: keyFile}, plan.Goal{}, true, true,
			"the saved plan writes no certificate"},
		{"a saved plan, its manifests not given again", supplyFlags{},
			plan.Goal{Sources: plan.Sources{Supplied: "the manifest a"}}, true, true,
			"the saved plan takes credentials from the manifest a, which is not kept in it; pass --secrets or --tctl again"},
		{"a saved plan that needs none", supplyFlags{secrets: certFile}, plan.Goal{}, true, true,
			"the saved plan takes no credentials from outside"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			given, err := tc.flags.read(&tc.goal, tc.saved, tc.writes)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Fatalf("error %v, want %q", err, tc.says)
			}
			if err != nil {
				return
			}
			if (tc.flags.key != "") != (given.fills[plan.PairSecretField] != nil) ||
				(tc.flags.cert != "" && string(tc.goal.Pair.Chain) != string(cert)) {
				t.Errorf("brought %+v into %+v", given, tc.goal)
			}
		})
	}
}

// The key is added to what is written, and to nothing that may be shown or kept.
func TestThePrivateKeyIsInNothingButTheWrite(t *testing.T) {
	cert, key := pair(t, "tsb.example.test")
	goal := plan.Goal{}
	given, err := (&supplyFlags{cert: ownFile(t, cert), key: ownFile(t, key)}).read(&goal, false, true)
	if err != nil {
		t.Fatal(err)
	}
	patch := plan.Write{SecretField: plan.PairSecretField, After: map[string]any{"data": map[string]any{"tls.crt": "x"}}}
	body := map[string]any{"data": patch.After["data"]}
	given.fills[plan.PairSecretField](body)
	encoded := base64.StdEncoding.EncodeToString(key)
	if data, _ := body["data"].(map[string]any); data["tls.key"] != encoded || data["tls.crt"] != "x" {
		t.Error("the write lacks the key, or the certificate")
	}
	saved, err := json.Marshal(plan.Save(plan.State{}, plan.Plan{Goal: goal,
		Waves: []plan.Wave{{Steps: []plan.Step{{Writes: []plan.Write{patch}}}}}}, "me"))
	if err != nil {
		t.Fatal(err)
	}
	inKey := string(key[30:80]) // of the PEM block's body
	for _, shown := range []string{string(saved), fmt.Sprintf("%+v", goal), fmt.Sprintf("%+v", patch)} {
		if strings.Contains(shown, encoded[40:80]) || strings.Contains(shown, inKey) {
			t.Errorf("the key is in %s", shown)
		}
	}
	var again plan.Saved
	if err := json.Unmarshal(saved, &again); err != nil || string(again.Goal.Pair.Chain) != string(cert) {
		t.Errorf("the certificate is not kept in the saved plan: %v", err)
	}
}
