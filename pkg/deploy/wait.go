package deploy

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/install"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// deployment is what tells how far a rollout is.
type deployment struct {
	Metadata struct {
		Generation int64 `json:"generation"`
	} `json:"metadata"`
	Spec struct {
		Replicas *int64 `json:"replicas"`
		Selector struct {
			MatchLabels map[string]string `json:"matchLabels"`
		} `json:"selector"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Replicas           int64 `json:"replicas"`
		UpdatedReplicas    int64 `json:"updatedReplicas"`
		AvailableReplicas  int64 `json:"availableReplicas"`
	} `json:"status"`
}

// missing says what a rollout waits for, "" when it is done.
func (d deployment) missing() string {
	want := int64(1)
	if d.Spec.Replicas != nil {
		want = *d.Spec.Replicas
	}
	switch {
	case d.Status.ObservedGeneration < d.Metadata.Generation:
		return "its controller has not seen it yet"
	case d.Status.UpdatedReplicas < want:
		return fmt.Sprintf("%d of %d pods are there", d.Status.UpdatedReplicas, want)
	case d.Status.AvailableReplicas < want:
		return fmt.Sprintf("%d of %d pods are available", d.Status.AvailableReplicas, want)
	case d.Status.Replicas > want:
		return fmt.Sprintf("%d pods of before are still there", d.Status.Replicas-want)
	}
	return ""
}

// Wait returns once every Deployment of the objects is rolled out and the configuration of the webhook has entries:
// from then on edits are guarded. tell gets what is waited for, each time that it changes.
func (c Cluster) Wait(ctx context.Context, objects []install.Object, tell func(string)) error {
	last := ""
	for _, o := range objects {
		ref, err := install.Ref(o)
		if err != nil {
			return err
		}
		ask := map[string]func(context.Context, plan.Ref) (string, error){
			"Deployment": c.rolledOut, "ValidatingWebhookConfiguration": c.guarding}[ref.Kind]
		if ask == nil {
			continue
		}
		err = c.poll(ctx, fmt.Sprintf("waiting for %s in %s", ref, c.Context), func(ctx context.Context) (string, error) {
			missing, err := ask(ctx, ref)
			if err != nil {
				missing = err.Error()
			}
			if text := fmt.Sprintf("%s: %s", ref, missing); missing != "" && text != last {
				last = text
				tell(text)
			}
			return missing, nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c Cluster) rolledOut(ctx context.Context, ref plan.Ref) (string, error) {
	var d deployment
	if err := c.read(ctx, ref, &d); err != nil {
		return "", err
	}
	missing := d.missing()
	if missing == "" {
		return "", nil
	}
	if why := c.podsSay(ctx, ref, d.Spec.Selector.MatchLabels); why != "" {
		missing += "; " + why
	}
	return missing, nil
}

// podsSay is why a pod of a Deployment does not run, "" where none says so or they may not be read.
func (c Cluster) podsSay(ctx context.Context, of plan.Ref, labels map[string]string) string {
	r := c.REST.Get().AbsPath(plan.Read{Version: "v1", Resource: "pods", Namespace: of.Namespace}.Path()).
		SetHeader("Accept", "application/json")
	var selector []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		selector = append(selector, key+"="+labels[key])
	}
	r = r.Param("labelSelector", strings.Join(selector, ","))
	body, err := kubeconfig.Body(r.Do(ctx))
	var pods struct {
		Items []struct {
			Metadata struct {
				Name string `json:"name"`
			} `json:"metadata"`
			Status struct {
				Conditions []struct {
					Type, Status, Reason, Message string
				} `json:"conditions"`
				ContainerStatuses []struct {
					State struct {
						Waiting *struct{ Reason, Message string } `json:"waiting"`
					} `json:"state"`
				} `json:"containerStatuses"`
			} `json:"status"`
		} `json:"items"`
	}
	if err != nil || json.Unmarshal(body, &pods) != nil {
		return ""
	}
	for _, p := range pods.Items {
		for _, is := range p.Status.Conditions {
			if is.Type == "PodScheduled" && is.Status == "False" {
				return fmt.Sprintf("pod %s: %s: %s", p.Metadata.Name, is.Reason, is.Message)
			}
		}
		for _, s := range p.Status.ContainerStatuses {
			if w := s.State.Waiting; w != nil && w.Message != "" {
				return fmt.Sprintf("pod %s: %s: %s", p.Metadata.Name, w.Reason, w.Message)
			}
		}
	}
	return ""
}

func (c Cluster) guarding(ctx context.Context, ref plan.Ref) (string, error) {
	var conf struct {
		Webhooks []struct{} `json:"webhooks"`
	}
	if err := c.read(ctx, ref, &conf); err != nil {
		return "", err
	}
	if len(conf.Webhooks) == 0 {
		return "the webhook has not written its entries yet, so nothing is guarded", nil
	}
	return "", nil
}
