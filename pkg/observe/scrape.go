package observe

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// maxPage bounds a metrics page; a busy Central's is some hundred kilobytes.
const maxPage = 16 << 20

// scrape gets /metrics of a pod's port.
func scrape(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) ([]byte, error) {
	conn, err := Forward(ctx, c, r.Namespace, r.Name, r.Port)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	failed := func(err error) error {
		return fmt.Errorf("asking pod %s/%s for its metrics: %w", r.Namespace, r.Name, err)
	}
	const question = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"
	if _, err := io.WriteString(conn, question); err != nil {
		return nil, failed(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return nil, failed(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %s", r.Namespace, r.Name, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxPage))
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
