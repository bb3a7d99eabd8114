package zonetoken

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Keys that all tests share: making them is what takes time.
var key1, key2, key1024 = newKey(2048), newKey(2048), newKey(1024)

func newKey(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// forms are a key in every form in which it is found.
var forms = func() map[string][]byte {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key1)
	if err != nil {
		panic(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	sec1, err := x509.MarshalECPrivateKey(curve)
	if err != nil {
		panic(err)
	}
	good, der := EncodeKey(key1), x509.MarshalPKCS1PrivateKey(key1)
	return map[string][]byte{
		"pkcs1": good, "pkcs8": block("PRIVATE KEY", pkcs8), "ec": block("EC PRIVATE KEY", sec1), "der": der,
		"der twice": []byte(base64.StdEncoding.EncodeToString(der)),
		"twice":     []byte(base64.StdEncoding.EncodeToString(good)), "public": block("RSA PUBLIC KEY",
			x509.MarshalPKCS1PublicKey(&key1.PublicKey)),
		"certificate": block("CERTIFICATE", []byte("x")), "cut": good[:200], "not a key": block(privateBlock, []byte("x")),
		"two":          append(slices.Clone(good), EncodeKey(key2)...),
		"prose before": append([]byte("my key:\n"), good...), "encrypted": pem.EncodeToMemory(&pem.Block{Type: privateBlock,
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")}),
		"short": EncodeKey(key1024), "empty": nil, "prose": []byte("hello"),
	}
}()

// found is a global secret in the control plane's namespace.
func found(name string, value []byte) Secret {
	return Secret{Namespace: KongNamespace, Name: name, Type: SecretType, Value: plan.NewSecret(value)}
}

func keySet(names ...string) KeySet {
	var secrets []Secret
	for i, n := range names {
		secrets = append(secrets, found(n, EncodeKey([]*rsa.PrivateKey{key1, key2}[i%2])))
	}
	return ReadKeys(KongNamespace, secrets)
}

// Which secret signs, with which kid, whether the product then finds the key again, what is found wrong, and which
// serial comes next.
func TestWhichKeySigns(t *testing.T) {
	for _, tc := range []struct {
		names    []string
		signs    string // the kid; "" when none does
		with     string // its secret
		verifies bool   // tokens of that kid are verified with the same secret
		findings []string
		next     int
	}{
		{[]string{"zone-token-signing-key-1"}, "1", "zone-token-signing-key-1", true, nil, 2},
		{[]string{"zone-token-signing-key-1", "zone-token-signing-key-2"}, "2", "zone-token-signing-key-2", true, nil, 3},
		{[]string{"zone-token-signing-key-9", "zone-token-signing-key-10"}, "10", "zone-token-signing-key-10", true, nil, 11},
		{[]string{"zone-token-signing-key-3", "zone-token-signing-key-7"}, "7", "zone-token-signing-key-7", true, nil, 8},
		{[]string{"zone-token-signing-key"}, "0", "zone-token-signing-key", true, []string{"key-kid-0"}, 1},
		{[]string{"zone-token-signing-key", "zone-token-signing-key-1"}, "1", "zone-token-signing-key-1", true,
			[]string{"key-kid-0"}, 2},
		{[]string{"zone-token-signing-key-0001"}, "1", "zone-token-signing-key-0001", false,
			[]string{"key-padded", "key-signer-not-verifier"}, 2},
		{[]string{"zone-token-signing-key-1", "zone-token-signing-key-0002"}, "2", "zone-token-signing-key-0002", false,
			[]string{"key-padded", "key-signer-not-verifier"}, 3},
		{[]string{"zone-token-signing-key-0001", "zone-token-signing-key-1"}, "1", "zone-token-signing-key-0001", false,
			[]string{"key-padded", "key-serial-twice", "key-signer-not-verifier"}, 2},
		{[]string{"zone-token-signing-key-0"}, "0", "zone-token-signing-key-0", false,
			[]string{"key-padded", "key-signer-not-verifier"}, 1},
		{[]string{"zone-token-signing-key-1", "zone-token-signing-key-old"}, "1", "zone-token-signing-key-1", true,
			[]string{"key-suffix"}, 2},
		{[]string{"zone-token-signing-key-1.old"}, "0", "zone-token-signing-key-1.old", false,
			[]string{"key-suffix", "key-signer-not-verifier"}, 1},
		{[]string{"zone-token-signing-key-99999999999999999999"}, "0", "zone-token-signing-key-99999999999999999999", false,
			[]string{"key-padded", "key-signer-not-verifier"}, 1},
		{[]string{"zone-token-signing-keyring"}, "0", "zone-token-signing-keyring", false,
			[]string{"key-suffix", "key-signer-not-verifier"}, 1},
		{[]string{"zone-token-signing-key--5"}, "", "", false, []string{"key-negative", "key-none"}, 1},
		{[]string{"zone-token-signing-key-zone-token-signing-key-3"}, "3", "zone-token-signing-key-zone-token-signing-key-3",
			false, []string{"key-suffix", "key-signer-not-verifier"}, 4},
		{[]string{"zone-token-signing-public-key-1", "user-token-signing-key-1", "control-plane-signing-key-0001",
			"dataplane-token-signing-key-default-1"}, "", "", false, []string{"key-none"}, 1},
		{nil, "", "", false, []string{"key-none"}, 1},
	} {
		t.Run(fmt.Sprint(tc.names), func(t *testing.T) {
			set := keySet(tc.names...)
			signer, err := set.Signer()
			if tc.signs == "" {
				if err == nil && signer.Name != "" || err != nil && !strings.HasPrefix(err.Error(),
					`there is no signing key with KID 1. GlobalSecret of name "zone-token-signing-key-1" is not found.`) {
					t.Errorf("%v, %v signs", signer.Name, err)
				}
			} else if err != nil || signer.Signs != tc.signs || signer.Name != tc.with {
				t.Errorf("%v signs with kid %v (%v), want %v with %v", signer.Name, signer.Signs, err, tc.with, tc.signs)
			}
			verifier, err := set.Verifier(tc.signs)
			if got := err == nil && verifier.Name == signer.Name; got != tc.verifies {
				t.Errorf("verified with the same secret: %v (%v), want %v", got, err, tc.verifies)
			}
			var ids []string
			for _, f := range set.Findings() {
				ids = append(ids, f.Name)
			}
			if !slices.Equal(ids, tc.findings) {
				t.Errorf("findings %v, want %v", ids, tc.findings)
			}
			if next, err := set.NextSerial(); err != nil || next != tc.next {
				t.Errorf("the next serial is %d, want %d", next, tc.next)
			}
		})
	}
}

// What the product makes of each form of a key, and what is said of it: reading it, and making the public half for
// the zones.
func TestFormsOfASigningKey(t *testing.T) {
	for _, tc := range []struct {
		form    string
		reads   bool
		sync    string // why the sync stops, a part; "" when it goes on
		finding string
		created string // why it may not be created, a part; "" when it may
	}{
		{"pkcs1", true, "", "", ""},
		{"pkcs8", false, `invalid key encoding "PRIVATE KEY"`, "key-pkcs8", "PKCS#8"},
		{"ec", false, `invalid key encoding "EC PRIVATE KEY"`, "key-ec", "another kind"},
		{"der", true, "nil pointer dereference", "key-der", "not PEM"},
		{"twice", false, "nil pointer dereference", "key-twice-encoded", "base64 of the key"},
		{"der twice", false, "nil pointer dereference", "key-twice-encoded", "base64 of the key"},
		{"public", false, `invalid key encoding "RSA PUBLIC KEY"`, "key-pem", "another kind"},
		{"certificate", false, `invalid key encoding "CERTIFICATE"`, "key-pem", "another kind"},
		{"cut", false, "nil pointer dereference", "key-unreadable", "not PEM"},
		{"not a key", false, "asn1", "key-unreadable", "cannot be read"},
		{"encrypted", false, "asn1", "key-unreadable", "encrypted"},
		{"two", true, "", "key-surplus", "more than one"},
		{"prose before", true, "", "key-surplus", "more than one"},
		{"short", true, "", "key-short", "1024 bits"},
		{"empty", false, "nil pointer dereference", "key-empty", "not PEM"},
		{"prose", false, "nil pointer dereference", "key-unreadable", "not PEM"},
	} {
		t.Run(tc.form, func(t *testing.T) {
			value := forms[tc.form]
			set := ReadKeys(KongNamespace, []Secret{found(KeyName("1"), value)})
			k := set.Keys[0]
			_, err := k.Private()
			if (err == nil) != tc.reads || (k.Public != nil) != tc.reads {
				t.Errorf("read: %v, want %v", err, tc.reads)
			}
			if why := syncBreak(value, err); (why == "") != (tc.sync == "") || !strings.Contains(why, tc.sync) {
				t.Errorf("the sync: %q, want %q", why, tc.sync)
			}
			if tc.finding == "" && len(k.Findings) > 0 || tc.finding != "" && (len(k.Findings) != 1 ||
				k.Findings[0].Name != tc.finding) {
				t.Errorf("findings %+v, want %q", k.Findings, tc.finding)
			}
			if stops := len(k.Findings) > 0 && strings.Contains(k.Findings[0].Found,
				"nothing at all is synced"); stops != (tc.sync != "") {
				t.Errorf("that the sync stops is said: %v", stops)
			}
			if _, err := CheckPEM(value); (err == nil) != (tc.created == "") || err != nil &&
				!strings.Contains(err.Error(), tc.created) {
				t.Errorf("creating it: %v, want %q", err, tc.created)
			}
			said := fmt.Sprintf("%+v %v", set, set.Findings())
			if len(value) >= 80 && (strings.Contains(said, string(value[40:80])) ||
				strings.Contains(said, base64.StdEncoding.EncodeToString(value)[40:80])) {
				t.Errorf("a part of the key is said:\n%s", said)
			}
		})
	}
}

// A secret that the control plane does not see neither signs nor verifies, and is named.
func TestKeysThatAreNotSeen(t *testing.T) {
	opaque := found(KeyName("2"), EncodeKey(key2))
	opaque.Type = "Opaque"
	elsewhere := found(KeyName("2"), EncodeKey(key2))
	elsewhere.Namespace = KumaNamespace
	meshed := found(KeyName("2"), EncodeKey(key2))
	meshed.Labels = map[string]string{meshLabel: "default"}
	for _, tc := range []struct {
		secret  Secret
		finding string
		seen    bool
	}{{opaque, "key-type", false}, {elsewhere, "key-namespace", false}, {meshed, "key-mesh-label", true}} {
		set := ReadKeys(KongNamespace, []Secret{found(KeyName("1"), EncodeKey(key1)), tc.secret})
		signer, err := set.Signer()
		if err != nil || (signer.Signs == "2") != tc.seen || !has(set.Findings(), tc.finding) {
			t.Errorf("%s: %v signs, %v, %+v", tc.finding, signer.Name, err, set.Findings())
		}
		if next, err := set.NextSerial(); err != nil || next != 3 {
			t.Errorf("%s: next is %d, %v", tc.finding, next, err)
		}
		if _, err := set.Verifier("2"); (err == nil) != tc.seen {
			t.Errorf("%s: verified: %v", tc.finding, err)
		}
	}
	if next, err := keySet(KeyName("9223372036854775807")).NextSerial(); err == nil {
		t.Errorf("%d comes after the highest serial that there is", next)
	}
	if f := ReadKeys(KongNamespace, []Secret{opaque}).Findings(); !has(f, "key-none") {
		t.Errorf("%+v", f)
	}
	if f := ReadKeys(KongNamespace, []Secret{found(KeyName("1"), EncodeKey(key1)),
		found(KeyName("2"), forms["pkcs8"])}).Findings(); !has(f, "key-signer-unreadable") {
		t.Errorf("%+v", f)
	}
}

func TestTheManifestOfAKey(t *testing.T) {
	m, err := KeyManifest(KongNamespace, 2, EncodeKey(key1))
	if err != nil {
		t.Fatal(err)
	}
	meta := m["metadata"].(map[string]any)
	value, err := base64.StdEncoding.DecodeString(m["data"].(map[string]any)["value"].(string))
	if err != nil || !bytes.Equal(value, EncodeKey(key1)) || m["type"] != "system.kuma.io/global-secret" ||
		meta["name"] != "zone-token-signing-key-2" || meta["namespace"] != "kong-mesh-system" {
		t.Errorf("%v, %v", m, err)
	}
	for name, bad := range map[string]func() (map[string]any, error){
		"serial 0": func() (map[string]any, error) { return KeyManifest(KongNamespace, 0, EncodeKey(key1)) },
		"PKCS#8":   func() (map[string]any, error) { return KeyManifest(KongNamespace, 1, forms["pkcs8"]) },
	} {
		if m, err := bad(); err == nil {
			t.Errorf("%s: %v", name, m)
		}
	}
}

// No name and no value makes reading panic; what may be created is read by the product and stops no sync; nothing
// repeats the value.
func FuzzKeys(f *testing.F) {
	for _, value := range forms {
		f.Add("zone-token-signing-key-1", value)
	}
	f.Add("zone-token-signing-key-0002", []byte("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Add("zone-token-signing-key-zone-token-signing-key-3", []byte(nil))
	f.Fuzz(func(t *testing.T, name string, value []byte) {
		set := ReadKeys("", []Secret{{Name: name, Type: SecretType, Value: plan.NewSecret(value)}})
		findings := set.Findings()
		next, err := set.NextSerial()
		if strings.HasPrefix(name, KeyPrefix) != (len(set.Keys) == 1) || err == nil &&
			(next < 1 || len(set.Keys) > 0 && next <= set.Keys[0].Serial) {
			t.Errorf("%d keys, next %d", len(set.Keys), next)
		}
		if _, err := CheckPEM(value); err == nil {
			if _, err := readPrivate(value); err != nil || syncBreak(value, err) != "" {
				t.Errorf("it may be created, and the product fails on it: %v, %s", err, syncBreak(value, err))
			}
		} else if len(value) > 40 && strings.Contains(err.Error(), string(value[len(value)/2:])) {
			t.Errorf("a part of the value is said: %v", err)
		}
		if k, err := set.Signer(); err == nil && k.Verifies == k.Signs && !has(findings, "key-surplus") &&
			!has(findings, "key-short") && !has(findings, "key-kid-0") && !has(findings, "key-der") && len(findings) > 0 {
			t.Errorf("a good key has findings: %+v", findings)
		}
	})
}
