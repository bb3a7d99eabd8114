package testbed

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

// systemNamespaces are the namespaces that the API server makes, some time after it is ready.
var systemNamespaces = []string{
	corev1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease,
}

// controllersCaughtUp returns nil once the controllers have made what they make by themselves: in each namespace what
// a pod in it needs, and the rules of the roles that are put together from others.
func (c *Cluster) controllersCaughtUp(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	if err := podsCanStart(ctx, client); err != nil {
		return err
	}
	roles, err := client.RbacV1().ClusterRoles().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	return aggregated(roles.Items)
}

// podsCanStart returns nil once each namespace has what a pod in it needs.
func podsCanStart(ctx context.Context, client kubernetes.Interface) error {
	api := client.CoreV1()
	namespaces, err := api.Namespaces().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	accounts, err := api.ServiceAccounts("").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=default"})
	if err != nil {
		return err
	}
	cas, err := api.ConfigMaps("").List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=kube-root-ca.crt"})
	if err != nil {
		return err
	}
	names := slices.Clone(systemNamespaces)
	for _, ns := range namespaces.Items {
		if ns.DeletionTimestamp == nil {
			names = append(names, ns.Name)
		}
	}
	for _, name := range names {
		if !slices.ContainsFunc(accounts.Items, func(a corev1.ServiceAccount) bool { return a.Namespace == name }) {
			return fmt.Errorf("namespace %s has no service account yet", name)
		}
		if !slices.ContainsFunc(cas.Items, func(ca corev1.ConfigMap) bool { return ca.Namespace == name }) {
			return fmt.Errorf("namespace %s has no ConfigMap with the root CA yet", name)
		}
	}
	return nil
}

// aggregated returns nil if each role that is put together from others has all their rules.
func aggregated(roles []rbacv1.ClusterRole) error {
	for _, role := range roles {
		if role.AggregationRule == nil {
			continue
		}
		for _, s := range role.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&s)
			if err != nil {
				return fmt.Errorf("reading what role %s is put together from: %w", role.Name, err)
			}
			for _, part := range roles {
				isPart := part.Name != role.Name && selector.Matches(labels.Set(part.Labels))
				if isPart && !hasAll(role.Rules, part.Rules) {
					return fmt.Errorf("role %s has not the rules of %s yet", role.Name, part.Name)
				}
			}
		}
	}
	return nil
}

func hasAll(rules, of []rbacv1.PolicyRule) bool {
	return !slices.ContainsFunc(of, func(wanted rbacv1.PolicyRule) bool {
		return !slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return reflect.DeepEqual(r, wanted) })
	})
}
