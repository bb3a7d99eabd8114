package certs

import (
	"bytes"
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// settledKeys are those of a Secret of which nothing is due.
var settledKeys = []string{keySince, keyCAs, keyCA, keyLeaf, keyLeafKey}

// settled is a world in which one replica serves and its CA signs.
func settled(t *testing.T) *world {
	t.Helper()
	w := newWorld(1)
	t.Cleanup(func() { w.replicas[0].crash() })
	w.rounds(3, policy.Wait)
	if w.replicas[0].keeper.served.Load() == nil || !slices.Equal(keysOf(w.secret.Data), settledKeys) {
		t.Fatalf("it does not settle: %q", keysOf(w.secret.Data))
	}
	return w
}

// rounds lets every replica look n times, with time between.
func (w *world) rounds(n int, between time.Duration) {
	for range n {
		for _, r := range w.replicas {
			r.round()
		}
		w.now = w.now.Add(between)
	}
}

func keysOf(data map[string][]byte) (keys []string) {
	for key, value := range data {
		if len(value) > 0 {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (w *world) publish(bundles ...[]byte) {
	conf := w.conf.DeepCopy()
	for i := range conf.Webhooks {
		conf.Webhooks[i].ClientConfig.CABundle = bundles[i%len(bundles)]
	}
	w.update(conf) // the version is current
}

// stranger is a CA that is not ours.
func stranger(t *testing.T, w *world) []byte {
	t.Helper()
	ca, err := policy.newCA(w.now)
	if err != nil {
		t.Fatal(err)
	}
	return encodeCerts(ca.cert)
}

// changeCA takes the CA's key away, which is how the CA is changed.
func (w *world) changeCA() { w.tamper(func(data map[string][]byte) { delete(data, keyCA) }) }

// published are the CAs in the configuration.
func (w *world) published() []*x509.Certificate {
	return parseCAs(w.conf.Webhooks[0].ClientConfig.CABundle)
}

// TestWhatSomebodyDestroysIsHealedWithinTwoLooks destroys one thing each; a replica that is there and one that starts
// again must both serve what the bundle believes, within two looks.
func TestWhatSomebodyDestroysIsHealedWithinTwoLooks(t *testing.T) {
	junk := [][]byte{nil, []byte("junk"), []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
		[]byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
		[]byte("null"), []byte("9999-12-31T23:59:59-23:59"), []byte("0000-01-01T00:00:00+23:59"),
		bytes.Repeat([]byte{0}, 100)}
	type destruction struct {
		name string
		do   func(*world)
	}
	all := []destruction{
		{"the Secret is emptied", func(w *world) { w.tamper(func(data map[string][]byte) { clear(data) }) }},
		{"the bundle is blanked", func(w *world) { w.publish(nil) }},
		{"one entry's bundle is blanked", func(w *world) { w.publish(nil, w.conf.Webhooks[1].ClientConfig.CABundle) }},
		{"the bundle is junk", func(w *world) { w.publish([]byte("junk")) }},
		{"both are emptied", func(w *world) {
			w.tamper(func(data map[string][]byte) { clear(data) })
			w.publish(nil)
		}},
		{"the bundle is another's", func(w *world) { w.publish(stranger(t, w)) }},
		{"the leaf is swapped for another key's", func(w *world) {
			w.tamper(func(data map[string][]byte) { data[keyLeafKey] = data[keyCA] })
		}},
		{"the CA's key signs for nobody", func(w *world) {
			w.tamper(func(data map[string][]byte) { data[keyCA] = data[keyLeafKey] })
		}},
		{"the CA's key is taken away", (*world).changeCA},
		{"the first Secret is put back after years and another CA", func(w *world) {
			w.changeCA()
			for range 30 {
				w.now = w.now.AddDate(0, 1, 0)
				w.rounds(3, policy.Wait)
			}
			w.tamper(func(data map[string][]byte) {
				clear(data)
				maps.Copy(data, w.secrets[0])
			})
		}},
		{"a year passes without anybody", func(w *world) { w.now = w.now.AddDate(1, 1, 0) }},
	}
	for _, key := range []string{keyLeaf, keyLeafKey, keyCAs, keyCA, keySince, keyNext, keySchedule} {
		for _, text := range junk {
			all = append(all, destruction{key + " is " + string(text), func(w *world) {
				w.tamper(func(data map[string][]byte) { data[key] = text })
			}})
		}
	}
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			w := settled(t)
			old := w.replicas[0].keeper.served.Load()
			c.do(w)
			fresh := newReplica(w)
			t.Cleanup(fresh.crash)
			w.replicas = append(w.replicas, fresh)
			w.rounds(2, time.Second)
			for _, r := range w.replicas {
				now := r.keeper.served.Load()
				if now == nil {
					t.Fatal("nothing is served")
				}
				for _, h := range w.conf.Webhooks {
					if err := verify(now.Leaf, serviceName, parseCAs(h.ClientConfig.CABundle), w.now); err != nil {
						t.Errorf("what is served is not believed: %v", err)
					}
				}
			}
			if err := w.broken(0); err != nil {
				t.Error(err)
			}
			if old.Leaf.NotAfter.After(w.now) {
				blanked := strings.Contains(c.name, "bundle") || strings.Contains(c.name, "both")
				err := verify(old.Leaf, serviceName, w.published(), w.now)
				if err != nil && !blanked && !strings.Contains(c.name, "put back") {
					t.Errorf("a replica that lags is believed no more: %v", err)
				}
			}
			w.rounds(3, policy.Wait)
			if got := keysOf(w.secret.Data); !slices.Equal(got, settledKeys) {
				t.Errorf("it does not settle: %q", got)
			}
		})
	}
}

func TestAStrangerInTheBundleGoesAtTheNextLook(t *testing.T) {
	w := settled(t)
	ca := stranger(t, w)
	w.publish(append(slices.Clone(w.conf.Webhooks[0].ClientConfig.CABundle), ca...))
	if w.rounds(1, 0); len(w.published()) != 1 || bytes.Contains(w.secret.Data[keyCAs], ca) {
		t.Error("it stays")
	}
}

// After a leak nobody waits for one leaf's life: once the new CA's leaf is served, only the first CA is left in the
// Secret.
func TestAnOldCAThatTheSecretDoesNotListIsOutAtOnce(t *testing.T) {
	w := settled(t)
	w.changeCA()
	w.rounds(4, policy.Wait/2)
	if len(w.published()) != 2 || w.replicas[0].keeper.served.Load().Leaf.CheckSignatureFrom(w.published()[0]) != nil {
		t.Fatal("the new CA does not sign beside the old one, which is published still")
	}
	w.tamper(func(data map[string][]byte) { data[keyCAs] = encodeCerts(parseCAs(data[keyCAs])[0]) })
	if w.rounds(1, 0); len(w.published()) != 1 {
		t.Error("the old CA is published still")
	}
	if err := w.broken(0); err != nil {
		t.Error(err)
	}
}

func TestKeysOfOthersInTheSecretStay(t *testing.T) {
	w := settled(t)
	w.tamper(func(data map[string][]byte) { data["note"] = []byte("mine") })
	w.now = w.now.Add(policy.LeafLifetime)
	if w.rounds(3, policy.Wait); string(w.secret.Data["note"]) != "mine" {
		t.Error("it is gone")
	}
}

func TestNothingIsWrittenWhileNothingIsDue(t *testing.T) {
	w := settled(t)
	before := w.version
	w.rounds(100, time.Hour)
	if w.version != before {
		t.Errorf("%d writes", w.version-before)
	}
}

// The CA is changed at two thirds of its life, and at once when somebody takes its key away.
func TestTheOldAndTheNewCAAreBothPublishedForOneLeafsLife(t *testing.T) {
	for name, change := range map[string]func(*world){
		"at two thirds of its life": func(w *world) {
			for w.now.Before(due(w.published()[0])) {
				w.replicas[0].round()
				w.now = w.now.Add(24 * time.Hour)
			}
		},
		"without its key": (*world).changeCA,
	} {
		t.Run(name, func(t *testing.T) {
			w := settled(t)
			r, first := w.replicas[0], w.published()[0]
			change(w)
			w.rounds(2, 0) // it is made and published, and seen to be
			leaf := r.keeper.served.Load()
			if len(w.published()) != 2 || leaf.Leaf.CheckSignatureFrom(first) != nil ||
				!parseLeaf(w.secret.Data).Leaf.Equal(leaf.Leaf) {
				t.Fatalf("%d CAs are published, or another leaf is there already", len(w.published()))
			}
			if key := parseKey(w.secret.Data[keyCA]); key.PublicKey.Equal(first.PublicKey) {
				t.Error("the Secret holds the key of a CA that signs no more")
			}
			w.now = w.now.Add(policy.Wait - time.Second)
			if w.rounds(2, 0); r.keeper.served.Load() != leaf {
				t.Error("the new CA's leaf is served before every API server has it")
			}
			w.now = w.now.Add(2 * time.Second)
			if w.rounds(2, 0); r.keeper.served.Load().Leaf.CheckSignatureFrom(first) == nil || len(w.published()) != 2 {
				t.Error("the new CA does not sign, or the old one is not published any more")
			}
			w.now = w.now.Add(policy.LeafLifetime - 2*policy.Wait)
			if w.rounds(2, 0); len(w.published()) != 2 {
				t.Error("the old CA is gone before its last leaf")
			}
			w.now = w.now.Add(2 * policy.Wait)
			if w.rounds(3, 0); len(w.published()) != 1 {
				t.Errorf("one leaf's life later %d CAs are published", len(w.published()))
			}
		})
	}
}

// TestACAOfAnotherSecretIsPublishedBeforeItsLeafIsServed puts a Secret of another installation in the place of ours.
func TestACAOfAnotherSecretIsPublishedBeforeItsLeafIsServed(t *testing.T) {
	w, other := settled(t), settled(t)
	r := w.replicas[0]
	ours := r.keeper.served.Load()
	w.tamper(func(data map[string][]byte) {
		clear(data)
		maps.Copy(data, other.secret.Data)
	})
	w.rounds(2, policy.Wait/2)
	if r.keeper.served.Load() != ours {
		t.Error("its leaf is served before every API server has its CA")
	}
	if err := w.broken(policy.Wait); err != nil {
		t.Error(err)
	}
	w.rounds(2, policy.Wait)
	if !bytes.Equal(w.secret.Data[keyCA], other.secret.Data[keyCA]) || r.keeper.served.Load() == ours {
		t.Error("its CA, which the Secret has the key of, does not sign in the end")
	}
}

// TestACAThatHadItsTimeIsGoneWhoeverLooksInBetween stops one replica after each of its calls and lets the other go on.
func TestACAThatHadItsTimeIsGoneWhoeverLooksInBetween(t *testing.T) {
	for steps := range 12 {
		w := settled(t)
		first := w.published()[0]
		w.changeCA()
		w.rounds(4, policy.Wait/2)
		w.now = w.now.Add(policy.LeafLifetime - policy.LeafLifetime/3 - time.Hour)
		w.rounds(2, 0)
		w.now = w.now.Add(policy.LeafLifetime/3 + 2*time.Hour)
		other := newReplica(w)
		t.Cleanup(other.crash)
		for range steps {
			w.replicas[0].step()
		}
		other.round()
		w.replicas = append(w.replicas, other)
		if w.rounds(4, 0); has(w.published(), first) {
			t.Errorf("looked at after %d calls, it stays for another life", steps)
		}
	}
}

func TestPoliciesThatLeaveNoOverlapAreRefused(t *testing.T) {
	for _, c := range []struct {
		p    Policy
		says string
	}{
		{policy, ""},
		{Policy{"x", 9 * time.Second, 3 * time.Second, time.Second}, ""},
		{Policy{"", CALifetime, LeafLifetime, Wait}, "no DNS name"},
		{Policy{"x", CALifetime, LeafLifetime, 0}, "the wait is 0s"},
		{Policy{"x", CALifetime, 2 * time.Minute, Wait}, "three times the wait"},
		{Policy{"x", 2 * LeafLifetime, LeafLifetime, Wait}, "three times the leaf's life"},
	} {
		err := c.p.Validate()
		if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v, want %q", c.p, err, c.says)
		}
	}
}
