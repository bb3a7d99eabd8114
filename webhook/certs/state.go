package certs

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"maps"
	"time"
)

// Keys of the Secret. The certificate's are those that every consumer of a kubernetes.io/tls Secret looks for.
const (
	keyLeaf     = "tls.crt"
	keyLeafKey  = "tls.key"
	keyCAs      = "ca.crt"      // every CA that is, was lately or will be in use
	keySigner   = "ca.key"      // of the CA that signs
	keyNext     = "next-ca.key" // of the CA that will
	keySchedule = "schedule"    // JSON, see schedule
)

// schedule is what cannot be read off the certificates.
type schedule struct {
	// Published is since when the next CA has been seen in the bundle.
	Published time.Time `json:"published,omitzero"`
	// Retire is until when a CA that signs no more stays in the bundle, by its fingerprint.
	Retire map[string]time.Time `json:"retire,omitempty"`
}

// retiring is a CA that signs no more.
type retiring struct {
	cert  *x509.Certificate
	until time.Time // it may still be needed; zero = not decided yet
}

// state is what the Secret holds, as far as it makes sense.
type state struct {
	leaf         *tls.Certificate
	signer, next *authority
	old          []retiring
	published    time.Time // see schedule
}

// read takes from a Secret what makes sense; what does not is not there. A CA whose certificate the Secret lost is found again among
// the published ones.
func read(data map[string][]byte, published []*x509.Certificate) state {
	var plan schedule
	if json.Unmarshal(data[keySchedule], &plan) != nil {
		plan = schedule{}
	}
	held := parseCAs(data[keyCAs])
	find := func(text []byte) *authority {
		key := parseKey(text)
		if key == nil {
			return nil
		}
		for _, list := range [][]*x509.Certificate{held, published} {
			for _, cert := range list {
				if key.PublicKey.Equal(cert.PublicKey) {
					return &authority{cert, key}
				}
			}
		}
		return nil
	}
	s := state{leaf: parseLeaf(data[keyLeaf], data[keyLeafKey]), signer: find(data[keySigner]), next: find(data[keyNext])}
	if s.next != nil {
		s.published = plan.Published
	}
	if s.signer != nil && s.next != nil && s.signer.cert.Equal(s.next.cert) {
		s.next = nil
	}
	for _, cert := range held {
		if !s.has(cert) {
			s.old = append(s.old, retiring{cert, plan.Retire[fingerprint(cert)]})
		}
	}
	return s
}

// has tells whether a CA is one of the state's.
func (s state) has(cert *x509.Certificate) bool {
	for _, ca := range []*authority{s.signer, s.next} {
		if ca != nil && ca.cert.Equal(cert) {
			return true
		}
	}
	for _, o := range s.old {
		if o.cert.Equal(cert) {
			return true
		}
	}
	return false
}

// write returns the Secret's data with the state in it; keys that are not ours stay. The same state gives the same bytes.
func (s state) write(data map[string][]byte) (map[string][]byte, error) {
	out := maps.Clone(data)
	if out == nil {
		out = map[string][]byte{}
	}
	for _, key := range []string{keyLeaf, keyLeafKey, keyCAs, keySigner, keyNext, keySchedule} {
		delete(out, key)
	}
	plan := schedule{Published: s.published.UTC(), Retire: map[string]time.Time{}}
	var cas []*x509.Certificate
	for _, ca := range []struct {
		key string
		*authority
	}{{keySigner, s.signer}, {keyNext, s.next}} {
		if ca.authority == nil {
			continue
		}
		cas = append(cas, ca.cert)
		text, err := encodeKey(ca.authority.key)
		if err != nil {
			return nil, err
		}
		out[ca.key] = text
	}
	for _, o := range s.old {
		cas = append(cas, o.cert)
		plan.Retire[fingerprint(o.cert)] = o.until.UTC()
	}
	out[keyCAs] = encodeCerts(cas...)
	if s.leaf != nil {
		key, err := encodeKey(s.leaf.PrivateKey)
		if err != nil {
			return nil, err
		}
		out[keyLeaf], out[keyLeafKey] = encodeCerts(s.leaf.Leaf), key
	}
	text, err := json.Marshal(plan)
	if err != nil {
		return nil, err
	}
	out[keySchedule] = text
	return out, nil
}

// same tells whether two Secrets hold the same.
func same(a, b map[string][]byte) bool { return maps.EqualFunc(a, b, bytes.Equal) }
