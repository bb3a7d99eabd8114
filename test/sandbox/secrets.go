package sandbox

import (
	"context"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/xcpauth/kubectl-xcpauth/test/canary"
)

// CollectSecrets adds every value of every Secret of every cluster to a set. The error names the clusters that could
// not be read.
func (s *Sandbox) CollectSecrets(ctx context.Context, set *canary.Set) error {
	var errs []error
	for _, c := range s.Bed.Clusters() {
		client, err := kubernetes.NewForConfig(c.Config)
		if err != nil {
			return fmt.Errorf("making a client for %s: %w", c.Name, err)
		}
		secrets, err := client.CoreV1().Secrets("").List(ctx, metav1.ListOptions{})
		if err != nil {
			errs = append(errs, fmt.Errorf("listing the secrets of %s: %w", c.Name, err))
			continue
		}
		for _, secret := range secrets.Items {
			for key, value := range secret.Data {
				set.Add(fmt.Sprintf("%s of secret %s/%s in %s", key, secret.Namespace, secret.Name, c.Name), key, value)
			}
		}
	}
	return errors.Join(errs...)
}

// written is where a run may write text of its own.
var written = []string{"/api/v1/configmaps", "/api/v1/events", "/apis/coordination.k8s.io/v1/leases",
	"/apis/xcpauth.io/v1alpha1/edgeclusters",
	"/apis/install.tetrate.io/v1alpha1/controlplanes", "/apis/install.tetrate.io/v1alpha1/managementplanes"}

// Written returns what lies in all clusters where a run may write text of its own, by a name for it: ConfigMaps,
// Events, Leases, the roster, the planes. What a cluster does not serve is left out. The error names what could not
// be read.
func (s *Sandbox) Written(ctx context.Context) (map[string]string, error) {
	texts := map[string]string{}
	var errs []error
	for _, c := range s.Bed.Clusters() {
		client, err := kubernetes.NewForConfig(c.Config)
		if err != nil {
			return nil, fmt.Errorf("making a client for %s: %w", c.Name, err)
		}
		for _, path := range written {
			code := 0
			b, err := client.RESTClient().Get().AbsPath(path).Do(ctx).StatusCode(&code).Raw()
			switch {
			case code == 404:
			case err != nil:
				errs = append(errs, fmt.Errorf("reading %s of %s: %w", path, c.Name, err))
			default:
				texts[path+" of "+c.Name] = string(b)
			}
		}
	}
	return texts, errors.Join(errs...)
}
