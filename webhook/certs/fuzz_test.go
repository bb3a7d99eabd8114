package certs

import (
	"bytes"
	"maps"
	"testing"
)

// FuzzNext lets anything stand in the Secret and the bundle: the plan always has a leaf that its bundle believes, and
// nothing more to change once it is carried out and seen to be.
func FuzzNext(f *testing.F) {
	w := newWorld(1)
	w.rounds(3, policy.Wait)
	w.replicas[0].crash()
	s, bundle := w.secret.Data, w.conf.Webhooks[0].ClientConfig.CABundle
	f.Add(s[keyLeaf], s[keyLeafKey], s[keyCAs], s[keyCA], s[keyNext], s[keySince], bundle)
	f.Add(s[keyLeaf], s[keyLeafKey], s[keyCAs], s[keyLeafKey], s[keyCA], []byte("9999-12-31T23:59:59-23:59"), []byte(nil))
	f.Add([]byte("junk"), []byte(nil), []byte(nil), s[keyCA], s[keyCA], []byte("0000-01-01T00:00:00+23:59"),
		append(bundle, bundle...))
	f.Add(s[keyCAs], s[keyCA], s[keyLeaf], s[keyCA], s[keyLeafKey], []byte("2026-01-01T00:00:00Z"), []byte("junk"))
	now := w.now
	f.Fuzz(func(t *testing.T, leaf, leafKey, cas, signer, next, since, published []byte) {
		secret := map[string][]byte{keyLeaf: leaf, keyLeafKey: leafKey, keyCAs: cas, keyCA: signer, keyNext: next,
			keySince: since}
		for look := range 4 {
			plan, err := policy.Next(secret, [][]byte{published}, now)
			if err != nil {
				t.Fatal(err)
			}
			pair := parseLeaf(plan.Secret)
			if pair == nil {
				t.Fatal("no leaf is planned")
			}
			if err := verify(pair.Leaf, serviceName, plan.Bundle, now); err != nil {
				t.Fatalf("the planned leaf is not believed: %v", err)
			}
			bundle := encodeCerts(plan.Bundle...)
			if !bytes.Equal(bundle, plan.Secret[keyCAs]) {
				t.Error("what is published is not what the Secret lists")
			}
			if look == 3 && (!maps.EqualFunc(secret, plan.Secret, bytes.Equal) || !bytes.Equal(published, bundle)) {
				t.Error("after three looks there is still something to change")
			}
			secret, published = plan.Secret, bundle
		}
	})
}
