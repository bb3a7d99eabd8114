package zonetoken

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// What was answered already is what would be answered now, by each version, to each zone and token, in whatever order
// time is asked for.
func TestWhatWasAnsweredIsWhatWouldBeAnswered(t *testing.T) {
	claims := func(zone, scope, id string, from, issued, until time.Duration) string {
		text := fmt.Sprintf(`{"Zone":%q,"Scope":[%q],"jti":%q`, zone, scope, id)
		for _, at := range []struct {
			name string
			in   time.Duration
		}{{"nbf", from}, {"iat", issued}, {"exp", until}} {
			if at.in != 0 {
				text += fmt.Sprintf(`,%q:%d.5`, at.name, now.Add(at.in).Unix())
			}
		}
		return text + "}"
	}
	var tokens []string
	for _, b := range []string{claims("west", "cp", idA, -3*time.Second, -3*time.Second, 4*time.Second),
		claims("west", "cp", idA, 2*time.Second, 0, 0), claims("west", "cp", idB, -time.Second, 3*time.Second, 6*time.Second),
		claims("west", "cp", idC, -3*time.Second, 0, 4*time.Second), claims("east", "cp", idA, -3*time.Second, 0, 0),
		claims("west", "ingress", idA, 0, 2*time.Second, 4*time.Second), claims("west", "cp", "", 0, 0, 0)} {
		tokens = append(tokens, signed(key1, header1, b), signed(key2, header1, b),
			signed(key1, `{"alg":"RS256","kid":"7"}`, b), macced([]byte("x"), `{"alg":"HS256","kid":"1"}`, b))
	}
	tokens = append(tokens, "", "no token")
	r := rand.New(rand.NewPCG(1, 2))
	for _, text := range []string{"1.9.0", "2.0.0", "2.10.1", "2.11.0", "2.14.6", "3.0.0"} {
		v := &GlobalVerifier{Verifier: Verifier{Version: version(t, text), Keys: keySet("zone-token-signing-key-1"),
			Revocations: ParseRevocations([]byte(idC))}, Cache: &VerdictCache{Answers: map[VerdictKey]*CachedVerdict{}}}
		outcomes := map[Outcome]int{}
		for range 3000 {
			token, zone, at := []byte(tokens[r.IntN(len(tokens))]), []string{"west", "east", ""}[r.IntN(3)],
				now.Add(time.Duration(r.IntN(24)-8)*500*time.Millisecond)
			plain := v.Verifier
			plain.Zone = zone
			got, want := v.AskFor(token, zone, at), plain.Ask(token, at)
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("%s, zone %q, at %s, token %s:\n%+v, and without what was answered before:\n%+v", text, zone, at,
					token, got, want)
			}
			outcomes[got.Outcome]++
		}
		if kept := len(v.Cache.Answers); v.Version.hasZoneTokens() && (kept == 0 || outcomes[Accepted] == 0 ||
			outcomes[Rejected] == 0) {
			t.Errorf("%s: %d answers are kept, %v", text, kept, outcomes)
		}
	}
}
