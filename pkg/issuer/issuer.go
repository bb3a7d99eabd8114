package issuer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/fleet"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// keyBits is the length of a new key, as the product makes it.
const keyBits = 2048

// Keys issues tokens with the signing keys of a global control plane, read from their secrets in its cluster: whoever may read those may
// issue, and the product's own access control and audit do not see it.
type Keys struct{ Fleet *fleet.Fleet }

// From says where tokens come from.
func (Keys) From() string { return "the global's signing key" }

// Makes says that each call makes another token.
func (Keys) Makes() bool { return true }

// Secrets makes the secret with a token:
//
//  1. read the key's secret in the hub's cluster, and see that it is the key that was planned with, usable, and the one that signs;
//  2. issue the token that was asked for;
//  3. return a secret that nobody can write again.
//
// No error contains a part of a key or of a token.
func (k Keys) Secrets(ctx context.Context, s plan.Supply) ([]map[string]any, []string, error) {
	t := s.Token
	if t == nil {
		return nil, nil, errors.New("no token was asked for")
	}
	key, err := k.key(ctx, *t)
	if err != nil {
		return nil, nil, err
	}
	secret, said, err := issue(*t, s.Namespace, key, time.Now())
	if err != nil {
		return nil, nil, err
	}
	return []map[string]any{secret}, said, nil
}

// key reads the signing key.
func (k Keys) key(ctx context.Context, t plan.TokenRequest) (*rsa.PrivateKey, error) {
	c, err := k.Fleet.Cluster(t.Hub)
	if err != nil {
		return nil, err
	}
	where := fmt.Sprintf("secret %s/%s in %s", t.Key.Namespace, t.Key.Name, t.Hub)
	body, err := fleet.Body(c.REST.Get().AbsPath(plan.Read{Version: "v1", Resource: "secrets", Namespace: t.Key.Namespace, Name: t.Key.Name}.Path()).Do(ctx))
	if err != nil {
		return nil, fmt.Errorf("reading the signing key (%s): %s", where, observe.Explain(err))
	}
	var o struct {
		Metadata struct {
			UID    string            `json:"uid"`
			Labels map[string]string `json:"labels"`
		} `json:"metadata"`
		Type string            `json:"type"`
		Data map[string][]byte `json:"data"`
	}
	if json.Unmarshal(body, &o) != nil {
		return nil, fmt.Errorf("%s is not as its kind says", where)
	}
	if t.Key.UID != "" && o.Metadata.UID != t.Key.UID {
		return nil, fmt.Errorf("%s was made anew since it was looked at; run the command again", where)
	}
	set := kongmesh.ReadKeys(t.Key.Namespace, []kongmesh.Secret{{Namespace: t.Key.Namespace, Name: t.Key.Name, Type: o.Type, Labels: o.Metadata.Labels, Value: plan.NewSecret(o.Data[kongmesh.SecretKey])}})
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

// issue makes the secret of a token.
func issue(t plan.TokenRequest, namespace string, key *rsa.PrivateKey, now time.Time) (map[string]any, []string, error) {
	var random [16]byte
	rand.Read(random[:]) // never fails
	grant := kongmesh.Grant{Zone: t.Subject, ValidFor: t.ValidFor, ID: kongmesh.TokenID(random), KeyID: t.KeyID}
	token, findings, err := kongmesh.Issue(grant, key, now)
	if err != nil {
		return nil, nil, fmt.Errorf("issuing a token for zone %s: %w", t.Subject, err)
	}
	said := []string{fmt.Sprintf("issued token %s for zone %s with key %s, valid until %s", grant.ID, t.Subject, t.KeyID, now.Add(t.ValidFor).UTC().Format(time.RFC3339))}
	for _, f := range findings {
		said = append(said, f.Saw)
	}
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": true,
		"metadata": map[string]any{"name": t.Secret, "namespace": namespace, "labels": map[string]any{"app.kubernetes.io/managed-by": "kubectl-xcpauth"}},
		"data":     map[string]any{t.DataKey: base64.StdEncoding.EncodeToString(token.Reveal())}}, said, nil
}

// NewPEM makes a signing key as the product does, and has seen that the product can read it.
func NewPEM() ([]byte, error) {
	key, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return nil, errors.New("making a signing key failed")
	}
	text := kongmesh.EncodeKey(key)
	if _, err := kongmesh.CheckPEM(text); err != nil {
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
	after["data"] = map[string]any{kongmesh.SecretKey: base64.StdEncoding.EncodeToString(text)}
	return nil
}
