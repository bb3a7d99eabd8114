package main

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/zones"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// zoneOptions are the flags that say by whom a zone token is judged.
type zoneOptions struct {
	kid, name, revocations string
	product, version       string
	cmd                    *cobra.Command
}

// zoneFlags are those flags.
var zoneFlags = []string{"kid", "zone", "revocations", "product", "version"}

func (z *zoneOptions) addFlags(cmd *cobra.Command) {
	z.cmd = cmd
	grouped(cmd.Flags(), "zone", func(flags *pflag.FlagSet) {
		flags.StringVar(&z.kid, "kid", "",
			"the kid under which the control plane has the key of --key-file; default: the token's own")
		flags.StringVar(&z.name, "zone", "", "the zone that presents the token")
		flags.StringVar(&z.revocations, "revocations", "",
			"a file with the list of revoked tokens: data.value of secret zone-token-revocations, decoded")
		addVersion(flags, &z.product, &z.version)
	})
	completeVersion(cmd)
}

// addVersion adds the flags that say which control plane it is.
func addVersion(flags *pflag.FlagSet, product, version *string) {
	flags.StringVar(product, "product", string(zonetoken.KongMesh), "the control plane: kong-mesh, kuma")
	flags.StringVar(version, "version", "", "its version, such as 2.13.5; default: as 2.14 does it")
}

