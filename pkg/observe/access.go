package observe

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// accessReviews is where an API server says what the one who asks may do. Everybody may ask by default (ClusterRole
// system:basic-user). A SelfSubjectRulesReview would be one request, and may be incomplete: with authorizers that
// cannot list their rules.
const accessReviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

// Lacking asks the API server of a context for rights, and returns those that are missing, and why it gave no answer,
// if so.
func (o *Observer) Lacking(ctx context.Context, name string,
	needs []plan.Permission) (missing []plan.Permission, err string) {
	ctx, cancel := context.WithTimeout(ctx, o.MemberTimeout)
	defer cancel()
	c, failed := o.Fleet.Cluster(name)
	if failed != nil {
		return nil, failed.Error()
	}
	return plan.Snapshot{AccessReviews: o.access(ctx, c, needs)}.MissingPermissions(needs)
}

// access asks for each right, all side by side on the connection that is there.
func (o *Observer) access(ctx context.Context, c *kubeconfig.Cluster,
	needs []plan.Permission) map[plan.Permission]plan.AccessReview {
	answers := make(map[plan.Permission]plan.AccessReview, len(needs))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, n := range needs {
		wg.Go(func() {
			a := o.ask(ctx, c, n)
			mu.Lock()
			defer mu.Unlock()
			answers[n] = a
		})
	}
	wg.Wait()
	return answers
}

func (o *Observer) ask(ctx context.Context, c *kubeconfig.Cluster, n plan.Permission) plan.AccessReview {
	ctx, cancel := context.WithTimeout(ctx, o.RequestTimeout)
	defer cancel()
	attributes := map[string]string{"verb": n.Verb, "group": n.Group, "resource": n.Resource, "subresource": n.Subresource,
		"namespace": n.Namespace, "name": n.Name}
	question, err := json.Marshal(map[string]any{"apiVersion": "authorization.k8s.io/v1",
		"kind": "SelfSubjectAccessReview", "spec": map[string]any{"resourceAttributes": attributes}})
	if err != nil {
		return plan.AccessReview{Err: fmt.Sprintf("encoding a SelfSubjectAccessReview: %v", err)}
	}
	body, err := kubeconfig.Body(c.REST.Post().AbsPath(accessReviews).SetHeader("Content-Type",
		"application/json").SetHeader("Accept", "application/json").MaxRetries(2).Body(question).Do(ctx))
	if err != nil {
		return plan.AccessReview{Err: Explain(err)}
	}
	var review struct {
		Status *struct {
			Allowed         bool   `json:"allowed"`
			EvaluationError string `json:"evaluationError"`
		} `json:"status"`
	}
	switch err := json.Unmarshal(body, &review); {
	case err != nil || review.Status == nil:
		return plan.AccessReview{Err: "the API server's answer is no SelfSubjectAccessReview"}
	case !review.Status.Allowed && review.Status.EvaluationError != "":
		return plan.AccessReview{Err: review.Status.EvaluationError}
	}
	return plan.AccessReview{Allowed: review.Status.Allowed}
}
