package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
)

// issueOptions are the flags of token issue.
type issueOptions struct {
	*fleetOptions
	zone, keyFile, kid, out string
	validFor                time.Duration
}

func newTokenIssueCommand(fo *fleetOptions) *cobra.Command {
	o := &issueOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "issue", Args: cobra.NoArgs,
		Short: "issue a zone token of Kong Mesh or Kuma with a signing key from a file",
		Long: `Issue a zone token for a control plane (scope cp), signed with a key from a file, as the product would issue it: RS256, claims Zone,
Scope, exp, nbf, iat and jti. No cluster is touched. Such a token is not in the product's audit log, and nobody asks the product
whether you may: whoever has the signing key may anything.

The token goes into a new file that only you may read; one that is there is not overwritten. With --out - it goes to stdout, without a
newline, unless that is a terminal.`,
		Example: `  # For 30 days, with the key whose secret is zone-token-signing-key-2
  kubectl xcpauth token issue --zone west --valid-for 720h --key-file key-2.pem --kid 2 --out west.jwt`,
		RunE: func(*cobra.Command, []string) error { return o.run(time.Now()) },
	}
	cmd.Flags().StringVar(&o.zone, "zone", "", "the zone that is to present it; required")
	cmd.Flags().DurationVar(&o.validFor, "valid-for", 0, "for how long from now it is valid, such as 720h; required")
	cmd.Flags().StringVar(&o.keyFile, "key-file", "", "the signing key: PEM, RSA PRIVATE KEY (PKCS#1); required")
	cmd.Flags().StringVar(&o.kid, "kid", "", "the kid under which the control plane has the key: the serial in the name of its secret; required")
	cmd.Flags().StringVar(&o.out, "out", "", "the file for the token, or - for stdout; required")
	return cmd
}

// run issues a token, in these steps:
//
//  1. what is asked for, and where to, before the key is touched;
//  2. the key, which nobody else may be able to read;
//  3. the token, which must be one that the product takes and that we take;
//  4. the file, or stdout.
func (o *issueOptions) run(now time.Time) error {
	if err := render.CheckFormat(o.output); err != nil {
		return err
	}
	for _, f := range []struct{ flag, value string }{{"zone", o.zone}, {"key-file", o.keyFile}, {"kid", o.kid}, {"out", o.out}} {
		if f.value == "" {
			return fmt.Errorf("a token needs --%s; kubectl xcpauth token issue --help shows all that it needs", f.flag)
		}
	}
	if err := positive("valid-for", o.validFor); err != nil {
		return err
	}
	if o.out == "-" && isTerminal(o.Out) {
		return &codeError{code: exitRefused, text: "stdout is a terminal, and what is shown there is kept in its history; name a file with --out, or a pipe"}
	}
	text, open, err := readFile(o.keyFile)
	if err != nil {
		return err
	}
	if open {
		return othersCanSign(o.keyFile)
	}
	key, err := kongmesh.CheckPEM(text)
	if err != nil {
		return fmt.Errorf("the key in file %s: %w", o.keyFile, err)
	}
	var random [16]byte
	rand.Read(random[:]) // ends the program rather than fail
	grant := kongmesh.Grant{Zone: o.zone, ValidFor: o.validFor, ID: kongmesh.TokenID(random), KeyID: o.kid}
	secret, f, err := kongmesh.Issue(grant, key, now)
	if err != nil {
		return fmt.Errorf("issuing a token for zone %s: %w", o.zone, err)
	}
	raw := secret.Reveal()
	j := kongmesh.Verifier{Zone: o.zone, Static: []kongmesh.PublicKey{{KeyID: o.kid, Where: "file " + o.keyFile, Public: &key.PublicKey}}}.Judge(raw, now)
	if !j.Ours.Valid || j.Product.Outcome != kongmesh.Accepted {
		return errors.New("the token that was made is not valid, so it was not written: " + j.Ours.Why)
	}
	d, err := token.Describe(raw, now)
	if err != nil {
		return fmt.Errorf("reading the token that was made: %w", err)
	}
	r := render.NewIssued(j.Zone, o.validFor, d.Digest, o.out, "file "+o.keyFile, f, now)
	if o.out == "-" {
		r.File = "stdout"
		r.Table(o.ErrOut, false)
		_, err := o.Out.Write(raw)
		return err
	}
	if err := writeNew("out", "the token", o.out, raw); err != nil {
		return err
	}
	return render.Print(o.Out, o.output, r)
}
