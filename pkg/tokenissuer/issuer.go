package tokenissuer

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Tokens gets zones their tokens: from the global's own API, which asks who may and writes it down; or signed here
// with the global's key.
type Tokens struct {
	Fleet *kubeconfig.Fleet
	Login plan.Secret // the user's own bearer token for the API; empty when the administrator's is read from its secret
	TLS   *tls.Config // how an API outside of clusters is verified; nil is the system's
}

// From says where tokens come from.
func (Tokens) From() string { return "the global control plane" }

// Makes says that each call makes another token.
func (Tokens) Makes() bool { return true }

// Secrets makes the secret with a token, in these steps:
//
//  1. have the token issued that was asked for;
//  2. see that it is of the key that was planned with;
//  3. return a secret that nobody can write again.
//
// No error contains a part of a key or of a token.
func (k Tokens) Secrets(ctx context.Context, s plan.Supply) ([]map[string]any, []string, error) {
	t := s.Token
	if t == nil {
		return nil, nil, errors.New("no token was asked for")
	}
	token, zone, said, err := k.Issue(ctx, *t)
	if err != nil {
		return nil, nil, err
	}
	if zone.KeyID != t.KeyID {
		return nil, nil, fmt.Errorf("the global signed the token of zone %s with key %s, and one of key %s was planned; its keys have changed: run the command again", t.Subject, zone.KeyID, t.KeyID)
	}
	secret := Secret(t.Secret, s.Namespace, t.DataKey, token)
	secret["immutable"] = true
	return []map[string]any{secret}, said, nil
}

// Issue has a token issued, and says what it is.
func (k Tokens) Issue(ctx context.Context, t plan.TokenRequest) (plan.Secret, zonetoken.Zone, []string, error) {
	issue, by := k.sign, "signed here"
	if t.API != nil {
		issue, by = k.ask, "by its API"
	}
	token, said, err := issue(ctx, t)
	if err != nil {
		return plan.Secret{}, zonetoken.Zone{}, nil, err
	}
	zone, err := zonetoken.ReadZone(token.Reveal())
	if err != nil {
		return plan.Secret{}, zonetoken.Zone{}, nil, fmt.Errorf("reading the token that was issued for zone %s: %w",
			t.Subject, err)
	}
	line := fmt.Sprintf("issued token %s for zone %s with key %s, valid until %s, %s", zone.ID, t.Subject, zone.KeyID,
		zone.Expires.UTC().Format(time.RFC3339), by)
	return token, zone, append([]string{line}, said...), nil
}

// Secret is the object that holds a token.
func Secret(name, namespace, key string, token plan.Secret) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
		"metadata": map[string]any{"name": name, "namespace": namespace,
			"labels": map[string]any{"app.kubernetes.io/managed-by": "kubectl-xcpauth"}},
		"data": map[string]any{key: base64.StdEncoding.EncodeToString(token.Reveal())}}
}
