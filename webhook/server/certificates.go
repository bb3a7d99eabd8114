package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/xcpauth/kubectl-xcpauth/webhook/certs"
)

// certificate is where the serving certificate comes from.
type certificate struct {
	ready   <-chan struct{}                                      // closed once there is one
	get     func(*tls.ClientHelloInfo) (*tls.Certificate, error) // nil = the files in CertDir
	missing func() error                                         // why there is none, nil once there is
}

// certificates sees to the serving certificate.
//
// With Rotate, a keeper makes a CA of its own and a leaf in the Secret, renews both with overlap, and publishes the CAs in the
// ValidatingWebhookConfiguration; every replica does so, and one write wins. Without, something else (cert-manager) does both, and we
// wait for the files; the TLS listener looks at them again by itself.
func certificates(mgr manager.Manager, cfg *rest.Config, o Options, log *slog.Logger) (certificate, error) {
	if !o.Rotate {
		ready := make(chan struct{})
		if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return mounted(ctx, o.CertDir, ready) })); err != nil {
			return certificate{}, fmt.Errorf("adding the wait for the certificate: %w", err)
		}
		return certificate{ready: ready, missing: func() error {
			select {
			case <-ready:
				return nil
			default:
				return fmt.Errorf("no certificate to serve yet: tls.crt and tls.key are not both in %s", o.CertDir)
			}
		}}, nil
	}
	live, err := client.New(cfg, client.Options{Scheme: mgr.GetScheme()}) // the manager's would list and watch
	if err != nil {
		return certificate{}, fmt.Errorf("making a client for the certificate: %w", err)
	}
	policy := certs.Policy{DNSName: o.dnsName(), CALifetime: o.CALifetime, LeafLifetime: o.LeafLifetime, Wait: o.PublishWait}
	keeper, err := certs.New(live, policy, types.NamespacedName{Namespace: o.Namespace, Name: o.Secret}, o.Configuration, clock.RealClock{}, log)
	if err != nil {
		return certificate{}, err
	}
	if err := mgr.Add(keeper); err != nil {
		return certificate{}, fmt.Errorf("adding certificate rotation: %w", err)
	}
	return certificate{ready: keeper.Ready(), get: keeper.GetCertificate, missing: keeper.Failure}, nil
}
