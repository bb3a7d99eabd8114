package certs

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
)

// recorded is what a fleet of the version before had stored at a moment, and the leaf that its replicas served. It
// kept two CAs, with a key each, while one was followed by the next.
type recorded struct {
	Now    time.Time         `json:"now"`
	Secret map[string][]byte `json:"secret"`
	Bundle []byte            `json:"bundle"`
	Served []byte            `json:"served"`
}

// A rolling update replaces replicas of the version before one after the other: what those serve is believed until it
// ends, and so is what the new ones serve.
func TestWhatTheVersionBeforeStoredIsTakenOver(t *testing.T) {
	text, err := os.ReadFile("testdata/two-authorities.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]recorded
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 3 {
		t.Fatalf("%d records: %v", len(all), err)
	}
	for name, before := range all {
		t.Run(name, func(t *testing.T) {
			w := newWorld(0)
			w.now = before.Now
			w.publish(before.Bundle)
			w.tamper(func(data map[string][]byte) {
				for key, value := range before.Secret {
					data[key] = value
				}
			})
			served := parseLeaf(map[string][]byte{keyLeaf: before.Secret[keyLeaf], keyLeafKey: before.Secret[keyLeafKey]})
			if served == nil || string(encodeCerts(served.Leaf)) != string(before.Served) {
				t.Fatal("the record does not hold the leaf that was served")
			}
			for range 3 {
				r := newReplica(w)
				t.Cleanup(r.crash)
				w.replicas = append(w.replicas, r)
			}
			for i := range 60 {
				w.rounds(1, time.Second)
				if err := w.broken(policy.Wait); err != nil {
					t.Fatalf("after %d s: %v", i, err)
				}
				if w.replicas[0].keeper.served.Load() == nil {
					t.Fatal("nothing is served")
				}
			}
			for w.now.Before(served.Leaf.NotAfter) {
				if err := verify(served.Leaf, serviceName, w.published(), w.now); err != nil {
					t.Fatalf("a replica of the version before is not believed at %s: %v", w.now, err)
				}
				w.rounds(1, 12*time.Hour)
				if err := w.broken(policy.Wait); err != nil {
					t.Fatal(err)
				}
			}
			w.now = w.now.Add(policy.LeafLifetime)
			w.rounds(3, policy.Wait)
			if got := keysOf(w.secret.Data); !slices.Equal(got, settledKeys) || len(w.published()) != 1 {
				t.Errorf("it does not settle: %q, %d CAs", got, len(w.published()))
			}
			if fmt.Sprint(w.secret.Data[keyLeaf]) == fmt.Sprint(before.Secret[keyLeaf]) {
				t.Error("the leaf was not renewed")
			}
		})
	}
}

// Where cert-manager made the certificate until now, its root is published and its leaf served. Both stay until every
// API server has the CA that the webhook makes.
func TestWhatCertManagerMadeIsTakenOver(t *testing.T) {
	w := newWorld(0)
	root, err := issue(nil, w.now, CALifetime, &x509.Certificate{IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := policy.newLeaf(root, w.now)
	if err != nil {
		t.Fatal(err)
	}
	key, err := encodeKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	w.publish(encodeCerts(root.cert))
	w.tamper(func(data map[string][]byte) {
		data[keyLeaf], data[keyLeafKey], data[keyCAs] = encodeCerts(leaf.cert), key, encodeCerts(root.cert)
	})
	r := newReplica(w)
	t.Cleanup(r.crash)
	w.replicas = append(w.replicas, r)
	for i := range 90 {
		w.rounds(1, time.Second)
		if err := w.broken(policy.Wait); err != nil {
			t.Fatalf("after %d s: %v", i, err)
		}
		if own := r.keeper.served.Load().Leaf.Equal(leaf.cert); own != (i <= 60) {
			t.Fatalf("after %d s it serves cert-manager's certificate: %t", i, own)
		}
		if !has(w.published(), root.cert) {
			t.Fatal("cert-manager's root, by which its mounted certificate is believed, is not published")
		}
	}
}
