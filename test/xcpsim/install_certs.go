package xcpsim

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// The objects of cert-manager that an installation by tctl has in the hub.
var (
	issuers      = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "issuers"}
	certificates = schema.GroupVersionResource{Group: "cert-manager.io", Version: "v1", Resource: "certificates"}
)

const (
	trustAnchor    = "xcp-trust-anchor"
	identityIssuer = "xcp-identity-issuer"
	rootCommonName = "ca.xcp.tetrate.io"

	issueDeadline = time.Minute
)

// trust is what a hub gives to its edges, and to a standby.
type trust struct {
	ca         []byte                                          // PEM: what Central's certificate is verified by
	issuer     map[string][]byte                               // the data of xcp-identity-issuer
	signingKey map[string][]byte                               // the data of iam-signing-key
	edge       func(cluster string) (map[string][]byte, error) // the content of its xcp-edge-cert
}

// leaves are the certificates of the hub by their secrets; those of the edges are made alike, for the cluster's name.
func leaves(inst Installation) map[string]Leaf {
	central := Leaf{URI: centralSPIFFE, Names: []string{centralDNS}}
	if !inst.CertWithoutHost {
		central.Names = append(central.Names, inst.Host)
	}
	return map[string]Leaf{
		centralCertSecret: central,
		mpcCertSecret: {URI: "spiffe://xcp.tetrate.io/mpc", Names: []string{"mpc." + inst.ManagementPlaneNamespace +
			".svc.cluster.local"}},
	}
}

// ownCertificates has a CA of the simulator's issue everything.
func (i *installer) ownCertificates(leaves map[string]Leaf, _ []Site) (t trust) {
	i.secret(identityIssuer, corev1.SecretTypeTLS, func() (map[string][]byte, error) {
		ca, err := NewAuthority(rootCommonName)
		if err != nil {
			return nil, err
		}
		return map[string][]byte{"tls.crt": ca.CertPEM, "tls.key": ca.KeyPEM, "ca.crt": ca.CertPEM}, nil
	})
	var ca *Authority
	i.do(func() error {
		s, err := i.c.kube.CoreV1().Secrets(i.namespace).Get(i.ctx, identityIssuer, metav1.GetOptions{})
		if err != nil {
			return err
		}
		ca, err = LoadAuthority(s.Data["tls.crt"], s.Data["tls.key"])
		t.ca, t.issuer = s.Data["tls.crt"], s.Data
		return err
	})
	for name, leaf := range leaves {
		i.secret(name, corev1.SecretTypeTLS, func() (map[string][]byte, error) { return ca.Issue(leaf) })
	}
	t.edge = func(cluster string) (map[string][]byte, error) { return ca.Issue(Leaf{Names: []string{cluster}}) }
	return t
}

// certManagerCertificates makes the chain that tctl makes: a self-signed issuer, the root that it issues, the issuer
// of that root, and the Certificates of Central, of MPC and, in the hub too, of each edge. How tctl names those of
// the edges is not documented.
func (i *installer) certManagerCertificates(leaves map[string]Leaf, edges []Site) trust {
	i.certManager(issuers, "Issuer", trustAnchor, map[string]any{"selfSigned": map[string]any{}})
	i.certManager(certificates, "Certificate", identityIssuer, map[string]any{
		"secretName": identityIssuer, "issuerRef": map[string]any{"name": trustAnchor, "kind": "Issuer"},
		"duration": "30000h0m0s",
		"isCA":     true, "commonName": rootCommonName, "uris": []any{"spiffe://xcp.tetrate.io/ca"},
		"usages": []any{"cert sign"},
	})
	i.certManager(issuers, "Issuer", identityIssuer, map[string]any{"ca": map[string]any{"secretName": identityIssuer}})
	wanted := []string{identityIssuer}
	ask := func(secret string, leaf Leaf) {
		i.certManager(certificates, "Certificate", secret, certificateSpec(secret, leaf))
		wanted = append(wanted, secret)
	}
	for name, leaf := range leaves {
		ask(name, leaf)
	}
	for _, e := range edges {
		ask(edgeCertInHub(e.Name), Leaf{Names: []string{e.Name}})
	}
	issued := map[string]map[string][]byte{}
	for _, name := range wanted {
		i.do(func() (err error) {
			issued[name], err = i.issued(name)
			return err
		})
	}
	return trust{
		ca:     issued[identityIssuer]["tls.crt"],
		issuer: issued[identityIssuer],
		edge:   func(cluster string) (map[string][]byte, error) { return issued[edgeCertInHub(cluster)], nil },
	}
}

// edgeCertInHub names the Certificate of an edge, and its secret, in the hub.
func edgeCertInHub(cluster string) string { return edgeCertSecret + "-" + cluster }

// certificateSpec is that of a Certificate as the vendor's page writes it.
func certificateSpec(secret string, leaf Leaf) map[string]any {
	spec := map[string]any{
		"secretName": secret, "issuerRef": map[string]any{"name": identityIssuer, "kind": "Issuer"}, "duration": "30000h0m0s",
		"usages": []any{"server auth", "client auth"},
	}
	add := func(field, value string) {
		list, _ := spec[field].([]any)
		spec[field] = append(list, value)
	}
	for _, n := range leaf.Names {
		if net.ParseIP(n) != nil {
			add("ipAddresses", n)
		} else {
			add("dnsNames", n)
		}
	}
	if leaf.URI != "" {
		add("uris", leaf.URI)
	}
	return spec
}

func (i *installer) certManager(gvr schema.GroupVersionResource, kind, name string, spec map[string]any) {
	i.custom(gvr, map[string]any{
		"apiVersion": "cert-manager.io/v1", "kind": kind, "metadata": map[string]any{"namespace": i.namespace, "name": name},
		"spec": spec,
	})
}

// issued waits until cert-manager has made a secret.
func (i *installer) issued(name string) (map[string][]byte, error) {
	ctx, cancel := context.WithTimeout(i.ctx, issueDeadline)
	defer cancel()
	for {
		s, err := i.c.kube.CoreV1().Secrets(i.namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && len(s.Data["tls.crt"]) > 0 {
			return s.Data, nil
		}
		if err != nil && !apierrors.IsNotFound(err) && !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, fmt.Errorf("waiting for cert-manager to issue %s/%s: not within %s; is it running?", i.namespace,
				name, issueDeadline)
		}
		pause(ctx, 50*time.Millisecond)
	}
}
