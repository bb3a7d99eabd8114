package globalapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Client asks the API of a global control plane.
type Client struct {
	// Login is the bearer token of who asks; empty for none.
	Login plan.Secret
	// TLS is how an address outside of clusters is verified, and who asks there; nil is the system's.
	TLS *tls.Config
	// Trim takes out of a page what its reader does not need; nil leaves all.
	Trim func(r plan.Read, page []byte) []byte
}

func (c Client) login() string { return strings.TrimSpace(string(c.Login.Reveal())) }

// Read answers a plan.Read with Asked: an object as it is; of a list all its pages as one, {"total": n, "items": []}. A
// list of which a page is missing, or that changes while it is read, is an error after some tries.
func (c Client) Read(ctx context.Context, cluster *kubeconfig.Cluster, r plan.Read) ([]byte, error) {
	at := plan.HubAPI{Object: plan.Ref{Group: r.Group, Version: r.Version, Resource: r.Resource, Kind: "Deployment",
		Namespace: r.Namespace, Name: r.Name}, Port: r.Port, TLS: r.TLS}
	if r.Port == 0 {
		at = plan.HubAPI{URL: r.Name}
	}
	a, err := c.ofPods(ctx, cluster, at, func(k *connection) (answer, error) {
		body, err := c.whole(ctx, k, r)
		return answer{body: body}, err
	})
	return a.body, err
}

// whole reads an object or a list, again where the list changed while it was read.
func (c Client) whole(ctx context.Context, k *connection, r plan.Read) ([]byte, error) {
	var err error
	for range tries {
		var body []byte
		if body, err = c.read(ctx, k, r); !errors.Is(err, errMoved) {
			return body, err
		}
	}
	return nil, &Error{Text: r.Asked + " changed each time that its pages were read; run the command again"}
}

// errMoved says that the pages of a list are not of one list.
var errMoved = errors.New("the list changed while it was read")

// pageSize is how many items a page has, of at most 1000; and mostPages how many a list may have.
const (
	pageSize  = 100
	mostPages = 1000
)

// plain is a name that can be printed and written: what an API says is shown on terminals, and is a part of paths.
var plain = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// page is one page of a list (Kuma pkg/core/resources/model/rest/list.go).
type page struct {
	Total *int              `json:"total"`
	Items []json.RawMessage `json:"items"`
	Next  *string           `json:"next"`
}

// read reads an object, or the pages of a list, each of them trimmed before the next is asked for.
func (c Client) read(ctx context.Context, k *connection, r plan.Read) ([]byte, error) {
	var items []json.RawMessage
	names := map[string]bool{}
	for n, offset := 0, ""; n < mostPages; n++ {
		query := url.Values{"size": {fmt.Sprint(pageSize)}}
		if offset != "" {
			query.Set("offset", offset)
		}
		body, err := k.get(ctx, r.Asked+"?"+query.Encode())
		if err != nil {
			return nil, err
		}
		var p page
		switch err := json.Unmarshal(body, &p); {
		case err != nil: // the cause may quote a secret
			return nil, &Error{Text: "its answer to " + r.Asked + " is not the JSON that it documents"}
		case p.Items == nil && p.Total == nil:
			return body, nil
		case p.Items == nil || p.Total == nil:
			return nil, &Error{Text: "its answer to " + r.Asked + " is no list as it documents"}
		}
		if c.Trim != nil {
			var left page // whose items do not lie in the memory of the whole ones
			if err := json.Unmarshal(c.Trim(r, body), &left); err != nil {
				return nil, &Error{Text: "its answer to " + r.Asked + " is no list as it documents"}
			}
			p.Items = left.Items
		}
		for _, item := range p.Items {
			var o struct{ Name string }
			if json.Unmarshal(item, &o) != nil || !plain.MatchString(o.Name) {
				return nil, &Error{Text: "its answer to " + r.Asked + " lists something without a name, or with one that is none"}
			}
			if names[o.Name] {
				return nil, errMoved
			}
			names[o.Name] = true
		}
		items = append(items, p.Items...)
		last := p.Next == nil || *p.Next == ""
		switch {
		case last && len(items) != *p.Total:
			return nil, errMoved
		case last:
			return json.Marshal(map[string]any{"total": len(items), "items": append([]json.RawMessage{}, items...)})
		}
		// its address is the pod's own, and is not followed
		next, err := url.Parse(*p.Next)
		if err != nil || next.Query().Get("offset") == "" || next.Query().Get("offset") == offset {
			return nil, &Error{Text: "its answer to " + r.Asked + " does not say where the next page begins"}
		}
		offset = next.Query().Get("offset")
	}
	return nil, &Error{Text: fmt.Sprintf("its list of %s has more than %d pages", r.Asked, mostPages)}
}

// Post asks for something new, and returns the HTTP status and the body. The next pod is tried only where nothing was
// sent to the one before: what was sent may have been done.
func (c Client) Post(ctx context.Context, cluster *kubeconfig.Cluster, at plan.HubAPI, path string,
	body []byte) (status int, answered []byte, err error) {
	a, err := c.ofPods(ctx, cluster, at, func(k *connection) (answer, error) {
		return k.send(ctx, http.MethodPost, path, body)
	})
	return a.status, a.body, err
}

// ofPods asks one pod after the other of those that are ready, until one can be reached; and looks for them again where
// none could, since those that it found may be being replaced. Nothing was sent where one cannot be reached.
func (c Client) ofPods(ctx context.Context, cluster *kubeconfig.Cluster, at plan.HubAPI,
	ask func(*connection) (answer, error)) (answer, error) {
	var other *unreached
	if at.URL != "" {
		k := open(at.URL, c.login(), c.TLS)
		defer k.close()
		return ask(k)
	}
	for try := 1; ; try++ {
		pods, err := ready(ctx, cluster, at.Object)
		if err != nil {
			return answer{}, err
		}
		for _, pod := range pods {
			k := connect(ctx, cluster, pod, at, c.login())
			a, failed := ask(k)
			k.close()
			if err = failed; !errors.As(failed, &other) || ctx.Err() != nil {
				return a, failed
			}
		}
		if try == tries || pause(ctx, again) != nil {
			return answer{}, err
		}
	}
}
