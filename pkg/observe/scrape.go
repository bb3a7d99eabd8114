package observe

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// scrape gets /metrics of a pod's port. While connections are kept, so is the port-forward, and the pod is asked again
// through it: making one takes four round trips, and asking one.
func (o *Observer) scrape(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) ([]byte, error) {
	keep := o.Fleet.KeepsConnections()
	key := pageKey{c, r}
	if p := o.pages.take(key); p != nil {
		half, cancel := halfOf(ctx)
		body, err := p.get(half, keep)
		cancel()
		if err == nil {
			o.pages.keep(key, p)
			return body, nil
		} // it may have ended since it was last used, which says nothing of the pod as it is now
	}
	conn, err := dial(ctx, c, r)
	if err != nil {
		return nil, fmt.Errorf("forwarding port %d of pod %s/%s: %w", r.Port, r.Namespace, r.Name, err)
	}
	p := &page{conn: conn, from: bufio.NewReader(conn)}
	body, err := p.get(ctx, keep)
	if err != nil {
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %w", r.Namespace, r.Name, err)
	}
	o.pages.keep(key, p)
	return body, nil
}

// halfOf is half of the time that is left: for what can be done in another way in the other half.
func halfOf(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(deadline)/2)
}

// served makes a TLS handshake with a pod's port and returns the certificates that it presents, as PEM. They are
// looked at and not trusted: nothing is said over the connection.
func served(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) ([]byte, error) {
	f, err := Forward(ctx, c, r.Namespace, r.Name, r.Port)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conn := tls.Client(f, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}})
	if err := conn.HandshakeContext(ctx); err != nil && len(conn.ConnectionState().PeerCertificates) == 0 {
		return nil, fmt.Errorf("looking at the certificate of pod %s/%s: %w", r.Namespace, r.Name, err)
	}
	var text []byte
	for _, cert := range conn.ConnectionState().PeerCertificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	return text, nil
}
