package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// clientCertificate is a certificate of a client with a name, and the PEM of the CA that is itself.
func clientCertificate(t *testing.T, name string) (tls.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		DNSNames: []string{name + ".example"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// With a CA of clients only who shows a certificate of it is answered, by the name that is asked for; without a CA
// everybody is.
func TestOnlyAnAPIServerThatShowsItsCertificateIsAnsweredWhereThatIsConfigured(t *testing.T) {
	server, ca := clientCertificate(t, "api-server")
	other, _ := clientCertificate(t, "api-server") // of a CA of its own
	file := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.crt")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		file   string
		names  []string
		shows  []tls.Certificate
		status int // 0 = no handshake
	}{
		"nothing is configured":    {"", nil, nil, http.StatusOK},
		"it shows its certificate": {file, nil, []tls.Certificate{server}, http.StatusOK},
		"by its common name":       {file, []string{"x", "api-server"}, []tls.Certificate{server}, http.StatusOK},
		"by its DNS name": {file, []string{"api-server.example"}, []tls.Certificate{server},
			http.StatusOK},
		"it has another name":                {file, []string{"x"}, []tls.Certificate{server}, http.StatusForbidden},
		"it shows none":                      {file, nil, nil, http.StatusUnauthorized},
		"another CA signed it":               {file, nil, []tls.Certificate{other}, 0},
		"the file is missing":                {file + "x", nil, []tls.Certificate{server}, 0},
		"the file holds no certificate":      {empty, nil, []tls.Certificate{server}, 0},
		"the file is missing, none is shown": {file + "x", nil, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			hook := httptest.NewUnstartedServer(answering(Options{ClientCA: tc.file, ClientNames: tc.names},
				http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
			hook.TLS = verifying(Options{ClientCA: tc.file}, &tls.Config{Certificates: []tls.Certificate{server}})
			hook.StartTLS()
			defer hook.Close()
			client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true,
				GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(tc.shows) == 0 {
						return &tls.Certificate{}, nil
					}
					return &tc.shows[0], nil
				}}}}
			defer client.CloseIdleConnections()
			res, err := client.Get(hook.URL)
			status := 0
			if err == nil {
				status = res.StatusCode
				res.Body.Close()
			}
			if status != tc.status {
				t.Errorf("HTTP %d (%v), want %d", status, err, tc.status)
			}
		})
	}
}
