package certs

import (
	"crypto/x509"
	"maps"
	"slices"
	"time"
)

// Keys of the Secret. The certificate's are those that every consumer of a kubernetes.io/tls Secret looks for.
const (
	keyLeaf    = "tls.crt"
	keyLeafKey = "tls.key"
	keyCAs     = "ca.crt"       // what is published: the CA that signs first, then those whose leaves may still be served
	keyCA      = "ca.key"       // of the CA that signs; without it a new CA is made
	keySince   = "ca-published" // since when the CA that signs is in the bundle, RFC 3339

	// Of an earlier version, which prepared the next CA beside the one that signs.
	keyNext     = "next-ca.key"
	keySchedule = "schedule"
)

// Plan is what should be.
type Plan struct {
	Secret map[string][]byte   // all of its data
	Bundle []*x509.Certificate // of each entry of the ValidatingWebhookConfiguration
	// Young says that some API server may not have the CA that signs: its leaf is for a replica that has nothing better.
	Young bool
}

// Next decides, from what each entry of the configuration publishes, what the Secret holds (read after the
// configuration), and now. The caller writes the Secret first and then the bundle, each only if it is still what was
// read, and goes on serving a leaf that the bundle believes while the plan is Young. Then, at every instant, every
// leaf that is served is believed by every bundle that an API server may still use, which is those of the last
// Policy.Wait.
//
//  1. Find the CA that signs by its key, or make one: on the first start, when its key is gone, at two thirds of its
//     life.
//  2. Publish it. One that the Secret does not list, or that some entry lacks, was made or put there just now: it is
//     published beside all that is listed or published already.
//  3. Note since when it is published.
//  4. Keep a leaf of another CA until the new one has been published for Wait; replace a leaf at two thirds of its
//     life.
//  5. Take the other CAs out after one leaf's life.
//
// The promise holds whatever of the Secret is lost, also while replicas crash or stall anywhere. It does not cover a
// blanked bundle, nor an earlier Secret that is put back: both are made good at the next look.
//
// It is a function of its arguments but for the keys that it makes.
func (p Policy) Next(secret map[string][]byte, published [][]byte, now time.Time) (Plan, error) {
	out := maps.Clone(secret)
	if out == nil {
		out = map[string][]byte{}
	}
	listed, anywhere := parseCAs(secret[keyCAs]), parseCAs(published...)
	ca, err := p.signer(out, append(slices.Clone(listed), anywhere...), now)
	if err != nil {
		return Plan{}, err
	}
	others, since := listed, parseTime(secret[keySince])
	lacks := func(bundle []byte) bool { return !has(parseCAs(bundle), ca.cert) }
	if !has(listed, ca.cert) || slices.ContainsFunc(published, lacks) {
		others, since = append(listed, anywhere...), time.Time{}
	} else if since.Before(ca.cert.NotBefore) || since.After(now) { // not noted yet, or by another clock: wait by ours
		since = now
	}
	if !since.IsZero() && !now.Before(since.Add(p.LeafLifetime)) {
		others = nil
	}
	bundle := []*x509.Certificate{ca.cert}
	for _, other := range others {
		if !has(bundle, other) && !now.After(other.NotAfter) {
			bundle = append(bundle, other)
		}
	}
	young := since.IsZero() || now.Before(since.Add(p.Wait))
	believed := bundle[:1]
	if young {
		believed = bundle
	}
	if leaf := parseLeaf(secret); leaf == nil || !now.Before(due(leaf.Leaf)) ||
		verify(leaf.Leaf, p.DNSName, believed, now) != nil {
		made, err := p.newLeaf(ca, now)
		if err != nil {
			return Plan{}, err
		}
		out[keyLeaf] = encodeCerts(made.cert)
		if out[keyLeafKey], err = encodeKey(made.key); err != nil {
			return Plan{}, err
		}
	}
	out[keyCAs] = encodeCerts(bundle...)
	delete(out, keySince)
	if !since.IsZero() {
		out[keySince] = []byte(since.UTC().Format(time.RFC3339Nano))
	}
	return Plan{Secret: out, Bundle: bundle, Young: young}, nil
}

// signer is the CA that signs: one of those given whose key the Secret's data has, else a new one. It puts the key
// into its place.
func (p Policy) signer(data map[string][]byte, cas []*x509.Certificate, now time.Time) (*pair, error) {
	texts := [][]byte{data[keyCA], data[keyNext]}
	delete(data, keyNext)
	delete(data, keySchedule)
	for _, text := range texts {
		key := parseKey(text)
		if key == nil {
			continue
		}
		for _, cert := range cas {
			if key.PublicKey.Equal(cert.PublicKey) && p.maySign(cert, now) {
				data[keyCA] = text
				return &pair{cert, key}, nil
			}
		}
	}
	ca, err := p.newCA(now)
	if err == nil {
		data[keyCA], err = encodeKey(ca.key)
	}
	return ca, err
}

// parseTime reads what Next wrote; anything else is the zero time.
func parseTime(text []byte) time.Time {
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return time.Time{}
	}
	return t
}
