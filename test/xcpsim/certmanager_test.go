package xcpsim_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// TestCertManagerReissuesCentralUnderBothTrusts has an edge on mutual TLS (the hub's own) and one on JWT while
// Central's Certificate gets the dialled host: the secret is never away, and whoever dials afterwards is accepted.
func TestCertManagerReissuesCentralUnderBothTrusts(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) {
		o.Edges = append(o.Edges, o.Hub)
		o.Installation.CertManager, o.Installation.CertWithoutHost, o.Installation.CABundle = true, true, true
	})
	f.hubModes(`{"jwt":true,"mutualTls":true}`)
	f.await("both modes", func() error { return f.presents("edge-1=mtls hub=mtls mpc=jwt") })
	f.sni("central.xcp.tetrate.io") // what the certificate has before
	f.edgeMode("JWT")
	f.await("one edge on each", func() error { return f.presents("edge-1=jwt hub=mtls mpc=jwt") })

	secrets := f.kube("hub").CoreV1().Secrets("tsb")
	before, err := secrets.Get(t.Context(), "xcp-central-cert", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.patch("hub", certificates, "tsb", "xcp-central-cert",
		`{"spec":{"dnsNames":["central.xcp.tetrate.io","tsb.example.test"]}}`)
	f.await("a certificate with the host", func() error {
		s, err := secrets.Get(t.Context(), "xcp-central-cert", metav1.GetOptions{})
		if err != nil {
			t.Errorf("reading the secret while it is re-issued: %v", err)
			return err
		}
		leaf, err := leafOf(s)
		if err == nil && !slices.Contains(leaf.DNSNames, "tsb.example.test") {
			err = fmt.Errorf("names are %v", leaf.DNSNames)
		}
		if err != nil {
			return err
		}
		switch {
		case s.UID != before.UID:
			t.Error("the secret was deleted and made again")
		case !bytes.Equal(s.Data["ca.crt"], before.Data["ca.crt"]):
			t.Error("the CA changed")
		case len(leaf.URIs) != 1 || leaf.URIs[0].String() != "spiffe://xcp.tetrate.io/central":
			t.Errorf("URIs are %v", leaf.URIs)
		case !slices.Equal(leaf.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}):
			t.Errorf("usages are %v", leaf.ExtKeyUsage)
		}
		return nil
	})
	old := []string{f.session("edge-1").Pod, f.session("hub").Pod}
	f.sni("tsb.example.test") // a new pod, which dials and judges the certificate again, by the host
	if err := f.kube("hub").CoreV1().Pods("istio-system").Delete(t.Context(), old[1], metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await("new pods on both", func() error {
		for _, s := range f.Sessions() {
			if slices.Contains(old, s.Pod) {
				return fmt.Errorf("still %s", s.Pod)
			}
		}
		return f.presents("edge-1=jwt hub=mtls mpc=jwt")
	})
	f.noRefusals()
}

// sni sets the name by which edge-1 judges Central's certificate, through an overlay.
func (f *fleet) sni(name string) {
	f.t.Helper()
	f.patch("edge-1", controlPlanes, "istio-system", "controlplane",
		`{"spec":{"components":{"xcp":{"kubeSpec":{"overlays":[
		{"apiVersion":"install.xcp.tetrate.io/v1alpha1","kind":"EdgeXcp","name":"edge-xcp","patches":[{"path":"spec.centralAuthJwt.centralSni","value":"`+name+`"}]}]}}}}}`)
}

func leafOf(s *corev1.Secret) (*x509.Certificate, error) {
	block, _ := pem.Decode(s.Data[corev1.TLSCertKey])
	if block == nil {
		return nil, fmt.Errorf("secret %s: tls.crt is not PEM", s.Name)
	}
	return x509.ParseCertificate(block.Bytes)
}
