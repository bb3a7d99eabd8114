package tokenissuer

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

const (
	askWithin = 20 * time.Second
	maxAnswer = 1 << 16
)

// ask has the global's API issue a token, in these steps:
//
//  1. who asks: the token that was provided, else the administrator's, from its secret;
//  2. a pod of the global that is ready, reached as kubectl port-forward does;
//  3. the question; another pod where one cannot be reached;
//  4. the answer, which must be the token that was asked for.
func (k Tokens) ask(ctx context.Context, t plan.TokenRequest) (plan.Secret, []string, error) {
	c, err := k.Fleet.Cluster(t.Hub)
	if err != nil {
		return plan.Secret{}, nil, err
	}
	login, err := k.login(ctx, c, t.API.Login)
	if err != nil {
		return plan.Secret{}, nil, err
	}
	pods, err := ready(ctx, c, t.API.Object)
	if err != nil {
		return plan.Secret{}, nil, err
	}
	var failed error
	for _, pod := range pods {
		status, body, err := post(ctx, c, pod, *t.API, login, zonetoken.Ask(t.Subject, t.ValidFor))
		if err != nil {
			failed = fmt.Errorf("asking the global's API in pod %s/%s in %s: %s; pass --tokens-from=key if it cannot be reached",
				t.API.Object.Namespace, pod, t.Hub, observe.Explain(err))
			if ctx.Err() != nil {
				break
			}
			continue
		}
		token, _, err := zonetoken.Answered(status, body, t.Subject, t.ValidFor)
		return token, nil, err
	}
	return plan.Secret{}, nil, failed
}

// login is the bearer token with which the API is asked.
func (k Tokens) login(ctx context.Context, c *kubeconfig.Cluster, secret plan.Ref) (string, error) {
	own := strings.TrimSpace(string(k.Login.Reveal()))
	switch {
	case own != "":
		return own, nil
	case secret.Name == "":
		return "", errors.New("the global's API is to be asked with a token of yours; pass --api-token FILE")
	}
	where := fmt.Sprintf("secret %s/%s in %s", secret.Namespace, secret.Name, c.Context)
	o, err := read(ctx, c, secret)
	if err != nil {
		return "", fmt.Errorf("reading the administrator's token for the global's API (%s): %s; pass a token of yours with --api-token FILE, or pass --tokens-from=key", where, observe.Explain(err))
	}
	token := strings.TrimSpace(string(o.Data[zonetoken.SecretKey]))
	if token == "" {
		return "", fmt.Errorf("%s is empty; pass a token for the global's API with --api-token FILE, or pass --tokens-from=key", where)
	}
	return token, nil
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

// ready are the names of a Deployment's pods that are ready to be asked; at most three. It is an error when there is
// none, or when it cannot be told which are the Deployment's.
func ready(ctx context.Context, c *kubeconfig.Cluster, deployment plan.Ref) ([]string, error) {
	var d struct {
		Spec struct {
			Selector *metav1.LabelSelector `json:"selector"`
		} `json:"spec"`
	}
	var pods struct {
		Items []struct {
			Metadata struct {
				Name              string `json:"name"`
				DeletionTimestamp string `json:"deletionTimestamp"`
			} `json:"metadata"`
			Status struct {
				Conditions []struct{ Type, Status string } `json:"conditions"`
			} `json:"status"`
		} `json:"items"`
	}
	get := func(r plan.Read, selector string, into any) error {
		req := c.REST.Get().AbsPath(r.Path())
		if selector != "" {
			req = req.Param("labelSelector", selector)
		}
		body, err := kubeconfig.Body(req.Do(ctx))
		if err != nil {
			return fmt.Errorf("looking for the pods of %s in %s: %s", deployment, c.Context, observe.Explain(err))
		}
		if json.Unmarshal(body, into) != nil {
			return fmt.Errorf("looking for the pods of %s in %s: the API server's answer is not as its kind says",
				deployment, c.Context)
		}
		return nil
	}
	if err := get(plan.Read{Group: deployment.Group, Version: deployment.Version, Resource: deployment.Resource,
		Namespace: deployment.Namespace, Name: deployment.Name}, "", &d); err != nil {
		return nil, err
	}
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking for the pods of %s in %s: %w", deployment, c.Context, err)
	case selector.String() == "": // nothing, or everything
		return nil, fmt.Errorf("%s in %s selects every pod of its namespace or none, so which are the global's cannot be told; pass --tokens-from=key", deployment, c.Context)
	}
	if err := get(plan.Read{Version: "v1", Resource: "pods", Namespace: deployment.Namespace}, selector.String(),
		&pods); err != nil {
		return nil, err
	}
	var names []string
	for _, p := range pods.Items {
		up := p.Metadata.DeletionTimestamp == "" && slices.ContainsFunc(p.Status.Conditions,
			func(s struct{ Type, Status string }) bool { return s.Type == "Ready" && s.Status == "True" })
		if up && len(names) < 3 {
			names = append(names, p.Metadata.Name)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no pod of %s in %s is ready to be asked for a token; run the command again when one is",
			deployment, c.Context)
	}
	return names, nil
}

// post asks a pod. Who answers is the pod that the API server leads to, so its certificate, which is made for the
// Service's name, tells nothing more.
func post(ctx context.Context, c *kubeconfig.Cluster, pod string, api plan.TokenAPI, login string,
	body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return observe.Forward(ctx, c, api.Object.Namespace, pod, api.Port)
		}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	scheme := "http"
	if api.TLS {
		scheme = "https"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, fmt.Sprintf("%s://localhost:%d%s", scheme, api.Port,
		api.Path), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "*/*")
	req.Header.Set("Authorization", "Bearer "+login)
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, answer, err
}
