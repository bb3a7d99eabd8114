package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"

	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/supply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
)

// supplyFlags say where credentials that edges lack, and Central's certificate, come from when they come from outside.
type supplyFlags struct {
	secrets, tctl, profile string
	cert, key, ca          string
}

func (s *supplyFlags) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&s.secrets, "secrets", "",
		"a manifest with the credentials that an edge lacks, or a directory with one EDGE.yaml for each")
	flags.StringVar(&s.tctl, "tctl", "",
		"have tctl make the credentials that edges lack; --tctl=PATH when it is not on PATH")
	flags.Lookup("tctl").NoOptDefVal = "tctl"
	flags.StringVar(&s.profile, "tctl-profile", "",
		"tctl's profile for this hub; default: its current one, if that leads to this hub")
	flags.StringVar(&s.cert, "central-cert", "",
		"a certificate for Central with its intermediates, PEM, that another team made (see certificate request)")
	flags.StringVar(&s.key, "central-key", "", "its private key, PEM; nobody else may read the file")
	flags.StringVar(&s.ca, "central-ca", "", "its CA, PEM, which replaces ca.crt of the secret; default: that stays")
}

// outside is what the flags brought into this run: it is with the executor alone.
type outside struct {
	supplier apply.Supplier
	fills    map[string]apply.FillSecret
}

func (o outside) into(live *apply.Live) {
	if o.supplier != nil {
		live.Supplier = o.supplier
	}
	maps.Copy(live.SecretFields, o.fills)
}

// read reads what the flags name into the goal, and what is secret beside it. Of a saved plan the goal says already
// what is needed: it is given again. The key may be left out where nothing is written.
func (s *supplyFlags) read(goal *plan.Goal, saved, writes bool) (outside, error) {
	var o outside
	if err := s.check(*goal, saved); err != nil {
		return o, err
	}
	switch {
	case s.secrets != "":
		m, err := supply.ReadManifests(s.secrets)
		if err != nil {
			return o, err
		}
		o.supplier, goal.Manifests, goal.Supplied = m, m.Handed, m.From()
	case s.tctl != "":
		t, err := supply.NewTctl(s.tctl, s.profile)
		if err != nil {
			return o, err
		}
		o.supplier, goal.Supplied = t, t.From()
	}
	if err := s.readPair(goal, saved); err != nil {
		return o, err
	}
	switch {
	case goal.Pair == nil:
		return o, nil
	case s.key == "" && writes:
		return o, errors.New("the private key of the certificate is needed to write it; pass --central-key")
	case s.key == "":
		return o, nil
	}
	key, err := supply.ReadFile("central-key", s.key)
	if err != nil {
		return o, err
	}
	if _, err := tls.X509KeyPair(goal.Pair.Chain, key.Reveal()); err != nil {
		return o, fmt.Errorf("the key of --central-key does not go with the certificate: %w", err)
	}
	o.fills = map[string]apply.FillSecret{plan.PairSecretField: func(after map[string]any) error {
		data, _ := after["data"].(map[string]any)
		data = maps.Clone(data) // what a plan shows never has the key
		data["tls.key"] = base64.StdEncoding.EncodeToString(key.Reveal())
		after["data"] = data
		return nil
	}}
	return o, nil
}

// check refuses flags that do not go together.
func (s *supplyFlags) check(goal plan.Goal, saved bool) error {
	credentials, pair := s.secrets != "" || s.tctl != "", s.cert != "" || s.key != "" || s.ca != ""
	switch {
	case s.secrets != "" && s.tctl != "":
		return errors.New("--secrets and --tctl both say where credentials come from; pass one of them")
	case s.profile != "" && s.tctl == "":
		return errors.New("--tctl-profile goes with --tctl")
	case goal.NoHub && pair:
		return errors.New("--central-cert is written in the hub, and --no-hub does without; leave one of them out")
	case !saved && pair && s.cert == "":
		return errors.New("--central-key and --central-ca go with --central-cert")
	case saved && goal.Supplied != "" && !credentials:
		return fmt.Errorf("the saved plan takes credentials from %s, which is not kept in it; pass --secrets or --tctl again",
			goal.Supplied)
	case saved && goal.Supplied == "" && credentials:
		return errors.New("the saved plan takes no credentials from outside; make it again with --secrets or --tctl: kubectl xcpauth plan --out FILE")
	case saved && goal.Pair == nil && pair:
		return errors.New("the saved plan writes no certificate; make it again with --central-cert: kubectl xcpauth plan --out FILE")
	}
	return nil
}

// readPair reads the public part of the certificate. One that is given again for a saved plan must be the one that
// the plan shows.
func (s *supplyFlags) readPair(goal *plan.Goal, saved bool) error {
	if s.cert == "" && s.ca == "" {
		return nil
	}
	read := func(flag, path string, otherwise []byte) ([]byte, error) {
		if path == "" {
			return otherwise, nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading the file of --%s: %w", flag, err)
		}
		return b, nil
	}
	var shown plan.Certificate
	if goal.Pair != nil {
		shown = *goal.Pair
	}
	certs, err := read("central-cert", s.cert, shown.Chain)
	if err != nil {
		return err
	}
	ca, err := read("central-ca", s.ca, shown.CA)
	if err != nil {
		return err
	}
	pair, err := migration.ReadPair(certs, ca)
	if err != nil {
		return err
	}
	if saved && (string(pair.Chain) != string(shown.Chain) || string(pair.CA) != string(shown.CA)) {
		return &plan.StaleError{Why: "the certificate of --central-cert, or the CA of --central-ca, is not the one that it shows"}
	}
	goal.Pair = &pair
	return nil
}

// systemRoots is the CAs that this system trusts, nil where it does not say.
var systemRoots = sync.OnceValue(func() *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil
	}
	return pool
})
