package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/zones"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tokenissuer"
)

func newKeyCommand(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "key", GroupID: "migrate", Args: noArguments,
		Short: "List, create, rotate and retire the signing keys for zone tokens of Kong Mesh and Kuma",
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKeyListCommand(o), newKeyCreateCommand(o), newKeyRotateCommand(o), newKeyRetireCommand(o))
	return cmd
}

// keyOptions are the flags of key create.
type keyOptions struct {
	*fleetOptions
	out, manifest, namespace string
	serial                   int
}

func newKeyCreateCommand(fo *fleetOptions) *cobra.Command {
	o := &keyOptions{fleetOptions: fo, namespace: zonetoken.KongNamespace}
	cmd := &cobra.Command{
		Use: "create", Args: noArguments,
		Short: "Create a signing key as PEM, and as the secret that the control plane reads",
		Long: `Make a signing key in the one form that the product reads (RSA 2048, PKCS#1 PEM), into new files that only you may read: as PEM
with --out, and with --manifest as the Secret of a serial. Any other form stops all sync from the global to its zones; a serial with
zeros before it makes tokens that nobody can verify.

Nothing in a cluster is changed. The serial must be one more than the highest that is there; the product signs with the highest as soon
as it is.`,
		Example: `  kubectl xcpauth key create --out key-2.pem --serial 2 --manifest key-2.yaml`,
		RunE:    func(*cobra.Command, []string) error { return o.run(time.Now()) },
	}
	cmd.Flags().StringVar(&o.out, "out", "", "the file for the key, PEM")
	cmd.Flags().StringVar(&o.manifest, "manifest", "", "the file for the Secret with the key, YAML; needs --serial")
	cmd.Flags().IntVar(&o.serial, "serial", 0, "the serial of the key: one more than the highest that is there")
	cmd.Flags().StringVar(&o.namespace, "namespace", o.namespace, "the control plane's namespace, for the Secret")
	return cmd
}

// run makes a key and writes it down; a file is taken back when the other cannot be written.
func (o *keyOptions) run(now time.Time) error {
	switch {
	case o.out == "" && o.manifest == "":
		return errors.New("a key needs a file; name one with --out for PEM, or with --manifest for the Secret")
	case o.manifest != "" && o.serial < 1:
		return errors.New("the Secret of a key needs --serial: one more than the highest that is there, 1 when there is none")
	case o.namespace == "":
		return errors.New("--namespace is empty; the control plane sees only secrets in its own namespace")
	}
	text, err := tokenissuer.NewPEM()
	if err != nil {
		return err
	}
	if o.out != "" {
		if err := writeNew("out", "the signing key", o.out, text); err != nil {
			return err
		}
	}
	secret, kid := "", ""
	if o.serial > 0 {
		kid = strconv.Itoa(o.serial)
	}
	if o.manifest != "" {
		secret = o.namespace + "/" + zonetoken.KeyName(kid)
		if err := o.writeManifest(text); err != nil {
			if o.out != "" {
				os.Remove(o.out) // nobody has seen it
			}
			return err
		}
	}
	return o.print(zones.NewCreatedKey(o.out, o.manifest, secret, kid, now))
}

func (o *keyOptions) writeManifest(text []byte) error {
	m, err := zonetoken.KeyManifest(o.namespace, o.serial, text)
	if err != nil {
		return err
	}
	b, err := yaml.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing the Secret of the signing key: %w", err)
	}
	return writeNew("manifest", "the Secret of the signing key", o.manifest, b)
}
