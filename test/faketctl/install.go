package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/version"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func installCommand(o *options) *cobra.Command {
	cmd := group("install", group("manifest", controlPlaneSecrets(o)))
	if hasServiceAccounts() {
		cmd.AddCommand(clusterServiceAccount(o))
	}
	return cmd
}

// hasServiceAccounts says whether this version knows them: they came with 1.5.
func hasServiceAccounts() bool {
	v, err := version.ParseGeneric(tctlVersion())
	return err != nil || v.AtLeast(version.MajorMinor(1, 5))
}

// clusterServiceAccount prints a new private key each time; the management plane keeps no copy, and earlier keys stay
// valid.
func clusterServiceAccount(o *options) *cobra.Command {
	var cluster string
	var create bool
	cmd := &cobra.Command{Use: "cluster-service-account", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cluster == "" {
				return errors.New(`required flag(s) "cluster" not set`)
			}
			h, err := o.login(cmd.Context())
			if err != nil {
				return err
			}
			if create {
				if err := h.createCluster(cmd.Context(), cluster); err != nil {
					return err
				}
			}
			jwk, err := xcpsim.NewServiceAccountKey(strings.ToLower(rand.Text()))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s\n", jwk)
			return err
		}}
	cmd.Flags().StringVar(&cluster, "cluster", "", "The name of the cluster to generate certs for.")
	cmd.Flags().BoolVar(&create, "create-cluster", true, "Create a cluster object in Service Bridge if it doesn't exist")
	return cmd
}

// secretsFlags are those of `tctl install manifest control-plane-secrets`.
type secretsFlags struct {
	cluster, controlPlane                           string
	serviceAccount, centralCA, centralCerts, planCA string
	elasticUser, elasticPassword, elasticCA         string
	redisPassword                                   string
	create                                          bool
}

func controlPlaneSecrets(o *options) *cobra.Command {
	f := secretsFlags{}
	cmd := &cobra.Command{Use: "control-plane-secrets", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := o.login(cmd.Context())
			if err != nil {
				return err
			}
			if f.create {
				if err := h.createCluster(cmd.Context(), f.cluster); err != nil {
					return err
				}
			}
			m := manifest{w: cmd.OutOrStdout(), namespace: f.controlPlane}
			f.print(&m, h.organization)
			if !hasServiceAccounts() {
				key, err := h.signingKey(cmd.Context())
				if err != nil {
					return err
				}
				m.tokens(key, f.cluster)
			}
			return m.err
		}}
	s := cmd.Flags().StringVar
	cmd.Flags().BoolP("allow-defaults", "y", false,
		"Use default values for required fields that aren't provided. DO NOT USE IN PRODUCTION")
	cmd.Flags().StringP("file", "f", "", "The custom resource file describing the control plane.")
	cmd.Flags().BoolVar(&f.create, "create-cluster", true, "Create a cluster object in Service Bridge if it doesn't exist")
	s(&f.cluster, "cluster", "default",
		"The name of the cluster on which this control plane will be installed [required].")
	s(&f.controlPlane, "controlplane", "istio-system", "The namespace of the control plane")
	s(&f.serviceAccount, "cluster-service-account", "", "The cluster service account key JWK")
	s(&f.centralCA, "xcp-central-ca-bundle", "", "The CA bundle to validate the certificates presented by XCP Central.")
	s(&f.centralCerts, "xcp-certs", "", "The kubernetes secret yaml string for the cluster cert")
	s(&f.planCA, "management-plane-ca-certificate", "", "The CA certificate to validate TSB management plane APIs")
	s(&f.elasticUser, "elastic-username", "tsb", "The username Service Bridge will use to communicate with Elasticsearch.")
	s(&f.elasticPassword, "elastic-password", "tsb-elastic-password",
		"The password Service Bridge will use to communicate with Elasticsearch.")
	s(&f.elasticCA, "elastic-ca-certificate", "", "The CA certificate to validate Elasticsearch connections")
	s(&f.redisPassword, "redis-password", "", "Password for Redis")
	return cmd
}

// print writes the secrets in the order of a public log. Whether tctl leaves out es-certs and mp-certs when it is
// given no CA for them is not public; here they come with a CA that nobody uses, since that is what must not be
// applied.
func (f secretsFlags) print(m *manifest, organization string) {
	m.secret("elastic-credentials", map[string][]byte{"username": []byte(f.elasticUser),
		"password": []byte(f.elasticPassword)})
	m.ca("es-certs", f.elasticCA)
	if f.centralCA != "" {
		m.ca("xcp-central-ca-bundle", f.centralCA)
	}
	m.ca("mp-certs", f.planCA)
	if f.redisPassword != "" {
		m.secret("redis-credentials", map[string][]byte{"REDIS_AUTH": []byte(f.redisPassword)})
	}
	if f.serviceAccount != "" {
		fqn := "organizations/" + organization + "/clusters/" + f.cluster
		m.secret("cluster-service-account", map[string][]byte{"clusterFqn": []byte(fqn), "jwk": []byte(f.serviceAccount)})
	}
	m.raw(f.centralCerts)
}

// manifest writes secrets as one YAML document each and keeps the first error.
type manifest struct {
	w         io.Writer
	namespace string
	err       error
}

func (m *manifest) raw(document string) {
	if m.err == nil && document != "" {
		_, m.err = fmt.Fprintf(m.w, "---\n%s\n", strings.TrimSpace(document))
	}
}

// secret has the labels that such manifests have; they do not make it a Helm release.
func (m *manifest) secret(name string, data map[string][]byte) {
	b, err := yaml.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "data": data,
		"metadata": map[string]any{"name": name, "namespace": m.namespace, "labels": map[string]any{
			"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/instance": "tctl-controlplane",
		}},
	})
	if err != nil && m.err == nil {
		m.err = fmt.Errorf("encoding secret %s: %w", name, err)
	}
	m.raw(string(b))
}

func (m *manifest) ca(name, pem string) {
	if pem == "" && m.err == nil {
		unused, err := xcpsim.NewAuthority("nobody.example.test")
		if m.err = err; err != nil {
			return
		}
		pem = string(unused.CertPEM)
	}
	m.secret(name, map[string][]byte{"ca.crt": []byte(pem)})
}

// tokens are what tctl itself made before 1.5.
func (m *manifest) tokens(signingKey map[string][]byte, cluster string) {
	secrets, err := xcpsim.LongLivedTokens(signingKey, cluster, time.Now())
	if err != nil && m.err == nil {
		m.err = err
	}
	for _, s := range secrets {
		m.secret(s.Name, s.Data)
	}
}