func completeVersion(cmd *cobra.Command) {
	var all []string
	for _, p := range zonetoken.Products {
		all = append(all, string(p))
	}
	if err := cmd.RegisterFlagCompletionFunc("product", cobra.FixedCompletions(all,
		cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a flag of our own that does not exist
	}
	if err := cmd.RegisterFlagCompletionFunc("version", cobra.NoFileCompletions); err != nil {
		panic(err)
	}
}

// given says whether one of the flags is.
func (z *zoneOptions) given() bool {
	for _, name := range zoneFlags {
		if z.cmd != nil && z.cmd.Flags().Changed(name) && !(name == "product" && z.ofFleet()) {
			return true
		}
	}
	return false
}

// ofFleet says whether --product has a value that the flag of all verbs has and a control plane of zones is not.
func (z *zoneOptions) ofFleet() bool { return z.product == products[0] || z.product == state.Name }

// versionOf is the version that the flags say.
func versionOf(product, text string) (zonetoken.Version, error) {
	if text == "" {
		v, err := zonetoken.ParseVersion(zonetoken.Product(product), "1.0.0") // is the product known?
		return zonetoken.Version{Product: v.Product}, err
	}
	return zonetoken.ParseVersion(zonetoken.Product(product), text)
}

// ofZone reports on a zone token: what is odd about it, and when it is to be verified, what the product and we say;
// in these steps:
//
//  1. what the flags say of the control plane: its version, the list of revoked tokens;
//  2. its key, from a file;
//  3. both verdicts.
func (o *tokenOptions) ofZone(raw []byte, z zonetoken.Zone, report render.Token, now time.Time) error {
	if !o.verify {
		return o.print(zones.NewToken(report, z, z.Findings(zonetoken.Verifier{}, now)))
	}
	if len(o.audience) > 0 {
		return errors.New("--audience is not for zone tokens: the product does not look at it")
	}
	version, err := versionOf(o.zone.product, o.zone.version)
	if err != nil {
		return err
	}
	v := zonetoken.Verifier{Version: version, Zone: o.zone.name}
	f := version.Findings()
	if o.zone.revocations != "" {
		list, _, err := readFile(o.zone.revocations)
		if err != nil {
			return fmt.Errorf("reading the list of --revocations: %w", err)
		}
		v.Revocations = zonetoken.ParseRevocations(list)
		f = append(f, v.Revocations.Findings()...)
	}
	if o.keyFile == "" {
		return errors.New("this is a zone token of Kong Mesh or Kuma; pass the control plane's signing key, or its public half, with --key-file")
	}
	var rests []string
	if v.Static, rests, report.Warnings, err = o.zoneKeys(z, &f); err != nil {
		return err
	}
	if o.zone.revocations == "" {
		rests = append(rests, "no list of revoked tokens was given, so it was not looked for in one")
	}
	j := v.Assess(raw, now)
	ours := agreeing(j.Ours, j.Findings, f)
	if ours.Valid {
		f = besides(f)
	}
	judged := zones.NewToken(report, j.Zone, append(j.Findings, f...)).Answered(version, j.Product).Judged(ours, rests)
	if err := o.print(judged); err != nil {
		return err
	}
	if !ours.Valid {
		return &codeError{code: exitRefused}
	}
	return nil
}

// agreeing is a verdict that agrees with what is said below it: a token with an error is not valid, nor is one of
// which cannot be told whether it was revoked.
func agreeing(ours token.Verdict, own, around finding.Findings) token.Verdict {
	for _, f := range own {
		if ours.Valid && f.Severity == finding.Error {
			ours = token.Verdict{Why: f.Found}
		}
	}
	for _, f := range around {
		if ours.Valid && f.Rule == zonetoken.RevocationsNotText.ID {
			ours = token.Verdict{Why: "whether it was revoked cannot be told: of the list of revoked tokens, " + f.Found}
		}
	}
	return ours
}

// besides are the findings of the version and of the list below a valid token: they are no errors of the token.
func besides(all finding.Findings) finding.Findings {
	var besides finding.Findings
	for _, f := range all {
		if f.Severity == finding.Error {
			f.Severity = finding.Warning
		}
		besides = append(besides, f)
	}
	return besides
}

// zoneKeys are the keys of the file, each under the kid that the control plane has it under, and what they rest on. A
// private key that we can read and the product could not is a finding. The rest of what is said of the keys are
// warnings.
func (o *tokenOptions) zoneKeys(z zonetoken.Zone, f *finding.Findings) (all []zonetoken.PublicKey, rests,
	warnings []string, err error) {
	text, open, err := readFile(o.keyFile)
	if err != nil {
		return nil, nil, nil, err
	}
	where := "file " + o.keyFile
	keys, err := token.ParseKeys(text, where)
	if err != nil {
		if _, why := zonetoken.CheckPEM(text); why != nil {
			err = fmt.Errorf("%w: %w", err, why)
		}
		return nil, nil, nil, err
	}
	warnings = o.warned(keys)
	unnamed := 0
	for _, k := range keys {
		public, ok := k.Public.(*rsa.PublicKey)
		switch {
		case k.Private && open:
			return nil, nil, nil, othersCanSign(o.keyFile)
		case !ok: // beside one that is RSA
			continue
		case k.ID == "":
			unnamed++
		}
		if _, err := zonetoken.CheckPEM(text); k.Private && err != nil {
			f.Add(zonetoken.KeyFile, "the key in "+where+" verifies here, and would not do as a signing key of the product: "+err.Error(), "")
		}
		kid := k.ID
		if kid == "" {
			kid = o.zone.kid
		}
		if kid == "" {
			kid = z.KeyID
		}
		all = append(all, zonetoken.PublicKey{KeyID: kid, Where: where, Public: public})
	}
	if len(all) == 0 {
		return nil, nil, nil, fmt.Errorf("%s holds a key that is not RSA, and zone tokens are RS256", where)
	}
	if unnamed > 1 {
		return nil, nil, nil, fmt.Errorf("%s holds %d keys without a kid; pass the one that the token was signed with",
			where, unnamed)
	}
	if unnamed == 1 && o.zone.kid == "" {
		return all, []string{fmt.Sprintf("that the control plane has the key in %s under the token's kid is assumed; "+
			"--kid says under which", where)}, warnings, nil
	}
	return all, []string{"that the control plane verifies with the key in " + where + " is what you say"}, warnings, nil
}

// othersCanSign refuses a file with a private key that others can read.
func othersCanSign(path string) error {
	return fmt.Errorf("others can read %s, which holds a private key, and with it make tokens; run: chmod 600 %s",
		path, quote(path))
}
