package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/certificates"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
)

func newCertificateCommand(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "certificate", GroupID: "migrate", Args: noArguments,
		Short: "Show Central's certificate, or request another one",
		Long: `Central's certificate must carry every name under which an edge with a JWT dials it. Where cert-manager makes it, migrate adds
the names; else another team makes one from a request, and migrate writes it: --central-cert, --central-key.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCertificateShowCommand(o), newCertificateRequestCommand(o))
	return cmd
}

// certificateOptions are the flags of both.
type certificateOptions struct {
	*fleetOptions
	names  []string
	keyOut string
}

func newCertificateShowCommand(fo *fleetOptions) *cobra.Command {
	o := &certificateOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "show", Args: noArguments,
		Short: "Show the names that it has and lacks, who can change it, and what each pod of Central serves",
		Example: `  # Show Central's certificate beside the names that edges dial
  kubectl xcpauth certificate show`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := o.observeHub(cmd.Context())
			if err != nil {
				return err
			}
			return o.print(certificates.NewCertificates(f, o.names))
		},
	}
	o.addStandby(cmd.Flags())
	cmd.Flags().StringSliceVar(&o.names, "central-name", nil,
		"further names that it must have, beside those that the selected edges dial")
	return cmd
}

func newCertificateRequestCommand(fo *fleetOptions) *cobra.Command {
	o := &certificateOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "request", Args: noArguments,
		Short: "Print a certificate signing request for Central, and keep its new private key in a file",
		Long: `Print a certificate signing request (PEM) for Central with every name that the selected edges dial, the names that it has now,
and the SPIFFE ID by which members with certificates know it. The private key is new, and is kept in a file that only you may
read; one that is there is not overwritten. Nothing in a cluster is changed.`,
		Example: `  # Ask another team for a certificate, then let migrate write it
  kubectl xcpauth certificate request --key-out central.key > central.csr
  kubectl xcpauth migrate --central-cert central.crt --central-key central.key`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.request(cmd.Context()) },
	}
	o.addStandby(cmd.Flags())
	cmd.Flags().StringSliceVar(&o.names, "central-name", nil,
		"further names that it must have, beside those that the selected edges dial")
	cmd.Flags().StringVar(&o.keyOut, "key-out", "", "the file for the new private key; required")
	o.addDryRun(cmd.Flags())
	return cmd
}

// observeHub looks at the fleet, and ends when there is no hub.
func (o *certificateOptions) observeHub(ctx context.Context) (plan.State, error) {
	live, err := o.clusters(true)
	if err != nil {
		return plan.State{}, err
	}
	f := o.observe(ctx, live)
	switch {
	case ctx.Err() != nil:
		return f, ctx.Err()
	case !f.Hub.Found:
		return f, &codeError{code: exitError, text: f.Hub.Err}
	}
	return f, nil
}

// request makes a key, keeps it, and prints the request that it signs.
func (o *certificateOptions) request(ctx context.Context) error {
	if o.keyOut == "" {
		return errors.New("the new private key needs a file; name one with --key-out")
	}
	f, err := o.observeHub(ctx)
	if err != nil {
		return err
	}
	for _, m := range f.Members {
		if m.Err != "" {
			fmt.Fprintf(o.ErrOut, "what %s dials is not known (%s); add it with --central-name, or reach it first\n", m.Name,
				m.Err)
		}
	}
	for _, other := range f.Others {
		if other.State == "unreachable" {
			fmt.Fprintf(o.ErrOut, "context %s could not be looked at (%s); if it holds an edge, add what that dials with --central-name\n", other.Context, other.Why)
		}
	}
	wanted := migration.Wanted(f, o.names)
	if o.isDryRun() {
		return o.tryRequest(ctx, f, wanted)
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048) // as cert-manager does by default
	if err != nil {
		return fmt.Errorf("making a private key: %w", err)
	}
	csr, err := requestFor(wanted, key)
	if err != nil {
		return err
	}
	if err := writeKey(o.keyOut, key); err != nil {
		return err
	}
	r := certificates.NewRequest(wanted, o.keyOut, string(csr),
		"have it signed, then: "+o.again("migrate")+" --central-cert CERTIFICATE --central-key "+quote(o.keyOut))
	r.Notes(o.ErrOut)
	return o.print(r)
}

var (
	oidExtKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidsOfUsages   = map[string]asn1.ObjectIdentifier{"server auth": {1, 3, 6, 1, 5, 5, 7, 3, 1},
		"client auth": {1, 3, 6, 1, 5, 5, 7, 3, 2}}
)

// requestFor makes a signing request, PEM, that asks for the names, the URIs and the usages.
func requestFor(w migration.WantedCertificate, key *rsa.PrivateKey) ([]byte, error) {
	tmpl := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "central"}}
	for _, name := range w.Names {
		if ip, err := netip.ParseAddr(name); err == nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip.AsSlice())
		} else {
			tmpl.DNSNames = append(tmpl.DNSNames, name)
		}
	}
	for _, text := range w.URIs {
		u, err := url.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("asking for the URI %q: %w", text, err)
		}
		tmpl.URIs = append(tmpl.URIs, u)
	}
	var usages []asn1.ObjectIdentifier
	for _, usage := range w.Usages {
		usages = append(usages, oidsOfUsages[usage])
	}
	der, err := asn1.Marshal(usages)
	if err != nil {
		return nil, fmt.Errorf("encoding the extended key usages: %w", err)
	}
	tmpl.ExtraExtensions = []pkix.Extension{{Id: oidExtKeyUsage, Value: der}}
	csr, err := x509.CreateCertificateRequest(rand.Reader, tmpl, key)
	if err != nil {
		return nil, fmt.Errorf("making the signing request: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}), nil
}

// writeKey keeps a private key in a new file that only its owner may read.
func writeKey(path string, key *rsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("encoding the private key: %w", err)
	}
	return writeNew("key-out", "the private key", path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// thereAlready says that a file is not overwritten.
func thereAlready(flag, path string) error {
	return fmt.Errorf("%s is there already, and is not overwritten; name another file with --%s", path, flag)
}

// writeNew keeps a secret in a new file that only its owner may read. flag names the file, what says what it is.
func writeNew(flag, what, path string, text []byte) error {
	if path == "-" {
		return noStdout(flag, what)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return thereAlready(flag, path)
	}
	if err != nil {
		return fmt.Errorf("keeping %s: %w", what, err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		os.Remove(path)
		return fmt.Errorf("keeping %s: %w", what, err)
	}
	return nil
}

// noStdout refuses the - of a flag that takes a file alone.
func noStdout(flag, what string) error {
	return fmt.Errorf("--%s - would be a file called -, since %s does not go to stdout; name a file", flag, what)
}
