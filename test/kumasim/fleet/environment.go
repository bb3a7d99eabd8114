package fleet

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// configError is why a container cannot be created, in the words of a kubelet (Kubernetes pkg/kubelet/kubelet_pods.go).
type configError struct{ text string }

func (e *configError) Error() string { return e.text }

// container is the control plane's container, the first where none is called so.
func (p *pod) container() *corev1.Container {
	all := p.obj.Spec.Containers
	for i := range all {
		if all[i].Name == containerName {
			return &all[i]
		}
	}
	return &all[0]
}

// environment is what a container that starts now gets, from the pod and from the Secrets and ConfigMaps that it
// refers to. The error is a configError where one of them, or a key of it, is missing and not optional; an API
// server's where it did not answer.
func (p *pod) environment(ctx context.Context) (map[string]string, error) {
	env := map[string]string{}
	c := p.container()
	for _, from := range c.EnvFrom {
		var all map[string]string
		var err error
		switch {
		case from.SecretRef != nil:
			all, err = p.referred(ctx, "secret", from.SecretRef.Name, from.SecretRef.Optional)
		case from.ConfigMapRef != nil:
			all, err = p.referred(ctx, "configmap", from.ConfigMapRef.Name, from.ConfigMapRef.Optional)
		}
		if err != nil {
			return nil, err
		}
		for key, value := range all {
			env[from.Prefix+key] = value
		}
	}
	for _, v := range c.Env {
		value, set, err := p.variable(ctx, v)
		if err != nil {
			return nil, err
		}
		if set {
			env[v.Name] = value
		}
	}
	return env, nil
}

// variable is the value of one variable, and whether it is set at all: one that refers to what is optional and
// missing is not.
func (p *pod) variable(ctx context.Context, v corev1.EnvVar) (string, bool, error) {
	if v.ValueFrom == nil {
		return v.Value, true, nil
	}
	from := v.ValueFrom
	kind, name, key, optional := "", "", "", (*bool)(nil)
	switch {
	case from.SecretKeyRef != nil:
		kind, name, key, optional = "Secret", from.SecretKeyRef.Name, from.SecretKeyRef.Key, from.SecretKeyRef.Optional
	case from.ConfigMapKeyRef != nil:
		kind, name, key, optional = "ConfigMap", from.ConfigMapKeyRef.Name, from.ConfigMapKeyRef.Key,
			from.ConfigMapKeyRef.Optional
	case from.FieldRef != nil && from.FieldRef.FieldPath == "status.podIP":
		return p.ip, true, nil
	default:
		return "", false, nil // of the node, or a limit that is not set: nothing reads it
	}
	all, err := p.referred(ctx, kind, name, optional)
	if err != nil {
		return "", false, err
	}
	value, there := all[key]
	if !there && (optional == nil || !*optional) {
		return "", false, &configError{fmt.Sprintf("couldn't find key %s in %s %s/%s", key, kind, p.obj.Namespace, name)}
	}
	return value, there, nil
}

// referred is the content of a Secret or ConfigMap; nothing where it is missing and optional.
func (p *pod) referred(ctx context.Context, kind, name string, optional *bool) (map[string]string, error) {
	all := map[string]string{}
	var err error
	core := p.k.c.kube.CoreV1()
	if kind == "Secret" || kind == "secret" {
		kind = "secret"
		var s *corev1.Secret
		if s, err = core.Secrets(p.obj.Namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			for key, value := range s.Data {
				all[key] = string(value)
			}
		}
	} else {
		kind = "configmap"
		var m *corev1.ConfigMap
		if m, err = core.ConfigMaps(p.obj.Namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			all = m.Data
		}
	}
	switch {
	case apierrors.IsNotFound(err) && optional != nil && *optional:
		return nil, nil
	case apierrors.IsNotFound(err):
		return nil, &configError{fmt.Sprintf("%s %q not found", kind, name)}
	case err != nil:
		return nil, fmt.Errorf("read %s %s/%s: %w", kind, p.obj.Namespace, name, err)
	}
	return all, nil
}
