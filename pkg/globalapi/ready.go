package globalapi

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

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
		return nil, fmt.Errorf("no pod of %s in %s is ready to be asked; run the command again when one is",
			deployment, c.Context)
	}
	return names, nil
}
