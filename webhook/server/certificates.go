package server

import (
	"context"
	"fmt"

	"github.com/open-policy-agent/cert-controller/pkg/rotator"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// certificates sees to the serving certificate and returns a channel that is closed once it is in CertDir.
//
// With Rotate, cert-controller makes a CA of its own and a leaf in the Secret, renews both, and keeps the CA bundle in the
// ValidatingWebhookConfiguration; every replica does so, and one write wins. Without, something else (cert-manager) does
// both, and we wait for the files.
func certificates(mgr manager.Manager, o Options) (<-chan struct{}, error) {
	ready := make(chan struct{})
	if !o.Rotate {
		if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return mounted(ctx, o.CertDir, ready) })); err != nil {
			return nil, fmt.Errorf("adding the wait for the certificate: %w", err)
		}
		return ready, nil
	}
	err := rotator.AddRotator(mgr, &rotator.CertRotator{
		SecretKey:      types.NamespacedName{Namespace: o.Namespace, Name: o.Secret},
		CertDir:        o.CertDir,
		CAName:         "xcpauth-webhook-ca",
		CAOrganization: "xcpauth",
		DNSName:        o.dnsName(),
		IsReady:        ready,
		Webhooks:       []rotator.WebhookInfo{{Name: o.Configuration, Type: rotator.Validating}},
		FieldOwner:     "xcpauth-webhook",
	})
	if err != nil {
		return nil, fmt.Errorf("adding certificate rotation: %w", err)
	}
	return ready, nil
}
