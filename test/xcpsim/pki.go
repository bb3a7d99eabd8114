package xcpsim

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"time"
)

// Authority is a certificate authority: the shared root of an mTLS installation.
type Authority struct {
	cert    *x509.Certificate
	key     crypto.Signer
	CertPEM []byte
	KeyPEM  []byte
}

// Leaf says what a certificate is for; both EKUs are always set, as the vendor asks of Central's.
type Leaf struct {
	URI   string   // a SPIFFE ID
	Names []string // DNS names and IP addresses
}

// NewAuthority makes a CA with a key of its own.
func NewAuthority(commonName string) (*Authority, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: commonName}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := sign(tmpl, tmpl, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return authority(der, key, keyPEM)
}

// LoadAuthority reads a CA from the tls.crt and tls.key of a secret such as xcp-identity-issuer.
func LoadAuthority(certPEM, keyPEM []byte) (*Authority, error) {
	c, k := decode(certPEM), decode(keyPEM)
	if c == nil || k == nil {
		return nil, errors.New("read CA: not PEM")
	}
	if key, err := x509.ParsePKCS1PrivateKey(k); err == nil { // cert-manager's default
		return authority(c, key, keyPEM)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("read CA key: %w", err)
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, errors.New("read CA key: cannot sign")
	}
	return authority(c, key, keyPEM)
}

// Issue makes a certificate and returns the data of its secret: tls.crt, tls.key and ca.crt.
func (a *Authority) Issue(l Leaf) (map[string][]byte, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return nil, err
	}
	tmpl := &x509.Certificate{
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth,
			x509.ExtKeyUsageClientAuth},
	}
	if l.URI != "" {
		u, err := url.Parse(l.URI)
		if err != nil {
			return nil, fmt.Errorf("certificate URI: %w", err)
		}
		tmpl.URIs = []*url.URL{u}
	}
	for _, n := range l.Names {
		if ip := net.ParseIP(n); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, n)
		}
	}
	der, err := sign(tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{"tls.crt": encode("CERTIFICATE", der), "tls.key": keyPEM, "ca.crt": a.CertPEM}, nil
}

func authority(der []byte, key crypto.Signer, keyPEM []byte) (*Authority, error) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read CA certificate: %w", err)
	}
	return &Authority{cert: cert, key: key, CertPEM: encode("CERTIFICATE", der), KeyPEM: keyPEM}, nil
}

func newKey() (crypto.Signer, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encode key: %w", err)
	}
	return key, encode("PRIVATE KEY", der), nil
}

// sign fills in serial and validity (from an hour ago, for ten years) and signs.
func sign(tmpl, parent *x509.Certificate, pub any, key crypto.Signer) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	tmpl.SerialNumber = serial
	tmpl.NotBefore, tmpl.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(10, 0, 0)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, pub, key)
	if err != nil {
		return nil, fmt.Errorf("sign certificate: %w", err)
	}
	return der, nil
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func decode(text []byte) []byte {
	if b, _ := pem.Decode(text); b != nil {
		return b.Bytes
	}
	return nil
}
