package tokenissuer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// keyBits is the length of a new key, as the product makes it.
const keyBits = 2048

// sign issues a token with the global's signing key, read from its secret: whoever may read that may issue, and the
// product's own access control and audit do not see it. The key must be the one that was planned with, usable, and
// the one that signs.
func (k Tokens) sign(ctx context.Context, t plan.TokenRequest) (plan.Secret, []string, error) {
	key, err := k.key(ctx, t)
	if err != nil {
		return plan.Secret{}, nil, err
	}
	var random [16]byte
	rand.Read(random[:]) // never fails
	token, findings, err := zonetoken.Issue(zonetoken.Grant{Zone: t.Subject, ValidFor: t.ValidFor,
		ID: zonetoken.TokenID(random), KeyID: t.KeyID}, key, time.Now())
	if err != nil {
		return plan.Secret{}, nil, fmt.Errorf("issuing a token for zone %s: %w", t.Subject, err)
	}
	var said []string
	for _, f := range findings {
		said = append(said, f.Found)
	}
	return token, said, nil
}

// key reads the signing key.
func (k Tokens) key(ctx context.Context, t plan.TokenRequest) (*rsa.PrivateKey, error) {
	c, err := k.Fleet.Cluster(t.Hub)
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("secret %s/%s in %s", t.Key.Namespace, t.Key.Name, t.Hub)
	var o object
	if t.KeyAPI != nil {
		where = fmt.Sprintf("global secret %s in %s", t.Key.Name, t.Hub)
		o, err = k.readAsked(ctx, c, *t.KeyAPI, t.Key)
	} else {
		o, err = read(ctx, c, t.Key)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the signing key (%s): %s", where, observe.Explain(err))
	}
	if t.Key.UID != "" && o.Metadata.UID != t.Key.UID {
		return nil, fmt.Errorf("%s was made again since it was looked at; run the command again", where)
	}
	set := zonetoken.ReadKeys(t.Key.Namespace, []zonetoken.Secret{{Namespace: t.Key.Namespace, Name: t.Key.Name,
		Type: o.Type, Labels: o.Metadata.Labels, Value: plan.NewSecret(o.Data[zonetoken.SecretKey])}})
	signer, err := set.Signer()
	if err != nil {
		return nil, fmt.Errorf("%s: the global cannot sign with it: %w", where, err)
	}
	if signer.Verifies != t.KeyID {
		return nil, fmt.Errorf("%s is key %q, and a token of key %s was planned", where, signer.Verifies, t.KeyID)
	}
	key, err := signer.Private()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", where, err)
	}
	return key, nil
}

// NewPEM makes a signing key as the product does, and has seen that the product can read it.
func NewPEM() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, errors.New("making a signing key failed")
	}
	text := zonetoken.EncodeKey(key)
	if _, err := zonetoken.CheckPEM(text); err != nil {
		return nil, fmt.Errorf("the signing key that was made is none: %w", err)
	}
	return text, nil
}

// NewKey fills the secret of a signing key with a new one.
func NewKey(after map[string]any) error {
	text, err := NewPEM()
	if err != nil {
		return err
	}
	value := base64.StdEncoding.EncodeToString(text)
	if after["kind"] == nil { // one of the global's own API
		after["data"] = value
		return nil
	}
	after["data"] = map[string]any{zonetoken.SecretKey: value}
	return nil
}
