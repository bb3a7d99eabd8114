package certs

import (
	"crypto/x509"
	"fmt"
	"time"
)

// Plan is what should be.
type Plan struct {
	Secret map[string][]byte // all of its data
	Bundle []byte            // PEM, of each entry of the ValidatingWebhookConfiguration
	Young  bool              // no CA signs yet: some API server may not believe the leaf, it is for who has nothing better
	Again  time.Time         // when something becomes due, if nobody changes anything
}

// Next decides, from what the Secret holds, what each entry of the configuration publishes, and now. Whoever carries it out writes the
// Secret first and then the bundle, each only if it is still what was read (the Secret was read before the configuration), and goes on
// serving a leaf that the bundle believes while the planned one is Young. Then, at every instant, every leaf that is served is believed
// by every bundle that any API server may still use, which is those of the last Policy.Wait.
//
//  1. Note what is published and the Secret does not know: a CA put there by hand, or one of a Secret that was lost, whose leaf is
//     still served. It stays for one leaf's life, as any CA that signs no more: kept for ever it would be a way in.
//  2. Take a CA that signs and is not published as one that has yet to be: somebody restored an old Secret, or replaced the bundle.
//  3. Make the next CA where none signs, or the one that does is at two thirds of its life.
//  4. Let the next CA sign once it has been published for Wait. The one before it stays published for one leaf's life.
//  5. Make a leaf where there is none that is believed, or it is at two thirds of its life. Where no CA signs yet, the next one
//     does, since somebody may have started meanwhile and have nothing to serve.
//  6. Drop what has had its time: from the bundle, and from the Secret once the bundle lacks it, so that a replica that looks in
//     between does not take it for a stranger.
//
// The promise holds whatever of the Secret is lost, also while replicas crash or stall anywhere. It does not cover who blanks the bundle, nor
// who puts an earlier Secret back, since that says of CAs in use that they have had their time: both are made good at the next look.
//
// It is a function of its arguments but for the keys that it makes.
func (p Policy) Next(secret map[string][]byte, published [][]byte, now time.Time) (Plan, error) {
	everywhere, somewhere := sets(published)
	s := read(secret, somewhere)
	for _, cert := range somewhere {
		if !s.has(cert) {
			s.old = append(s.old, retiring{cert, time.Time{}})
		}
	}
	if err := s.authorities(p, everywhere, now); err != nil {
		return Plan{}, err
	}
	if err := s.certify(p, somewhere, now); err != nil {
		return Plan{}, err
	}
	bundle := s.retire(p, somewhere, now)
	data, err := s.write(secret)
	if err != nil {
		return Plan{}, fmt.Errorf("writing the Secret's data: %w", err)
	}
	return Plan{Secret: data, Bundle: encodeCerts(bundle...), Young: s.signer == nil, Again: s.again(p, now)}, nil
}

// authorities does steps 2 to 4.
func (s *state) authorities(p Policy, published []*x509.Certificate, now time.Time) (err error) {
	ends := func(ca *authority) {
		if ca != nil {
			s.old = append(s.old, retiring{ca.cert, now.Add(p.LeafLifetime)})
		}
	}
	if !p.usable(s.next, now) {
		ends(s.next)
		s.next, s.published = nil, time.Time{}
	}
	if !p.usable(s.signer, now) {
		ends(s.signer)
		s.signer = nil
	}
	if s.signer != nil && !has(published, s.signer.cert) {
		ends(s.next)
		s.signer, s.next, s.published = nil, s.signer, time.Time{}
	}
	if s.next == nil && (s.signer == nil || !now.Before(due(s.signer.cert))) {
		if s.next, err = p.newAuthority(now); err != nil {
			return err
		}
	}
	switch {
	case s.next == nil || !has(published, s.next.cert):
		s.published = time.Time{}
	case s.published.IsZero() || s.published.After(now): // the latter by another clock: wait by ours
		s.published = now
	case !now.Before(s.published.Add(p.Wait)):
		ends(s.signer)
		s.signer, s.next, s.published = s.next, nil, time.Time{}
	}
	return nil
}

// certify does step 5.
func (s *state) certify(p Policy, published []*x509.Certificate, now time.Time) (err error) {
	by := s.signer
	if by == nil {
		by = s.next
	}
	believed := []*x509.Certificate{by.cert}
	if s.signer == nil {
		believed = append(believed, published...)
	}
	if s.leaf == nil || verify(s.leaf.Leaf, p.DNSName, believed, now) != nil || !now.Before(due(s.leaf.Leaf)) {
		s.leaf, err = p.newLeaf(by, now)
	}
	return err
}

// retire does step 6 and returns what should be published.
func (s *state) retire(p Policy, published []*x509.Certificate, now time.Time) (bundle []*x509.Certificate) {
	for _, ca := range []*authority{s.signer, s.next} {
		if ca != nil {
			bundle = append(bundle, ca.cert)
		}
	}
	var keep []retiring
	for _, o := range s.old {
		if o.until.Year() < 1970 { // not decided yet, or in a schedule that we did not write
			o.until = now.Add(p.LeafLifetime)
		}
		if o.until.After(o.cert.NotAfter) {
			o.until = o.cert.NotAfter
		}
		over := !now.Before(o.until) || now.After(o.cert.NotAfter)
		if !over {
			bundle = append(bundle, o.cert)
		}
		if !over || has(published, o.cert) {
			keep = append(keep, o)
		}
	}
	s.old = keep
	return bundle
}

// again is when the first thing becomes due.
func (s state) again(p Policy, now time.Time) time.Time {
	at := now.Add(p.LeafLifetime)
	sooner := func(t time.Time) {
		if t.After(now) && t.Before(at) {
			at = t
		}
	}
	if s.leaf != nil {
		sooner(due(s.leaf.Leaf))
	}
	if s.signer != nil {
		sooner(due(s.signer.cert))
	}
	if !s.published.IsZero() {
		sooner(s.published.Add(p.Wait))
	}
	for _, o := range s.old {
		sooner(o.until)
	}
	return at
}

// sets returns the CAs that every bundle holds and those that any holds.
func sets(bundles [][]byte) (everywhere, somewhere []*x509.Certificate) {
	count := map[string]int{}
	for _, bundle := range bundles {
		for _, cert := range parseCAs(bundle) {
			if count[fingerprint(cert)]++; !has(somewhere, cert) {
				somewhere = append(somewhere, cert)
			}
		}
	}
	for _, cert := range somewhere {
		if count[fingerprint(cert)] == len(bundles) {
			everywhere = append(everywhere, cert)
		}
	}
	return everywhere, somewhere
}
