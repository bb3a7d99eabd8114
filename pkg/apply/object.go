package apply

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/patch"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Get reads an object as it is now. The error of the request is returned as it is. An answer that is not that object is
// an error too: what stands in front of an API server may answer anything.
func Get(ctx context.Context, c *kubeconfig.Cluster, r plan.Ref) (map[string]any, error) {
	b, err := kubeconfig.Body(c.REST.Get().AbsPath(ObjectPath(r)).Do(ctx))
	if err != nil {
		return nil, err
	}
	var o map[string]any
	if err := json.Unmarshal(b, &o); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", r, err)
	}
	if meta, _ := o["metadata"].(map[string]any); meta["name"] != r.Name {
		return nil, &observe.AnswerError{Why: fmt.Sprintf("the API server's answer is not %s", r)}
	}
	return o, nil
}

// inFront is what to do about an answer that is not the API server's.
const inFront = "see what answers in front of it, such as a proxy, and run the command again"

// sendChange is Send of a change of an object that is there. What is stored must have a change of a status, which is
// ours, and which nothing looks at again: the webhook believes it.
func sendChange(ctx context.Context, req *rest.Request, p plan.Write, uid string) error {
	b, err := Send(ctx, req, p.Object, uid)
	if err != nil || p.Op != plan.OpUpdateStatus {
		return err
	}
	var o map[string]any
	if json.Unmarshal(b, &o) != nil || !patch.Matches(o, p.After, p.ListsByName) {
		return &observe.AnswerError{Why: fmt.Sprintf("the API server's answer is not %s with what was written; %s",
			p.Object, inFront)}
	}
	return nil
}

// Send sends a write of an object, of the UID where that is known, and returns the object as the API server says that
// it is stored. An answer that is not that object is an error too: whether anything was written is not known then.
func Send(ctx context.Context, req *rest.Request, r plan.Ref, uid string) ([]byte, error) {
	b, err := kubeconfig.Body(req.Do(ctx))
	if err != nil {
		return nil, err
	}
	var o struct {
		Metadata kube.Identity `json:"metadata"`
	}
	if json.Unmarshal(b, &o) == nil && o.Metadata.Name == r.Name && o.Metadata.UID != "" &&
		(uid == "" || o.Metadata.UID == uid) {
		return b, nil
	}
	return nil, &observe.AnswerError{Why: fmt.Sprintf(
		"the API server's answer is not %s, and it is not known whether it was written; %s", r, inFront)}
}

// SendDeletion is Send of a deletion, which is answered with a success, or with the object, which somebody still needs.
func SendDeletion(ctx context.Context, req *rest.Request, r plan.Ref) error {
	b, err := kubeconfig.Body(req.Do(ctx))
	if err != nil {
		return err
	}
	var o struct {
		Kind     string        `json:"kind"`
		Metadata kube.Identity `json:"metadata"`
		Status   any           `json:"status"`
	}
	if json.Unmarshal(b, &o) == nil && (o.Kind == "Status" && o.Status == "Success" || o.Metadata.Name == r.Name) {
		return nil
	}
	return &observe.AnswerError{Why: fmt.Sprintf(
		"the API server's answer does not say that %s is deleted, and it is not known whether it is; %s", r, inFront)}
}

// ObjectPath is where the API server has an object.
func ObjectPath(r plan.Ref) string {
	return observe.Path(plan.Read{Group: r.Group, Version: r.Version, Resource: r.Resource,
		Namespace: r.Namespace, Name: r.Name})
}

// UID is that of an object, "" when it has none.
func UID(o map[string]any) string {
	meta, _ := o["metadata"].(map[string]any)
	id, _ := meta["uid"].(string)
	return id
}

// Explained words an error of a request for a person; errors.Is and errors.As find the error itself.
func Explained(err error) error { return explained{err} }

type explained struct{ error }

func (e explained) Error() string { return observe.Explain(e.error) }
func (e explained) Unwrap() error { return e.error }
