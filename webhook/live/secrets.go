package live

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/xcpauth/kubectl-xcpauth/pkg/edgereader"
)

// secret is the part of a Secret that is used.
type secret struct {
	kubeconfig  []byte
	annotations map[string]string
}

// secrets are those of the edges, as they are in the hub now.
type secrets struct {
	byName map[string]secret
	err    error
}

// page is how many Secrets are listed at a time.
const page = 200

func (r *Reader) secrets() dynamic.ResourceInterface {
	return r.objects.Resource(schema.GroupVersionResource{Version: "v1",
		Resource: "secrets"}).Namespace(r.namespace)
}

// list reads every kubeconfig.
func (r *Reader) list(ctx context.Context) secrets {
	found := secrets{byName: map[string]secret{}}
	for next := ""; ; {
		list, err := r.secrets().List(ctx, metav1.ListOptions{Limit: page, Continue: next})
		if err != nil {
			return secrets{err: err}
		}
		for _, o := range list.Items {
			found.byName[o.GetName()] = secretOf(o)
		}
		if next = list.GetContinue(); next == "" {
			return found
		}
	}
}

func secretOf(o unstructured.Unstructured) secret {
	encoded, _, _ := unstructured.NestedString(o.Object, "data", edgereader.KubeconfigKey)
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		text = nil // refused like an empty one
	}
	return secret{text, o.GetAnnotations()}
}

// newer is the Secret of an edge as it is now, and whether it holds another kubeconfig than before.
func (r *Reader) newer(ctx context.Context, name string, before secret) (secret, bool) {
	o, err := r.secrets().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return secret{}, false
	}
	now := secretOf(*o)
	return now, !bytes.Equal(now.kubeconfig, before.kubeconfig)
}

// store puts a kubeconfig with a new token in the place of the one that it was renewed with. It says false when
// somebody else was faster.
func (r *Reader) store(ctx context.Context, name string, before secret, text []byte,
	token edgereader.Token) (bool, error) {
	o, err := r.secrets().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return false, fmt.Errorf("reading Secret %s/%s before renewing it: %w", r.namespace, name, err)
	}
	if !bytes.Equal(secretOf(*o).kubeconfig, before.kubeconfig) {
		return false, nil
	}
	if err := unstructured.SetNestedField(o.Object, base64.StdEncoding.EncodeToString(text), "data",
		edgereader.KubeconfigKey); err != nil {
		return false, fmt.Errorf("writing Secret %s/%s: it is not as its kind says", r.namespace, name)
	}
	annotations := o.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	for k, v := range token.Annotations() {
		annotations[k] = v
	}
	o.SetAnnotations(annotations)
	// it carries the resourceVersion
	if _, err := r.secrets().Update(ctx, o, metav1.UpdateOptions{FieldManager: "xcpauth-webhook"}); err != nil {
		return false, fmt.Errorf("writing the renewed token to Secret %s/%s: %w", r.namespace, name, err)
	}
	return true, nil
}
