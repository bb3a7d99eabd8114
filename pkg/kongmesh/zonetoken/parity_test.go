package zonetoken

import (
	"crypto/rsa"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// What we say that the product answers is what the stand-in answers, which was written from the product's description
// alone: outcome, code and words, over random tokens, lists, keys and versions.
func TestWhatTheProductAnswersIsWhatTheStandInAnswers(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	odd := func(good string, odd ...string) string { // in one case of eleven
		if random.IntN(11) == 0 {
			return odd[random.IntN(len(odd))]
		}
		return good
	}
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	hmacKey, pem1 := []byte("0123456789abcdef"), EncodeKey(key1)
	outcomes := map[Outcome]int{}
	for i := range 800 {
		var secrets []Secret
		var stored kumasim.Memory
		for _, k := range []struct {
			name  string
			value []byte
		}{{KeyName("1"), pem1}, {KeyName("2"), forms[odd("pkcs1", "pkcs8", "der", "twice", "prose")]},
			{KeyName("0002"), pem1}, {KeyPrefix, hmacKey}} {
			s := found(k.name, k.value)
			s.Type, s.Namespace = odd(SecretType, "Opaque"), odd(KongNamespace, KumaNamespace)
			secrets = append(secrets, s)
			if err := stored.Put(kumasim.Secret{Namespace: s.Namespace, Name: k.name, Type: s.Type,
				Data: map[string][]byte{"value": k.value}}); err != nil {
				t.Fatal(err)
			}
		}
		list := odd("", idA, "x,"+idA+"\n", "x, "+idA, idA+"\r\n", "x\n"+idA, ",", strings.ToUpper(idA))
		if list != "" {
			if err := stored.Put(kumasim.GlobalSecret("zone-token-revocations", []byte(list))); err != nil {
				t.Fatal(err)
			}
		}
		header := "{" + odd(`"kid":"`+odd("1", "2", "0002", "7", "0", "offline", "")+`",`, "", `"kid":1,`, `"kid":["1"],`,
			`"kid":null,`) + `"alg":"` + odd("RS256", "HS256", "RS512", "none", "rs256") + `"}`
		claims := "{" + odd(`"Zone":"west"`, `"zone":"west"`, `"Zone":"east"`, `"Zone":1`, `"x":1`,
			`"Zone":"west","zone":"east"`) + odd(`,"Scope":["cp"]`, "", `,"Scope":["ingress","cp"]`,
			`,"Scope":["ingress","egress"]`, `,"Scope":"cp"`, `,"Scope":[]`, `,"Scope":null`) +
			odd(fmt.Sprintf(`,"exp":%d`, at(time.Hour)), "", fmt.Sprintf(`,"exp":%d`, at(0)),
				fmt.Sprintf(`,"exp":%d`, at(-time.Second)), `,"exp":0`, `,"exp":1e300`, `,"exp":"x"`) +
			odd("", fmt.Sprintf(`,"nbf":%d`, at(-time.Minute)), fmt.Sprintf(`,"nbf":%d`, at(3*time.Second))) +
			odd("", fmt.Sprintf(`,"iat":%d`, at(time.Hour))) + odd(`,"jti":"`+idA+`"`, "", `,"jti":"`+idB+`"`) + odd("}", "}{}")
		var raw string
		switch {
		case strings.Contains(header, "HS256"):
			raw = macced(hmacKey, header, claims)
		case odd("", "another key") != "":
			raw = signed(key2, header, claims)
		default:
			raw = signed(key1, header, claims)
		}
		raw = odd("", "Bearer ", "bearer ", " ") + raw + odd("", "\n", "=", ".")
		text := []string{"2.13.5", "2.14.3", "3.0.0"}[i%3]
		v := Verifier{Version: version(t, text), Keys: ReadKeys(KongNamespace, secrets),
			Revocations: ParseRevocations([]byte(list)), Zone: "west",
			Static: []PublicKey{{"offline", "its configuration", &key1.PublicKey}}}
		g, err := kumasim.New(kumasim.Options{Source: &stored, Auth: kumasim.AuthZoneToken,
			Now: func() time.Time { return now }, PublicKeys: map[string]*rsa.PublicKey{"offline": &key1.PublicKey},
			Switches: map[string]kumasim.Switches{"2.13.5": {KidPanics: true, TerseNotYet: true},
				"3.0.0": {NoHMAC: true}}[text]})
		if err != nil {
			t.Fatal(err)
		}
		says, a := g.Ask("west", raw), v.Ask([]byte(raw), now)
		outcomes[a.Outcome]++
		var same bool
		switch a.Outcome {
		case Accepted:
			same = says == nil
		case Rejected:
			same = says != nil && status.Code(says).String() == a.Code && Safe(status.Convert(says).Message()) == a.Text
		case Crashes:
			same = says != nil && status.Code(says) == codes.Unknown && strings.HasPrefix(says.Error(),
				"panic: interface conversion")
		}
		if !same {
			t.Fatalf("%d, %s: %s %s, list %q:\nthe stand-in: %v\nours: %+v", i, text, header, claims, list, says, a)
		}
	}
	if outcomes[Accepted] < 100 || outcomes[Rejected] < 200 || outcomes[Crashes] < 3 {
		t.Errorf("too few of a kind to tell: %v", outcomes)
	}
}
