package tokenissuer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/globalapi"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// askWithin is how long the API may take to issue a token.
const askWithin = 20 * time.Second

// ask has the global's API issue a token, in these steps:
//
//  1. who asks: the token that was provided, else the administrator's, from its secret; nobody, where who asks from
//     the global's own host is its administrator;
//  2. the question, to a pod of the global that is ready; another pod where one cannot be reached;
//  3. the answer, which must be the token that was asked for.
func (k Tokens) ask(ctx context.Context, t plan.TokenRequest) (plan.Secret, []string, error) {
	c, err := k.Fleet.Cluster(t.Hub)
	if err != nil {
		return plan.Secret{}, nil, err
	}
	login, err := k.login(ctx, c, *t.API)
	if err != nil {
		return plan.Secret{}, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	status, body, err := globalapi.Client{Login: login, TLS: k.TLS}.Post(ctx, c, *t.API, "tokens/zone",
		zonetoken.Ask(t.Subject, t.ValidFor))
	var lost *globalapi.Lost
	switch {
	case errors.As(err, &lost):
		return plan.Secret{}, nil, fmt.Errorf("asking the global's API of %s in %s for a token of zone %s: %s; "+
			"a token that nobody has may have been issued", t.API.Object, t.Hub, t.Subject, observe.Explain(err))
	case err != nil:
		return plan.Secret{}, nil, fmt.Errorf("asking the global's API of %s in %s: %s; pass --tokens-from=key if it cannot be reached", t.API.Object, t.Hub, observe.Explain(err))
	}
	token, _, err := zonetoken.Answered(status, body, t.Subject, t.ValidFor)
	return token, nil, err
}

// login is the bearer token with which the API is asked.
func (k Tokens) login(ctx context.Context, c *kubeconfig.Cluster, api plan.HubAPI) (plan.Secret, error) {
	secret := api.Login
	switch own := strings.TrimSpace(string(k.Login.Reveal())); {
	case own != "":
		return plan.NewSecret([]byte(own)), nil
	case secret.Name == "" && api.NoLogin:
		return plan.Secret{}, nil
	case secret.Name == "":
		return plan.Secret{}, errors.New("the global's API is to be asked with a token of yours; pass --api-token FILE")
	}
	where := fmt.Sprintf("secret %s/%s in %s", secret.Namespace, secret.Name, c.Context)
	o, err := read(ctx, c, secret)
	if err != nil {
		return plan.Secret{}, fmt.Errorf("reading the administrator's token for the global's API (%s): %s; pass a token of yours with --api-token FILE, or pass --tokens-from=key", where, observe.Explain(err))
	}
	token := strings.TrimSpace(string(o.Data[zonetoken.SecretKey]))
	if token == "" {
		return plan.Secret{}, fmt.Errorf("%s is empty; pass a token for the global's API with --api-token FILE, or pass --tokens-from=key", where)
	}
	return plan.NewSecret([]byte(token)), nil
}

// object is what is read of a secret.
type object struct {
	Metadata struct {
		UID    string            `json:"uid"`
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
	Type string            `json:"type"`
	Data map[string][]byte `json:"data"`
}

// read reads a secret. The error has nothing of it.
func read(ctx context.Context, c *kubeconfig.Cluster, r plan.Ref) (object, error) {
	var o object
	body, err := kubeconfig.Body(c.REST.Get().AbsPath(plan.Read{Version: r.Version, Resource: r.Resource,
		Namespace: r.Namespace, Name: r.Name}.Path()).Do(ctx))
	if err == nil && json.Unmarshal(body, &o) != nil {
		err = errors.New("it is not as its kind says")
	}
	return o, err
}

// readAsked reads a secret of the global by its own API. The error has nothing of it.
func (k Tokens) readAsked(ctx context.Context, c *kubeconfig.Cluster, at plan.HubAPI, r plan.Ref) (object, error) {
	o := object{Type: zonetoken.SecretType, Data: map[string][]byte{}}
	body, err := globalapi.Client{Login: k.Login, TLS: k.TLS}.Get(ctx, c, at, path.Join(r.Resource, r.Name))
	if err != nil {
		return o, err
	}
	var asked zonetoken.APISecret
	if json.Unmarshal(body, &asked) != nil {
		return o, errors.New("it is not as the global's API documents")
	}
	o.Metadata.UID, o.Metadata.Labels, o.Data[zonetoken.SecretKey] = asked.Created, asked.Labels, asked.Data
	return o, nil
}
