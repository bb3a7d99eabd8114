package xcpsim

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Installation is what Install makes; the zero value is a healthy 1.6-style installation with every edge on mutual TLS.
type Installation struct {
	Host            string // what the edges dial (tsb.example.test)
	Port            int64  // 9443
	Organization    string // example
	CABundle        bool   // xcp-central-ca-bundle exists on every edge beforehand
	CertWithoutHost bool   // Central's certificate does not cover Host, as before the migration's first step
	CertManager     bool   // certificates are cert-manager's, as tctl asks it for them; it must be running in the hub
	LongLivedTokens bool   // 1.4's way: no service account, and tokens of 8760h that nothing renews
	NoCredentials   bool   // an edge has neither service account nor token until somebody brings them

	ManagementPlaneName, ManagementPlaneNamespace string // managementplane in tsb
	ControlPlaneName, ControlPlaneNamespace       string // controlplane in istio-system
}

// Filled returns i with its zero fields filled in.
func (i Installation) Filled() Installation {
	for _, f := range []struct {
		field *string
		to    string
	}{
		{&i.Host, defaultHost}, {&i.Organization, defaultOrganization},
		{&i.ManagementPlaneName, defaultHubName}, {&i.ManagementPlaneNamespace, defaultHubNamespace},
		{&i.ControlPlaneName, defaultEdgeName}, {&i.ControlPlaneNamespace, defaultEdgeNamespace},
	} {
		if *f.field == "" {
			*f.field = f.to
		}
	}
	if i.Port == 0 {
		i.Port = defaultPort
	}
	return i
}

// Install creates the objects of a TSB installation; what is there already stays as it is, so it can be called again:
//  1. hub: namespace, the CA (xcp-identity-issuer), certificates of Central and MPC, the signing key, the
//     ManagementPlane with mutual TLS alone; under CertManager, the issuers and Certificates that make those, and one
//     per edge, until all are issued; one clusters.xcp.tetrate.io object per edge;
//  2. standby: the same, with the hub's CA and signing key; its certificates are not cert-manager's;
//  3. per edge: namespace, edge certificate, service account or what else is asked for, the CA bundle if asked for, the
//     ControlPlane with mode MUTUAL_TLS.
//
// The operators, started by Start, make the rest. The CRDs must be there.
func Install(ctx context.Context, opts Options) error {
	inst := opts.Installation.Filled()
	trust, err := installHub(ctx, opts.Hub, inst, opts.Edges, nil)
	if err != nil {
		return fmt.Errorf("install hub %s: %w", opts.Hub.Name, err)
	}
	if opts.Standby.Name != "" {
		inst := inst
		inst.CertManager = false
		if _, err := installHub(ctx, opts.Standby, inst, opts.Edges, &trust); err != nil {
			return fmt.Errorf("install standby %s: %w", opts.Standby.Name, err)
		}
	}
	for _, site := range opts.Edges {
		if err := installEdge(ctx, site, inst, trust); err != nil {
			return fmt.Errorf("install edge %s: %w", site.Name, err)
		}
	}
	return nil
}

// installHub makes a management plane; keys are those of another one that it shares, or nil.
func installHub(ctx context.Context, site Site, inst Installation, edges []Site, keys *trust) (trust, error) {
	c, err := newCluster(site)
	if err != nil {
		return trust{}, err
	}
	h := installer{ctx: ctx, c: c, namespace: inst.ManagementPlaneNamespace}
	h.makeNamespace()
	if keys != nil {
		h.secret(identityIssuer, corev1.SecretTypeTLS, func() (map[string][]byte, error) { return keys.issuer, nil })
		h.secret(signingKeySecret, corev1.SecretTypeOpaque, func() (map[string][]byte, error) { return keys.signingKey, nil })
	}
	certificates := h.ownCertificates
	if inst.CertManager {
		certificates = h.certManagerCertificates
	}
	made := certificates(leaves(inst), edges)
	made.signingKey = h.signingKey()
	h.custom(managementPlanes, managementPlane(inst))
	for _, e := range edges {
		h.custom(xcpClusters, map[string]any{
			"apiVersion": "xcp.tetrate.io/v2", "kind": "Cluster", "metadata": map[string]any{"namespace": h.namespace,
				"name": e.Name},
		})
	}
	return made, h.err
}

