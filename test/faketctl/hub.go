package main

import (
	"context"
	"fmt"
	"os"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

var (
	managementPlanes = schema.GroupVersionResource{Group: "install.tetrate.io", Version: "v1alpha1",
		Resource: "managementplanes"}
	xcpClusters = schema.GroupVersionResource{Group: "xcp.tetrate.io", Version: "v2", Resource: "clusters"}
)

// hub is the management plane behind a profile. tctl reaches it by its bridge address; the fake, by the context of
// that cluster.
type hub struct {
	kube         kubernetes.Interface
	dyn          dynamic.Interface
	namespace    string
	organization string
}

// login reaches the management plane of the profile in use and finds its namespace.
func (o *options) login(ctx context.Context) (*hub, error) {
	c, err := o.read()
	if err != nil {
		return nil, err
	}
	_, cluster, err := c.find(o.current(c))
	if err != nil {
		return nil, err
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	for _, path := range []string{os.Getenv(kubeconfigEnv), cluster.Kubeconfig} {
		if path != "" {
			rules.ExplicitPath = path
		}
	}
	overrides := &clientcmd.ConfigOverrides{CurrentContext: cluster.Context}
	if overrides.CurrentContext == "" {
		overrides.CurrentContext = cluster.Name
	}
	cfg, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", cluster.BridgeAddress, err)
	}
	h := &hub{}
	if h.kube, err = kubernetes.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", cluster.BridgeAddress, err)
	}
	if h.dyn, err = dynamic.NewForConfig(cfg); err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", cluster.BridgeAddress, err)
	}
	planes, err := h.dyn.Resource(managementPlanes).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", cluster.BridgeAddress, err)
	}
	if len(planes.Items) == 0 {
		return nil, fmt.Errorf("connecting to %s: no management plane there", cluster.BridgeAddress)
	}
	h.namespace = planes.Items[0].GetNamespace()
	h.organization, _, _ = unstructured.NestedString(planes.Items[0].Object, "spec", "organization")
	return h, nil
}

// createCluster makes the cluster known to the management plane, if it is not.
func (h *hub) createCluster(ctx context.Context, name string) error {
	_, err := h.dyn.Resource(xcpClusters).Namespace(h.namespace).Create(ctx,
		&unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "xcp.tetrate.io/v2", "kind": "Cluster", "metadata": map[string]any{"namespace": h.namespace,
				"name": name},
		}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("creating cluster %q: %w", name, err)
	}
	return nil
}

// signingKey is the data of the secret whose key signs tokens.
func (h *hub) signingKey(ctx context.Context) (map[string][]byte, error) {
	s, err := h.kube.CoreV1().Secrets(h.namespace).Get(ctx, "iam-signing-key", metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("generating tokens: %w", err)
	}
	return s.Data, nil
}
