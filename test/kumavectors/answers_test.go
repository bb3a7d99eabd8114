package kumavectors

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// recorded are the rows, with their materials.
func recorded(t *testing.T) Golden {
	t.Helper()
	g, err := Recorded()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// static are the keys of a global's configuration.
func (g Golden) static(t *testing.T, s Settings) map[string]*rsa.PublicKey {
	t.Helper()
	all := map[string]*rsa.PublicKey{}
	for kid, name := range s.Static {
		block, _ := pem.Decode(g.Materials[name])
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if block.Type == "PUBLIC KEY" {
			var any any
			if any, err = x509.ParsePKIXPublicKey(block.Bytes); err == nil {
				key = any.(*rsa.PublicKey)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		all[kid] = key
	}
	return all
}

// The stand-in gives Kuma's answer to every vector: the code, and the text in full; and it issues with the same key.
func TestTheStandInAnswersEachVectorAsKumaDoes(t *testing.T) {
	g := recorded(t)
	for _, row := range g.Rows {
		t.Run(row.Name, func(t *testing.T) {
			secrets := &kumasim.Memory{}
			for name, value := range row.Settings.Secrets {
				if err := secrets.Put(kumasim.GlobalSecret(name, g.Materials[value])); err != nil {
					t.Fatal(err)
				}
			}
			if list := row.Settings.Revocations; list != "" {
				if err := secrets.Put(kumasim.GlobalSecret("zone-token-revocations", []byte(list))); err != nil {
					t.Fatal(err)
				}
			}
			global, err := kumasim.New(kumasim.Options{
				Source: secrets, Auth: kumasim.AuthZoneToken, Now: func() time.Time { return Now },
				PublicKeys: g.static(t, row.Settings), SecretsOff: row.Settings.SecretsOff,
			})
			if err != nil {
				t.Fatal(err)
			}
			token, got := row.Token, Answer{}
			if row.Issue {
				if token, err = global.Issue(Zone, []string{"cp"}, time.Hour); err != nil {
					got = Answer{Code: "not issued", Text: err.Error()}
				} else {
					got.Issued = kid(t, token)
				}
			}
			if err == nil {
				err = global.Ask(Zone, token)
				got.Code = status.Code(err).String()
				if err != nil {
					got.Text = status.Convert(err).Message()
				}
			}
			if got != row.Kuma {
				t.Errorf("the stand-in says\n%+v\nand Kuma\n%+v", got, row.Kuma)
			}
		})
	}
}

// kid is a token's.
func kid(t *testing.T, token string) string {
	t.Helper()
	z, err := zonetoken.ReadZone([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	return z.KeyID
}

// otherwise is where our verifier answers in other words than Kuma, for a reason.
var otherwise = map[string]string{
	// It is not told that secrets are off, and so names the secret that would be looked for; Kuma's static accessor has no
	// prefix to name it with.
	"secrets off": `invalid zone token: there is no signing key with KID 1. ` +
		`GlobalSecret of name "zone-token-signing-key-1" is not found. If signing key was rotated, regenerate the token`,
}

// Our verifier gives Kuma's answer to every vector, fit to be printed, and finds the key with which Kuma signs.
func TestOurVerifierAnswersEachVectorAsKumaDoes(t *testing.T) {
	g := recorded(t)
	version, err := zonetoken.ParseVersion(zonetoken.KongMesh, "2.14.3")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range g.Rows {
		t.Run(row.Name, func(t *testing.T) {
			var secrets []zonetoken.Secret
			for _, name := range slices.Sorted(maps.Keys(row.Settings.Secrets)) {
				if !row.Settings.SecretsOff {
					secrets = append(secrets, zonetoken.Secret{
						Namespace: zonetoken.KongNamespace, Name: name, Type: zonetoken.SecretType,
						Value: plan.NewSecret(g.Materials[row.Settings.Secrets[name]]),
					})
				}
			}
			keys := zonetoken.ReadKeys(zonetoken.KongNamespace, secrets)
			if row.Issue {
				signer, err := keys.Signer()
				got := Answer{Issued: signer.Signs, Code: row.Kuma.Code, Text: row.Kuma.Text}
				if err != nil {
					got = Answer{Code: "not issued", Text: err.Error()}
				}
				if got != row.Kuma {
					t.Errorf("our signer is\n%+v\nand Kuma's\n%+v", got, row.Kuma)
				}
				return
			}
			v := zonetoken.Verifier{
				Version: version, Keys: keys, Revocations: zonetoken.ParseRevocations([]byte(row.Settings.Revocations)), Zone: Zone,
			}
			static := g.static(t, row.Settings)
			for _, kid := range slices.Sorted(maps.Keys(static)) {
				v.Static = append(v.Static, zonetoken.PublicKey{KeyID: kid, Where: "its configuration", Public: static[kid]})
			}
			a := v.Ask([]byte(row.Token), Now)
			got, want := Answer{Code: a.Code, Text: a.Text}, row.Kuma
			switch a.Outcome {
			case zonetoken.Accepted:
				got.Code = codes.OK.String()
			case zonetoken.NotAsked:
				got.Code = string(a.Outcome)
			}
			want.Text = printable(want.Text)
			if other, meant := otherwise[row.Name]; meant {
				want.Text = other
			}
			if got != want {
				t.Errorf("ours says\n%+v\nwant\n%+v", got, want)
			}
		})
	}
}

// printable is how our verifier prints what another said.
func printable(text string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, text)
}