func installEdge(ctx context.Context, site Site, inst Installation, trust trust) error {
	c, err := newCluster(site)
	if err != nil {
		return err
	}
	e := installer{ctx: ctx, c: c, namespace: site.namespace(inst)}
	e.makeNamespace()
	e.secret(edgeCertSecret, corev1.SecretTypeTLS, func() (map[string][]byte, error) { return trust.edge(site.Name) })
	switch {
	case inst.NoCredentials:
	case inst.LongLivedTokens:
		tokens, err := LongLivedTokens(trust.signingKey, site.Name, time.Now())
		if err != nil {
			return err
		}
		for _, t := range tokens {
			e.secret(t.Name, corev1.SecretTypeOpaque, func() (map[string][]byte, error) { return t.Data, nil })
		}
	default:
		e.secret(serviceAccountSecret, corev1.SecretTypeOpaque, func() (map[string][]byte, error) {
			jwk, err := NewServiceAccountKey(site.Name)
			return map[string][]byte{"clusterFqn": []byte("organizations/" + inst.Organization + "/clusters/" + site.Name),
				"jwk": jwk}, err
		})
	}
	if inst.CABundle {
		e.secret(caBundleSecret, corev1.SecretTypeOpaque, func() (map[string][]byte, error) {
			return map[string][]byte{"ca.crt": trust.ca}, nil
		})
	}
	e.custom(controlPlanes, controlPlane(inst, site))
	return e.err
}

func managementPlane(inst Installation) map[string]any {
	return map[string]any{
		"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ManagementPlane",
		"metadata": map[string]any{"namespace": inst.ManagementPlaneNamespace, "name": inst.ManagementPlaneName,
			"labels": productLabels("managementplane")},
		"spec": map[string]any{
			"hub": "registry.example.test/tsb", "organization": inst.Organization,
			"components": map[string]any{"xcp": map[string]any{"centralAuthModes": map[string]any{"mutualTls": true}}},
		},
	}
}

func controlPlane(inst Installation, site Site) map[string]any {
	return map[string]any{
		"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ControlPlane",
		"metadata": map[string]any{"namespace": site.namespace(inst), "name": inst.ControlPlaneName,
			"labels": productLabels("controlplane")},
		"spec": map[string]any{
			"hub":             "registry.example.test/tsb",
			"managementPlane": map[string]any{"host": inst.Host, "port": inst.Port, "clusterName": site.Name},
			"telemetryStore":  map[string]any{"elastic": map[string]any{"host": inst.Host, "port": int64(443)}},
			"components":      map[string]any{"xcp": map[string]any{"centralAuthMode": modeMTLS}},
		},
	}
}

// productLabels are those of a live CR, which carry the version; whoever installed it is left open.
func productLabels(chart string) map[string]any {
	return map[string]any{"app.kubernetes.io/version": "1.6.2", "helm.sh/chart": chart + "-1.6.2"}
}

// installer creates objects in one namespace of a cluster and keeps the first error.
type installer struct {
	ctx       context.Context
	c         *cluster
	namespace string
	err       error
}

func (i *installer) do(f func() error) {
	if i.err != nil {
		return
	}
	if err := f(); err != nil && !apierrors.IsAlreadyExists(err) {
		i.err = err
	}
}

func (i *installer) makeNamespace() {
	i.do(func() error {
		_, err := i.c.kube.CoreV1().Namespaces().Create(i.ctx,
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: i.namespace}}, metav1.CreateOptions{})
		return err
	})
}

// secret creates a secret whose content is only made if it is not there.
func (i *installer) secret(name string, kind corev1.SecretType, content func() (map[string][]byte, error)) {
	i.do(func() error {
		_, err := i.c.kube.CoreV1().Secrets(i.namespace).Get(i.ctx, name, metav1.GetOptions{})
		if !apierrors.IsNotFound(err) {
			return err
		}
		data, err := content()
		if err != nil {
			return err
		}
		_, err = i.c.kube.CoreV1().Secrets(i.namespace).Create(i.ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: i.namespace, Name: name}, Type: kind, Data: data,
		}, metav1.CreateOptions{})
		return err
	})
}

// signingKey creates the secret of the key that signs tokens, or reads it back.
func (i *installer) signingKey() (data map[string][]byte) {
	i.secret(signingKeySecret, corev1.SecretTypeOpaque, func() (map[string][]byte, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("make signing key: %w", err)
		}
		return map[string][]byte{"private.key": encode("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
			"kid": []byte("1")}, nil
	})
	i.do(func() error {
		s, err := i.c.kube.CoreV1().Secrets(i.namespace).Get(i.ctx, signingKeySecret, metav1.GetOptions{})
		if err != nil {
			return err
		}
		data = s.Data
		return nil
	})
	return data
}

func (i *installer) custom(gvr schema.GroupVersionResource, obj map[string]any) {
	i.do(func() error {
		u := &unstructured.Unstructured{Object: obj}
		_, err := i.c.dyn.Resource(gvr).Namespace(u.GetNamespace()).Create(i.ctx, u, metav1.CreateOptions{})
		return err
	})
}
