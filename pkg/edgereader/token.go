package edgereader

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// TokenPath is where an API server issues tokens of the reader in a namespace.
func TokenPath(namespace string) string {
	return "/api/v1/namespaces/" + namespace + "/serviceaccounts/" + ReaderName + "/token"
}

// TokenRequest asks for a token for the API server itself, for tokenLife.
func TokenRequest() []byte {
	b, err := json.Marshal(map[string]any{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
		"spec": map[string]any{"expirationSeconds": int64(tokenLife / time.Second)}})
	if err != nil {
		panic("access: a request of our own does not encode: " + err.Error())
	}
	return b
}

// ReadToken reads the answer to a TokenRequest. No error holds any of it.
func ReadToken(body []byte) (Token, error) {
	var answer struct {
		Spec struct {
			ExpirationSeconds int64 `json:"expirationSeconds"`
		} `json:"spec"`
		Status struct {
			Token               string    `json:"token"`
			ExpirationTimestamp time.Time `json:"expirationTimestamp"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return Token{}, errors.New("the API server's answer is no TokenRequest")
	}
	life := time.Duration(answer.Spec.ExpirationSeconds) * time.Second
	if bearer(answer.Status.Token) != nil || answer.Status.ExpirationTimestamp.IsZero() || life < time.Minute {
		return Token{}, errors.New("the API server's TokenRequest holds no token that ends")
	}
	end := answer.Status.ExpirationTimestamp.UTC()
	return Token{Secret: plan.NewSecret([]byte(answer.Status.Token)), Issued: end.Add(-life), Expires: end}, nil
}

// Renew has the edge's API server issue a new token of the same reader, and returns the kubeconfig with it.
func (c *Client) Renew(ctx context.Context) (Kubeconfig, Token, error) {
	began := time.Now()
	code, body, fault := c.do(ctx, http.MethodPost, TokenPath(c.kube.Namespace), "application/json", TokenRequest())
	defer c.held.give(int64(len(body)))
	if fault == nil && code != http.StatusCreated && code != http.StatusOK {
		fault = answered(code, "serviceaccounts/token", nil)
	}
	if fault != nil {
		return Kubeconfig{}, Token{}, fmt.Errorf("renewing the token of %s/%s: %w", c.kube.Namespace, ReaderName,
			fault.within(time.Since(began)))
	}
	token, err := ReadToken(body)
	if err != nil {
		return Kubeconfig{}, Token{}, fmt.Errorf("renewing the token of %s/%s: %w", c.kube.Namespace, ReaderName, err)
	}
	next := c.kube
	next.Token = token.Secret
	return next, token, nil
}
