package certs

import (
	"testing"
	"time"
)

// FuzzNext lets anything stand in the Secret and the bundle: the plan always has a leaf that its bundle believes, and nothing more to
// change once it is carried out and seen to be.
func FuzzNext(f *testing.F) {
	w := newWorld(1)
	w.rounds(3, policy.Wait)
	w.replicas[0].crash()
	s, bundle := w.secret.Data, w.conf.Webhooks[0].ClientConfig.CABundle
	f.Add(s[keyLeaf], s[keyLeafKey], s[keyCAs], s[keySigner], s[keyNext], s[keySchedule], bundle)
	f.Add(s[keyLeaf], s[keyLeafKey], s[keyCAs], s[keyLeafKey], s[keySigner], []byte(`{"published":"2026-01-01T00:00:00Z","retire":{"":"9999-12-31T23:59:59Z"}}`), []byte(nil))
	f.Add([]byte("junk"), []byte(nil), []byte(nil), s[keySigner], s[keySigner], []byte("null"), append(bundle, bundle...))
	f.Add(s[keyCAs], s[keySigner], s[keyLeaf], s[keySigner], s[keyLeafKey], []byte("[]"), []byte("junk"))
	now := w.now
	f.Fuzz(func(t *testing.T, leaf, leafKey, cas, signer, next, schedule, published []byte) {
		plan := Plan{Secret: map[string][]byte{keyLeaf: leaf, keyLeafKey: leafKey, keyCAs: cas, keySigner: signer, keyNext: next, keySchedule: schedule}, Bundle: published}
		for look := range 4 {
			before := plan
			var err error
			if plan, err = policy.Next(before.Secret, [][]byte{before.Bundle}, now); err != nil {
				t.Fatal(err)
			}
			pair := parseLeaf(plan.Secret[keyLeaf], plan.Secret[keyLeafKey])
			if pair == nil {
				t.Fatal("no leaf is planned")
			}
			if err := Verify(pair.Leaf, name, plan.Bundle, now); err != nil {
				t.Fatalf("the planned leaf is not believed: %v", err)
			}
			if !plan.Again.After(now) || plan.Again.Sub(now) > policy.LeafLifetime+time.Second {
				t.Errorf("look again at %s, now is %s", plan.Again, now)
			}
			if look == 3 && (!same(before.Secret, plan.Secret) || string(before.Bundle) != string(plan.Bundle)) {
				t.Error("after three looks there is still something to change")
			}
		}
	})
}
