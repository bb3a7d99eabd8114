package observe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
)

// selfReviews is where an API server says who asks (authentication.k8s.io/v1, since Kubernetes 1.28). Everybody may ask
// by default (ClusterRole system:basic-user).
const selfReviews = "/apis/authentication.k8s.io/v1/selfsubjectreviews"

// User is the name by which the API server of a context knows the one who uses it, after impersonation.
func (o *Observer) User(ctx context.Context, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, o.RequestTimeout)
	defer cancel()
	c, err := o.Fleet.Cluster(name)
	if err != nil {
		return "", err
	}
	question := []byte(`{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}`)
	body, err := kubeconfig.Body(c.REST.Post().AbsPath(selfReviews).SetHeader("Content-Type", "application/json").
		SetHeader("Accept", "application/json").Body(question).Do(ctx))
	if err != nil {
		return "", fmt.Errorf("asking the API server of %s who asks: %s", name, Explain(err))
	}
	var review struct {
		Status struct {
			UserInfo struct {
				Username string `json:"username"`
			} `json:"userInfo"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &review); err != nil {
		return "", fmt.Errorf("reading who asks the API server of %s: %w", name, err)
	}
	if review.Status.UserInfo.Username == "" {
		return "", errors.New("the API server of " + name + " does not say who asks it")
	}
	return review.Status.UserInfo.Username, nil
}
