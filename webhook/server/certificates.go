package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/certwatcher"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/xcpauth/kubectl-xcpauth/webhook/certs"
)

// certificate is where the serving certificate comes from.
type certificate interface {
	manager.Runnable
	Ready() <-chan struct{} // closed once there is one
	Failure() error         // why there is none, nil once there is
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
	CABundle() ([]byte, error) // the CAs that vouch for it, as PEM
}

// newCertificate sees to the serving certificate. With Rotate a keeper makes it; every replica has one, and one write
// wins. Without, something else (cert-manager) does, and it is taken from the files that are mounted.
func newCertificate(cfg *rest.Config, o Options, log *slog.Logger) (certificate, error) {
	if !o.Rotate {
		return &mounted{dir: o.CertDir, log: log, ready: make(chan struct{})}, nil
	}
	live, err := client.New(cfg, client.Options{}) // the manager's would list and watch
	if err != nil {
		return nil, fmt.Errorf("making a client for the certificate: %w", err)
	}
	policy := certs.Policy{DNSName: o.dnsName(), CALifetime: o.CALifetime, LeafLifetime: o.LeafLifetime,
		Wait: o.PublishWait}
	secret := types.NamespacedName{Namespace: o.Namespace, Name: o.Secret}
	return certs.New(live, policy, secret, o.Configuration, clock.RealClock{}, log)
}

// mounted is a certificate in files, which are read again when they change.
type mounted struct {
	dir   string
	log   *slog.Logger
	ready chan struct{}
	files atomic.Pointer[certwatcher.CertWatcher]
}

func (m *mounted) Ready() <-chan struct{} { return m.ready }

func (m *mounted) Failure() error {
	if m.files.Load() == nil {
		return fmt.Errorf("no certificate to serve yet: tls.crt and tls.key are not both in %s, or do not fit together",
			m.dir)
	}
	return nil
}

func (m *mounted) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	return m.files.Load().GetCertificate(hello)
}

// NeedLeaderElection says that every replica serves.
// CABundle is what is next to the certificate. cert-manager publishes the same.
func (m *mounted) CABundle() ([]byte, error) {
	if err := m.Failure(); err != nil {
		return nil, err
	}
	bundle, err := os.ReadFile(filepath.Join(m.dir, "ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("reading the CA of the certificate: %w", err)
	}
	return bundle, nil
}

func (*mounted) NeedLeaderElection() bool { return false }

// Start waits for the files, and watches them until ctx ends.
func (m *mounted) Start(ctx context.Context) error {
	err := wait.PollUntilContextCancel(ctx, time.Second, true, func(context.Context) (bool, error) {
		files, err := certwatcher.New(filepath.Join(m.dir, "tls.crt"), filepath.Join(m.dir, "tls.key"))
		if err != nil {
			return false, nil // not there yet
		}
		m.files.Store(files)
		close(m.ready)
		return true, nil
	})
	if err != nil {
		return nil // it ended before
	}
	if err := m.files.Load().Start(ctx); err != nil {
		m.log.Error("the certificate's files are not watched any more", "error", err.Error())
	}
	return nil
}
