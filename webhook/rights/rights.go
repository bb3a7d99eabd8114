package rights

import (
	"context"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// Authorizer asks with one identity, which needs the right to create subjectaccessreviews.
type Authorizer struct {
	reviews client.SubjectAccessReviewInterface
}

// NewAuthorizer asks the API server of cfg. The client has no rate limit of its own: a decision must not wait behind
// another one.
func NewAuthorizer(cfg *rest.Config) (*Authorizer, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.QPS = -1
	c, err := client.NewForConfig(cfg)
	if err != nil {
		return nil, fmt.Errorf("making a client for access reviews: %w", err)
	}
	return &Authorizer{c.SubjectAccessReviews()}, nil
}

// MayOverride says whether the user has the verb override on a ManagementPlane. Name is "" for one whose name the API
// server makes up: then the right must be there for any name.
func (a *Authorizer) MayOverride(ctx context.Context, user authenticationv1.UserInfo,
	namespace, name string) (bool, error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for key, values := range user.Extra {
		extra[key] = authorizationv1.ExtraValue(values)
	}
	review, err := a.reviews.Create(ctx,
		&authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User: user.Username, Groups: user.Groups, UID: user.UID, Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verdict.OverrideVerb,
				Group: "install.tetrate.io", Version: "*",
				Resource: "managementplanes", Namespace: namespace, Name: name},
		}}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("reviewing the access of the user: %w", err)
	}
	return review.Status.Allowed && !review.Status.Denied, nil
}
