package testbed_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// certManagerIssues has a certificate issued by a CA that cert-manager made itself, changes its names, and has it
// restored once deleted.
func certManagerIssues(t *testing.T, c *testbed.Cluster) {
	if err := c.StartCertManager(t.Context()); err != nil {
		t.Fatal(err)
	}
	dyn, err := dynamic.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	create := func(kind, name, spec string) {
		t.Helper()
		u := &unstructured.Unstructured{}
		text := fmt.Sprintf(`{"apiVersion":"cert-manager.io/v1","kind":%q,"metadata":{"name":%q,"namespace":"default"},"spec":%s}`, kind, name, spec)
		if err := u.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		gvr := schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: strings.ToLower(kind) + "s"}
		if _, err := dyn.Resource(gvr).Namespace("default").Create(t.Context(), u, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	create("Issuer", "anchor", `{"selfSigned":{}}`)
	create("Certificate", "root", `{"secretName":"root","isCA":true,"commonName":"root","issuerRef":{"name":"anchor"}}`)
	create("Issuer", "root", `{"ca":{"secretName":"root"}}`)
	create("Certificate", "leaf", `{"secretName":"leaf","dnsNames":["one.example.test"],"issuerRef":{"name":"root"}}`)
	first := awaitLeaf(t, c, nil, "one.example.test")
	certificates := schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
	_, err = dyn.Resource(certificates).Namespace("default").Patch(t.Context(), "leaf", types.MergePatchType,
		[]byte(`{"spec":{"dnsNames":["one.example.test","two.example.test"]}}`), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second := awaitLeaf(t, c, first, "one.example.test", "two.example.test")
	if second.UID != first.UID {
		t.Error("the secret was replaced, not updated")
	}
	// it writes the secret before it has written down that it did, and would write the same again
	eventually(t, func() error {
		u, err := dyn.Resource(certificates).Namespace("default").Get(t.Context(), "leaf", metav1.GetOptions{})
		if err != nil {
			return err
		}
		if next, _, _ := unstructured.NestedString(u.Object, "status", "nextPrivateKeySecretName"); next != "" {
			return errors.New("the certificate is being issued")
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if c, _ := c.(map[string]any); c["type"] == "Issuing" && c["status"] == "True" {
				return errors.New("the certificate is being issued")
			}
		}
		return nil
	})
	c.StopCertManager()
	c.StopCertManager() // without one it does nothing
	secrets := client(t, c.Config).CoreV1().Secrets("default")
	if err := secrets.Delete(t.Context(), "leaf", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := secrets.Get(t.Context(), "leaf", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("with cert-manager stopped: %v, want not found", err)
	}
	if err := c.StartCertManager(t.Context()); err != nil {
		t.Fatal(err)
	}
	awaitLeaf(t, c, second, "one.example.test", "two.example.test")
	c.StopCertManager()
}

// awaitLeaf waits until secret leaf holds a certificate of exactly these names, signed by its ca.crt, with another
// serial than before.
func awaitLeaf(t *testing.T, c *testbed.Cluster, before *corev1.Secret, names ...string) (s *corev1.Secret) {
	t.Helper()
	eventually(t, func() (err error) {
		if s, err = client(t, c.Config).CoreV1().Secrets("default").Get(t.Context(), "leaf",
			metav1.GetOptions{}); err != nil {
			return err
		}
		leaf, err := parseLeaf(s)
		if err != nil {
			return err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(s.Data["ca.crt"])
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots}); err != nil {
			return err
		}
		if !slices.Equal(leaf.DNSNames, names) {
			return fmt.Errorf("names are %v, want %v", leaf.DNSNames, names)
		}
		if before == nil {
			return nil
		}
		old, err := parseLeaf(before)
		if err == nil && old.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			err = errors.New("the serial is the old one")
		}
		return err
	})
	if t.Failed() {
		t.FailNow()
	}
	return s
}

func parseLeaf(s *corev1.Secret) (*x509.Certificate, error) {
	block, _ := pem.Decode(s.Data[corev1.TLSCertKey])
	if block == nil {
		return nil, errors.New("tls.crt is not PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}
