package zonetoken

import (
	"cmp"
	"crypto/rsa"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// Secret is a Secret as it is found in a control plane's cluster.
type Secret struct {
	Namespace, Name, Type string
	Labels                map[string]string
	Value                 plan.Secret // data.value, decoded once, as Kubernetes hands it out
}

// SigningKey is a secret that is a signing key for zone tokens, or that somebody takes for one.
type SigningKey struct {
	Name   string
	Serial int // by which the highest is told; a suffix that is no number is 0, as in the product
	// Signs is the kid of the tokens that are signed with it, Verifies the kid of those that are verified with it. Where
	// they differ, the product refuses the tokens that it signs. Verifies is "" where no kid leads to the secret.
	Signs, Verifies string
	Public          *rsa.PublicKey // nil when the product cannot read it
	Seen            bool           // the control plane sees it: it is of the right type and in the right namespace
	Findings        finding.Findings

	value plan.Secret
	err   error // in the product's words
}

// KeySet is all that is found under the prefix, in the order in which the product lists it.
type KeySet struct{ Keys []SigningKey }

// ReadKeys picks the signing keys out of secrets, for a control plane in a namespace; "" leaves the namespace open.
// Every name that begins with the prefix counts, as in the product (Kuma pkg/core/tokens/signing_key_manager.go).
func ReadKeys(namespace string, secrets []Secret) KeySet {
	var set KeySet
	for _, s := range secrets {
		if strings.HasPrefix(s.Name, KeyPrefix) {
			set.Keys = append(set.Keys, readKey(namespace, s))
		}
	}
	sorting.Stable(set.Keys, func(a, b *SigningKey) int { return cmp.Compare(a.Name, b.Name) })
	return set
}

// readKey reads one key, and says what is wrong with it.
func readKey(namespace string, s Secret) SigningKey {
	serial, plain := SerialOf(s.Name)
	k := SigningKey{Name: s.Name, Serial: serial, Signs: strconv.Itoa(serial), Seen: true, value: s.Value}
	if kid, ok := strings.CutPrefix(s.Name, KeyPrefix+"-"); ok && kid != "0" {
		k.Verifies = kid
	} else if s.Name == KeyPrefix {
		k.Verifies = "0"
	}
	f := &k.Findings
	if s.Type != SecretType {
		k.Seen = false
		f.Add(keyType, fmt.Sprintf("secret %s is of type %q, so the control plane does not see it", s.Name, s.Type),
			"Create it again: the type of a Secret cannot be changed. It must be "+SecretType+".")
	}
	if namespace != "" && s.Namespace != namespace {
		k.Seen = false
		f.Add(keyNamespace, fmt.Sprintf("secret %s is in namespace %s, and the control plane in %s sees only its own", s.Name,
			s.Namespace, namespace), "Create it there.")
	}
	if s.Labels[meshLabel] != "" {
		f.Add(keyMeshLabel, fmt.Sprintf("secret %s has the label %s, which a global secret must not have", s.Name, meshLabel),
			"Take the label off.")
	}
	k.material()
	if !k.Seen {
		return k
	}
	switch {
	case k.Serial < 0:
		f.Add(keyNegative, fmt.Sprintf("secret %s has a negative serial, and is never signed with", s.Name),
			"Create the key again under the next serial.")
	case plain && k.Serial == 0:
		f.Add(keyKid0, fmt.Sprintf("secret %s has no serial: it signs with kid 0, is the secret of HS256 too (up to 2.x), and any key with a serial comes before it", s.Name),
			"Rotate to a key with a serial.")
	case plain:
	case isNumber(strings.TrimPrefix(s.Name, KeyPrefix+"-")):
		f.Add(keyPadded, fmt.Sprintf("the serial of secret %s is not written as the product writes it: it signs with kid %s, which leads to %s, so the product refuses the tokens that it signs with it",
			s.Name, k.Signs, KeyName(k.Signs)),
			"Create the key again under the next serial, without zeros before it, and issue again what was signed with this one.")
	default:
		f.Add(keySuffix, fmt.Sprintf("what follows in the name of secret %s is no serial, and counts as %d: it signs with kid %s when no key has a higher one, and such a token is refused", s.Name, k.Serial, k.Signs),
			"Keep what is no key under another name, in a secret of another type: a global secret goes to every zone.")
	}
	return k
}

// SerialOf is the serial in a secret's name, as the product finds it; plain says whether the name is the one that the
// product itself gives to a key of that serial, so that a token's kid leads back to it.
func SerialOf(name string) (serial int, plain bool) {
	serial, err := strconv.Atoi(strings.ReplaceAll(name, KeyPrefix+"-", ""))
	if err != nil {
		serial = 0
	}
	return serial, name == KeyName(strconv.Itoa(serial))
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// Verifier is the key with which the product verifies a token of this kid. The error is the product's.
func (s KeySet) Verifier(kid string) (SigningKey, error) {
	for _, k := range s.Keys {
		if k.Seen && k.Name == KeyName(kid) {
			return k, k.err
		}
	}
	return SigningKey{}, notFound(kid)
}

// Private returns the private key, as the product reads it. The error is the product's.
func (k SigningKey) Private() (*rsa.PrivateKey, error) { return readPrivate(k.value.Reveal()) }

// NextSerial is the serial for a new key: one more than the highest of all names, also of those that are not seen or
// padded, so that a kid never means two keys.
func (s KeySet) NextSerial() (int, error) {
	next := 1
	for _, k := range s.Keys {
		if k.Serial == math.MaxInt {
			return 0, fmt.Errorf("secret %s has the highest serial that there can be, so no key can come after it; delete it",
				k.Name)
		}
		next = max(next, k.Serial+1)
	}
	return next, nil
}

// Findings says what is wrong with the keys, one by one and as a set.
func (s KeySet) Findings() finding.Findings {
	var f finding.Findings
	by := map[int][]string{}
	for _, k := range s.Keys {
		f = append(f, k.Findings...)
		if k.Seen {
			by[k.Serial] = append(by[k.Serial], k.Name)
		}
	}
	for _, k := range s.Keys {
		if names := by[k.Serial]; k.Seen && len(names) > 1 && names[0] == k.Name {
			f.Add(keySerialTwice, fmt.Sprintf("secrets %s have the same serial, and sign with the same kid",
				strings.Join(names, " and ")), "Create one key again under the next serial, and delete these once nothing is signed with them any more.")
		}
	}
	signer, err := s.Signer()
	switch {
	case signer.Name == "":
		f.Add(keyNone, "the control plane has no signing key: it can neither issue nor verify zone tokens, and makes one only when its leader starts", "Create one, or restart the control plane.")
	case err != nil:
		f.Add(keySignerUnreadable, fmt.Sprintf("secret %s has the highest serial and cannot be read, so no token can be issued", signer.Name), "Delete it; the key before it then signs again.")
	case signer.Verifies != signer.Signs:
		f.Add(keySignerNotVerifier, fmt.Sprintf("tokens are signed with secret %s and kid %s, which leads to %s: each new token is refused", signer.Name, signer.Signs, KeyName(signer.Signs)),
			"Create a key under the next serial, without zeros before it.")
	}
	return f
}

// Signer is the key with which the product signs: of those that it sees the one with the highest serial, the first of
// two. The error is the product's.
func (s KeySet) Signer() (SigningKey, error) {
	var best SigningKey
	highest := -1
	for _, k := range s.Keys {
		if k.Seen && k.Serial > highest {
			best, highest = k, k.Serial
		}
	}
	if highest < 0 {
		return SigningKey{}, notFound("1")
	}
	return best, best.err
}

// notFound is what the product says of a kid that leads to no key.
func notFound(kid string) error {
	return fmt.Errorf("there is no signing key with KID %s. GlobalSecret of name %q is not found. If signing key was rotated, regenerate the token", kid, KeyName(kid))
}

// KeyName is the name of the secret to which a kid leads; kid 0 is that of 1.3, without a serial.
func KeyName(kid string) string {
	if kid == "0" {
		return KeyPrefix
	}
	return KeyPrefix + "-" + kid
}
