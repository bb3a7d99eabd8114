package zonetoken

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

// BenchmarkVerify has the bare verification of the signature beside the product's answer, and beside all that is said
// of a token.
func BenchmarkVerify(b *testing.B) {
	raw := []byte(signed(key1, header1, body("")))
	v := Verifier{Version: Version{KongMesh, 2, 14, 3, ""}, Keys: keySet("zone-token-signing-key-1"),
		Revocations: ParseRevocations([]byte(strings.Repeat(idB+",", 100) + idC)), Zone: "west"}
	parts := strings.Split(string(raw), ".")
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		b.Fatal(err)
	}
	b.Run("RSA alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if rsa.VerifyPKCS1v15(&key1.PublicKey, crypto.SHA256, sum[:], sig) != nil {
				b.Fatal("not verified")
			}
		}
	})
	b.Run("the product's answer", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if v.Ask(raw, now).Outcome != Accepted {
				b.Fatal("not accepted")
			}
		}
	})
	b.Run("the whole evaluation", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if j := v.Assess(raw, now); !j.Ours.Valid {
				b.Fatal(j.Ours.Why)
			}
		}
	})
}
