package testbed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// living are the keys that servers go on writing by themselves, whatever state a cluster is in; they stay as they are.
var living = []string{"/leases/kube-system/", "/masterleases/", "/apiregistration.k8s.io/"}

// admission is where the kinds are kept that decide on requests. The API server takes up a change of some once a
// second.
const admission = "/validating"

// quiet is how long nothing must have been written in a cluster that was just started.
const quiet = 300 * time.Millisecond

// saved is the state of a cluster: what is in etcd, and at which revision that was written.
type saved map[string]keyValue

// ours returns the keys that make up the state.
func ours(all map[string]keyValue) saved {
	maps.DeleteFunc(all, func(key string, _ keyValue) bool {
		return slices.ContainsFunc(living, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
	})
	return all
}

func same(a, b saved) bool {
	return maps.EqualFunc(a, b, func(x, y keyValue) bool { return x.ModRevision == y.ModRevision })
}

// save returns the state of a cluster once its controllers have caught up, and write nothing more.
func (c *Cluster) save(ctx context.Context) (saved, error) {
	var last saved
	var since time.Time
	err := poll(ctx, startupLimit, func(ctx context.Context) error {
		if err := c.controllersCaughtUp(ctx); err != nil {
			return err
		}
		now, err := c.keys(ctx, false)
		if err != nil {
			return err
		}
		if now := ours(now); last == nil || !same(last, now) {
			last, since = now, time.Now()
		}
		if time.Since(since) < quiet {
			return errors.New("its controllers still write")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("saving the state of cluster %s: %w", c.Name, err)
	}
	all, err := c.keys(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("saving the state of cluster %s: %w", c.Name, err)
	}
	return ours(all), nil
}

// restore brings a cluster back to a state while its servers run, and returns when they know. Nothing is deleted as a
// user deletes: an object is gone at once, whatever its finalizers say.
//
//  1. Write what differs from the state, until nothing does: a controller may not have seen yet what is gone.
//  2. Where something decided on requests, wait until the API server asks it no more.
func (c *Cluster) restore(ctx context.Context, to saved) error {
	decided := false
	write := func() error {
		return poll(ctx, startupLimit, func(ctx context.Context) error {
			keys, err := c.writeBack(ctx, to)
			if err != nil || len(keys) == 0 {
				return err
			}
			decided = decided || slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, admission) })
			return fmt.Errorf("%d keys differed", len(keys))
		})
	}
	err := write()
	if err == nil && decided {
		if err = c.admissionCaughtUp(ctx); err == nil {
			err = write()
		}
	}
	if err != nil {
		return fmt.Errorf("restoring the state of cluster %s: %w", c.Name, err)
	}
	return nil
}

// writeBack writes what differs from a state, and returns the keys of that. What is in no namespace, such as a
// namespace itself, goes first: then nothing more is made in it.
func (c *Cluster) writeBack(ctx context.Context, to saved) (keys []string, err error) {
	now, err := c.keys(ctx, false)
	if err != nil {
		return nil, err
	}
	now = ours(now)
	for key, kv := range now {
		if to[key].ModRevision != kv.ModRevision {
			keys = append(keys, key)
		}
	}
	for key := range to {
		if _, there := now[key]; !there {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, func(a, b string) int {
		return cmp.Or(strings.Count(a, "/")-strings.Count(b, "/"), strings.Compare(a, b))
	})
	changes := make([]change, 0, len(keys))
	for _, key := range keys {
		if was, ok := to[key]; ok {
			changes = append(changes, change{Put: &keyValue{Key: was.Key, Value: was.Value}})
		} else {
			changes = append(changes, change{Delete: &keyRange{Key: now[key].Key}})
		}
	}
	revisions, err := c.write(ctx, changes)
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		if was, ok := to[key]; ok {
			was.ModRevision = revisions[i]
			to[key] = was
		}
	}
	return keys, nil
}

// sentinel is the name of a policy, and of what it denies.
const sentinel = "testbed-sentinel"

// admissionCaughtUp returns once the API server knows of every policy and webhook that there is and is not: one more
// policy is made, and denies what it is to deny.
func (c *Cluster) admissionCaughtUp(ctx context.Context) error {
	kube, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: sentinel}}
	policy.Spec.Validations = []admissionv1.Validation{{Expression: `object.metadata.name != "` + sentinel + `"`}}
	rule := admissionv1.NamedRuleWithOperations{}
	rule.Operations = []admissionv1.OperationType{admissionv1.Create}
	rule.APIGroups, rule.APIVersions, rule.Resources = []string{""}, []string{"v1"}, []string{"configmaps"}
	policy.Spec.MatchConstraints = &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{rule}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: sentinel}}
	binding.Spec.PolicyName, binding.Spec.ValidationActions = sentinel, []admissionv1.ValidationAction{admissionv1.Deny}
	api := kube.AdmissionregistrationV1()
	if _, err := api.ValidatingAdmissionPolicies().Create(ctx, policy, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("making a policy: %w", err)
	}
	if _, err := api.ValidatingAdmissionPolicyBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("binding a policy: %w", err)
	}
	denied := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: sentinel}}
	return poll(ctx, time.Minute, func(ctx context.Context) error {
		_, err := kube.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, denied,
			metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if apierrors.IsInvalid(err) {
			return nil
		}
		return fmt.Errorf("the policy %s does not deny yet: %v", sentinel, err)
	})
}
