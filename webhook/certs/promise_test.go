package certs

import (
	"crypto/x509"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestEveryServedLeafIsBelievedByEveryBundleInUse lets replicas with lags of any length between any two calls run,
// crash and start again, and somebody destroy what the Secret holds, at random times.
func TestEveryServedLeafIsBelievedByEveryBundleInUse(t *testing.T) {
	jumps := []time.Duration{0, time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute, time.Hour,
		24 * time.Hour, 5 * 24 * time.Hour, 11 * 24 * time.Hour, 100 * 24 * time.Hour}
	junk := []string{"", "junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}
	keys := []string{keyLeaf, keyLeafKey, keyCAs, keyCA, keySince, keyNext, keySchedule}
	cas, overlaps := map[string]bool{}, 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.IntRange(1, 3).Draw(t, "replicas"))
		defer func() {
			for _, r := range w.replicas {
				r.crash()
			}
		}()
		for range rapid.IntRange(50, 400).Draw(t, "steps") {
			i := rapid.IntRange(0, len(w.replicas)-1).Draw(t, "replica")
			switch do := rapid.IntRange(0, 99).Draw(t, "do"); {
			case do < 55:
				w.replicas[i].step()
			case do < 75:
				w.replicas[i].round()
			case do < 94:
				w.now = w.now.Add(rapid.SampledFrom(jumps).Draw(t, "later"))
			case do < 97:
				w.replicas[i].crash()
				w.replicas[i] = newReplica(w)
			case do < 98:
				w.tamper(func(data map[string][]byte) { clear(data) })
			default:
				w.tamper(func(data map[string][]byte) {
					data[rapid.SampledFrom(keys).Draw(t, "key")] = []byte(rapid.SampledFrom(junk).Draw(t, "junk"))
				})
			}
			if err := w.broken(policy.Wait); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range w.history {
			in := parseCAs(p.bundle)
			for _, ca := range in {
				cas[string(ca.Raw)] = true
			}
			if len(in) > 1 {
				overlaps++
			}
		}
	})
	if len(cas) < 10 || overlaps < 10 {
		t.Errorf("%d CAs and %d bundles with an overlap were ever published: the runs show nothing", len(cas), overlaps)
	}
	t.Logf("%d CAs, %d bundles with an overlap", len(cas), overlaps)
}

// TestTwoReplicasRenewInTimeForThreeYears counts what is made and how long each CA stays published.
func TestTwoReplicasRenewInTimeForThreeYears(t *testing.T) {
	w := newWorld(2)
	leaves, cas := map[string]bool{}, map[string]*x509.Certificate{}
	last := map[string]time.Time{} // when a CA was seen published
	for end := w.now.AddDate(3, 0, 0); w.now.Before(end); w.now = w.now.Add(24 * time.Hour) {
		for range 3 { // so long has many looks: three suffice for a CA to be made, noted and published
			for _, r := range w.replicas {
				r.round()
			}
			w.now = w.now.Add(policy.Wait)
		}
		if err := w.broken(policy.Wait); err != nil {
			t.Fatal(err)
		}
		for i, r := range w.replicas {
			c := r.keeper.served.Load()
			if c == nil || c.Leaf.NotAfter.Sub(w.now) < policy.LeafLifetime/3-25*time.Hour {
				t.Fatalf("replica %d at %s: a leaf that should be renewed: %v", i, w.now, c)
			}
			leaves[string(c.Leaf.Raw)] = true
		}
		for _, ca := range parseCAs(w.conf.Webhooks[1].ClientConfig.CABundle) {
			cas[string(ca.Raw)], last[string(ca.Raw)] = ca, w.now
		}
	}
	if len(leaves) < 3*365/21 || len(leaves) > 3*365/20+8 || len(cas) < 5 || len(cas) > 6 {
		t.Errorf("%d leaves and %d CAs in three years; want one each 20 days and one each 8 months", len(leaves), len(cas))
	}
	for print, ca := range cas {
		if signed := due(ca); signed.AddDate(0, 0, 31).Before(w.now) {
			if stayed := last[print].Sub(signed); stayed < policy.LeafLifetime-25*time.Hour ||
				stayed > policy.LeafLifetime+50*time.Hour {
				t.Errorf("a CA of %s stayed published for %s after the next one signed, want one leaf's life", ca.NotBefore, stayed)
			}
		}
	}
	t.Logf("%d leaves, %d CAs", len(leaves), len(cas))
}
