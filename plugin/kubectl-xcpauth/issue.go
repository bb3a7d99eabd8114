package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/zones"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tokenissuer"
)

// issueOptions are the flags of token issue.
type issueOptions struct {
	*fleetOptions
	signFlags
	zone, keyFile, kid  string
	out, secret, within string // a file, a Secret's name and its namespace
	inCluster           bool
}

func newTokenIssueCommand(fo *fleetOptions) *cobra.Command {
	o := &issueOptions{fleetOptions: fo, signFlags: newSignFlags(fo)}
	cmd := &cobra.Command{
		Use: "issue [ZONE]", Args: cobra.MaximumNArgs(1),
		Short: "Issue a zone token of Kong Mesh or Kuma, by the global's API or with a signing key",
		Long: `Have a zone token for a control plane (scope cp) issued. The global's own API does it by default: it asks who may, and writes it down
where its audit is on. It is reached through the API server and the kubelet, and asked with the administrator's token, from secret
admin-user-token in the global's cluster, or with that of a user of yours (--api-token).

With --tokens-from=key the token is signed here with the global's newest signing key, read from its secret; with --key-file with a key
from a file, and no cluster is touched: RS256, claims Zone, Scope, exp, nbf, iat and jti, as the product issues it. Such a token is not
in the product's audit log, and nobody asks the product whether you may: anyone who has the signing key may do anything.

The token goes into a new file that only you may read; one that is there is not overwritten. With --out - it goes to stdout, without a
newline, unless that is a terminal; with --secret it is a manifest of a Secret. With --in-cluster it goes straight into a new Secret in
the zone's cluster, which nobody can write again. What the zone presents is not changed: kubectl xcpauth migrate does that.`,
		Example: `  # For 30 days, from the global's API
  kubectl xcpauth token issue west --valid-for 720h --out west.jwt

  # The same, as a Secret in the zone's cluster
  kubectl xcpauth token issue west --valid-for 720h --in-cluster --secret cp-token

  # Without a cluster, with the key whose secret is zone-token-signing-key-2
  kubectl xcpauth token issue west --valid-for 720h --key-file key-2.pem --kid 2 --out west.jwt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneMember(cmd.Flags(), "zone", &o.zone, args); err != nil {
				return err
			}
			o.repeats = strings.TrimSpace(words(args) + " " + given(cmd.Flags(), "zone", "valid-for", "tokens-from",
				"key-file", "kid", "out", "in-cluster", "secret", "namespace"))
			return o.run(cmd.Context(), time.Now())
		},
	}
	cmd.Flags().StringVar(&o.zone, "zone", "", "the zone that is to present it; or name it without the flag")
	cmd.Flags().DurationVar(&o.life, "valid-for", 0, "for how long from now it is valid, such as 720h; required")
	o.addSource(cmd.Flags())
	cmd.Flags().StringVar(&o.keyFile, "key-file", "", "sign with the key in this file: PEM, RSA PRIVATE KEY (PKCS#1)")
	cmd.Flags().StringVar(&o.kid, "kid", "",
		"with --key-file: the kid under which the control plane has the key: the serial in the name of its secret")
	cmd.Flags().StringVar(&o.out, "out", "", "the file for the token, or - for stdout")
	cmd.Flags().BoolVar(&o.inCluster, "in-cluster", false, "write it into a new Secret in the zone's cluster")
	cmd.Flags().StringVar(&o.secret, "secret", "",
		"the name of the Secret: with --out its manifest is written instead of the bare token; with --in-cluster the default is cp-token")
	cmd.Flags().StringVar(&o.within, "namespace", "", "the namespace of the Secret; default: the control plane's")
	o.addDryRun(cmd.Flags())
	return cmd
}

// issued is a token that was issued.
type issued struct {
	token  plan.Secret
	notes  []string
	report func(digest, where string) zones.Issued
}

// run has a token issued, in these steps:
//
//  1. what is asked for, and where to, before anybody is asked;
//  2. the token: of a key from a file; else of the global that the contexts hold;
//  3. the Secret in the zone's cluster, the file, or stdout.
func (o *issueOptions) run(ctx context.Context, now time.Time) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.keyFile != "" {
		t, err := o.ofFile(now)
		if err != nil {
			return err
		}
		if o.isDryRun() {
			return o.tryIssue(ctx, nil, plan.State{At: now}, nil, "it is signed with the key in file "+o.keyFile)
		}
		return o.hand(t, now)
	}
	live, f, err := o.mesh(ctx)
	if err != nil {
		return err
	}
	return o.byGlobal(ctx, live, f, now)
}

// byGlobal has the global that the contexts hold issue the token, and puts it where it is to go.
func (o *issueOptions) byGlobal(ctx context.Context, live *apply.Live, f plan.State, now time.Time) error {
	goal := o.goal(plan.Goal{})
	tokens, err := o.tokens(live, goal)
	if err != nil {
		return err
	}
	m := f.Member(o.zone)
	switch {
	case o.inCluster && (m == nil || m.Context == "" || m.Object.Name == ""):
		return &codeError{code: exitRefused,
			text: fmt.Sprintf("no selected context holds the control plane of zone %s; select it with --contexts, or write the token into a file with --out", o.zone)}
	case m == nil && f.Hub.InventoryErr == "" && !slices.Contains(f.Hub.Inventory, o.zone):
		fmt.Fprintf(o.ErrOut, "note: the global does not know a zone %s yet; it will once that connects\n", o.zone)
	}
	o.placed(f, m)
	request, err := migration.Request(f, goal, o.zone)
	if err != nil {
		return &codeError{code: exitRefused, text: err.Error()}
	}
	if o.isDryRun() {
		return o.tryIssue(ctx, live, f, m, issuer(f, request))
	}
	t, err := o.ofGlobal(ctx, tokens, f, request)
	if err != nil {
		return err
	}
	for _, note := range t.notes {
		fmt.Fprintf(o.ErrOut, "note: %s\n", note)
	}
	if o.inCluster {
		return o.put(ctx, live, *m, t, now)
	}
	return o.hand(t, now)
}

// placed fills in the namespace of the Secret: that of the zone's control plane, else of the global.
func (o *issueOptions) placed(f plan.State, m *plan.Member) {
	switch {
	case o.within != "":
	case m != nil && m.Object.Namespace != "":
		o.within = m.Object.Namespace
	default:
		o.within = f.Hub.Object.Namespace
	}
}

// check refuses what cannot be meant.
func (o *issueOptions) check() error {
	if o.zone == "" {
		return errors.New("a token needs a ZONE; kubectl xcpauth token issue --help shows all that it needs")
	}
	if err := errors.Join(positive("valid-for", o.life), o.signFlags.check()); err != nil {
		return err
	}
	switch {
	case o.keyFile != "" && o.kid == "":
		return errors.New("a token needs --kid; kubectl xcpauth token issue --help shows all that it needs")
	case o.keyFile == "" && o.kid != "":
		return errors.New("--kid goes with --key-file: the global's newest key signs otherwise")
	case o.keyFile != "" && o.inCluster:
		return errors.New("--key-file touches no cluster; write the token into a file with --out, or leave the key to the global")
	case o.keyFile != "" && o.apiToken != "":
		return errors.New("--key-file and --api-token both say how the token is made; pass one of them")
	case o.out == "" && !o.inCluster:
		return errors.New("a token needs --out or --in-cluster; kubectl xcpauth token issue --help shows all that it needs")
	case o.out != "" && o.inCluster:
		return errors.New("--out and --in-cluster both say where the token goes; pass one of them")
	case o.out == "-" && isTerminal(o.Out):
		return &codeError{code: exitRefused,
			text: "stdout is a terminal, and what is shown there is kept in its history; name a file with --out, or a pipe"}
	}
	// before a token is made that nobody would have
	if _, err := os.Lstat(o.out); o.out != "-" && o.out != "" && err == nil {
		return thereAlready("out", o.out)
	}
	return nil
}

// ofFile signs a token with a key from a file, which nobody else may be able to read. It must be one that the product
// takes and that we take.
func (o *issueOptions) ofFile(now time.Time) (issued, error) {
	text, open, err := readFile(o.keyFile)
	if err != nil {
		return issued{}, err
	}
	if open {
		return issued{}, othersCanSign(o.keyFile)
	}
	key, err := zonetoken.CheckPEM(text)
	if err != nil {
		return issued{}, fmt.Errorf("the key in file %s: %w", o.keyFile, err)
	}
	var random [16]byte
	rand.Read(random[:]) // ends the program rather than fail
	secret, f, err := zonetoken.Issue(zonetoken.Grant{Zone: o.zone, ValidFor: o.life, ID: zonetoken.TokenID(random),
		KeyID: o.kid}, key, now)
	if err != nil {
		return issued{}, fmt.Errorf("issuing a token for zone %s: %w", o.zone, err)
	}
	where := "file " + o.keyFile
	j := zonetoken.Verifier{Zone: o.zone, Static: []zonetoken.PublicKey{{KeyID: o.kid, Where: where,
		Public: &key.PublicKey}}}.Assess(secret.Reveal(), now)
	if !j.Ours.Valid || j.Product.Outcome != zonetoken.Accepted {
		return issued{}, errors.New("the token that was made is not valid, so it was not written: " + j.Ours.Why)
	}
	return issued{token: secret, report: func(digest, to string) zones.Issued {
		return zones.NewIssued(j.Zone, o.life, digest, to, where, true, f, now)
	}}, nil
}

// issuer is who issues a token: the global's API, or its newest key.
func issuer(f plan.State, request plan.TokenRequest) string {
	if request.API == nil {
		return fmt.Sprintf("secret %s/%s in %s", request.Key.Namespace, request.Key.Name, f.Hub.Context)
	}
	return fmt.Sprintf("the API of %s in %s", f.Hub.Object, f.Hub.Context)
}

// ofGlobal has the global of the contexts issue a token, or signs it with its newest key.
func (o *issueOptions) ofGlobal(ctx context.Context, tokens tokenissuer.Tokens, f plan.State,
	request plan.TokenRequest) (issued, error) {
	secret, zone, said, err := tokens.Issue(ctx, request)
	if err != nil {
		return issued{}, err
	}
	by := issuer(f, request)
	return issued{token: secret, notes: said[1:], report: func(digest, to string) zones.Issued {
		return zones.NewIssued(zone, o.life, digest, to, by, request.API == nil, nil, f.At)
	}}, nil
}

// put writes the token into a new Secret in the zone's cluster.
func (o *issueOptions) put(ctx context.Context, live *apply.Live, m plan.Member, t issued, now time.Time) error {
	if o.secret == "" {
		o.secret = "cp-token" // as in the product's page
	}
	secret := tokenissuer.Secret(o.secret, o.within, state.TokenKey, t.token)
	secret["immutable"] = true
	live.Supplier = ready{secret}
	supply := plan.Supply{Member: m.Name, ClusterName: m.ClusterName, Context: m.Context, Namespace: o.within,
		Wants: []string{o.secret}, Token: &plan.TokenRequest{}}
	if _, err := live.Supply(ctx, supply, nil); err != nil {
		return fmt.Errorf("%w, or name another Secret with --secret", err)
	}
	return o.tell(t, fmt.Sprintf("secret %s/%s in %s", o.within, o.secret, m.Context), now)
}

// ready supplies a secret that is there already.
type ready struct{ secret map[string]any }

func (r ready) Secrets(context.Context, plan.Supply) ([]map[string]any, []string, error) {
	return []map[string]any{r.secret}, nil, nil
}
func (ready) From() string { return "the token that was issued" }
func (ready) Makes() bool  { return false }

// hand writes the token, or the manifest of its Secret, into the file or to stdout.
func (o *issueOptions) hand(t issued, now time.Time) error {
	text := t.token.Reveal()
	if o.secret != "" {
		o := tokenissuer.Secret(o.secret, o.within, state.TokenKey, t.token)
		if meta := o["metadata"].(map[string]any); meta["namespace"] == "" {
			delete(meta, "namespace")
		}
		var err error
		if text, err = yaml.Marshal(o); err != nil {
			return errors.New("writing the manifest of the Secret failed")
		}
	}
	if o.out == "-" {
		d, err := token.Describe(t.token.Reveal(), now)
		if err != nil {
			return fmt.Errorf("reading the token that was made: %w", err)
		}
		t.report(d.Digest, "stdout").Table(o.ErrOut, false)
		_, err = o.Out.Write(text)
		return err
	}
	if err := writeNew("out", "the token", o.out, text); err != nil {
		return err
	}
	return o.tell(t, o.out, now)
}

// tell reports on stdout what was issued, and where it is.
func (o *issueOptions) tell(t issued, where string, now time.Time) error {
	d, err := token.Describe(t.token.Reveal(), now)
	if err != nil {
		return fmt.Errorf("reading the token that was made: %w", err)
	}
	return o.print(t.report(d.Digest, strings.TrimSpace(where)))
}
