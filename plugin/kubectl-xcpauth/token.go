package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/token"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

func newTokenCommand(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "token", GroupID: "observe", Args: noArguments,
		Short: "Inspect, verify, rotate, issue and revoke tokens",
		Long: `Look at a token, from a file, stdin or the edge's cluster, and verify it; have those of edges made again. Zone tokens of Kong Mesh and Kuma are recognised; they
can be issued too, and revoked, without a cluster. A token is never printed on a terminal, and never taken from the command line,
where others could read it.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenInspectCommand(o), newTokenVerifyCommand(o), takesNames(newTokenRotateCommand(o)),
		newTokenIssueCommand(o), newTokenListCommand(o), newTokenRevokeCommand(o), newTokenRevocationsCommand(o))
	return cmd
}

// tokenOptions are the flags of token inspect and verify.
type tokenOptions struct {
	*fleetOptions
	edge     string
	keyFile  string
	audience []string
	verify   bool
	zone     zoneOptions
	live     *apply.Live // made when a cluster is needed
	facts    plan.State
}

func newTokenInspectCommand(fo *fleetOptions) *cobra.Command {
	o := &tokenOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "inspect [EDGE|FILE|-]", Args: cobra.MaximumNArgs(1),
		Short: "Print what a token says of itself, unverified, and what is odd about it",
		Long: `Print what a token says of itself, and what is odd about it. Nothing is verified. What is no JWT
is rejected, with exit code 5.`,
		Example: `  # The token that lies in an edge's cluster
  kubectl xcpauth token inspect edge-1

  # A file (only you may be able to read it), or stdin
  kubectl xcpauth token inspect edge-1.jwt

  # A zone token of Kong Mesh or Kuma
  kubectl xcpauth token inspect west.jwt`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&o.edge, "edge", "", "read the token of this edge from its cluster")
	return cmd
}

func newTokenVerifyCommand(fo *fleetOptions) *cobra.Command {
	o := &tokenOptions{fleetOptions: fo, verify: true}
	cmd := &cobra.Command{
		Use: "verify [EDGE|FILE|-]", Args: cobra.MaximumNArgs(1),
		Short: "Verify a token's signature and times with the hub's keys, or with a key from a file",
		Long: `Verify a token's signature and times, strictly: whatever verifiers are known to take differently is rejected. Exit code 0 says that
it is valid, 5 that it is rejected. What is printed with a valid one says which assumptions that rests on.

Without --key-file the keys are read from the hub, from the secrets with which it signs; nothing of a private key is kept or
printed. Reading these secrets is a right that xcpauth-read leaves out on purpose.

A zone token of Kong Mesh or Kuma is verified with --key-file. What the product itself would answer is printed beside our verdict,
in its own words: it takes some tokens that should not be taken. The exit code is that of our verdict.`,
		Example: `  # With the hub's keys
  kubectl xcpauth token verify edge-1

  # Without any cluster
  kubectl xcpauth token verify edge-1.jwt --key-file iam.pub

  # A zone's, as a global control plane of this version would judge it
  kubectl xcpauth token verify west.jwt --key-file key-2.pem --kid 2 --zone west --revocations revoked.txt --version 2.13.5`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVar(&o.edge, "edge", "", "read the token of this edge from its cluster")
	cmd.Flags().StringVar(&o.keyFile, "key-file", "", "verify with the public key in this file: PEM, JWK or JWK set")
	cmd.Flags().StringSliceVar(&o.audience, "audience", nil,
		"with --key-file: the audiences of which the token must name one")
	o.zone.addFlags(cmd)
	return cmd
}

// run reads the token, then the keys when it is to be verified, and prints what is known; in these steps:
//
//  1. the token, from a file, stdin or its cluster;
//  2. what it says of itself; what is no JWT is rejected, and a zone token is looked at as one from here on;
//  3. the keys, from a file or the hub;
//  4. the verdict.
func (o *tokenOptions) run(ctx context.Context, args []string) error {
	if len(o.audience) > 0 && o.keyFile == "" {
		return errors.New("--audience goes with --key-file: of the hub's keys the ManagementPlane says the audiences")
	}
	zoneGiven := o.zone.given()
	if o.zone.ofFleet() { // the flag of verify has the place of the one that all verbs have
		o.product, o.zone.product = o.zone.product, string(zonetoken.KongMesh)
	}
	raw, source, err := o.token(ctx, args)
	if err != nil {
		return err
	}
	now := time.Now()
	d, err := token.Describe(raw, now)
	report := render.NewToken(source, d, now)
	if err != nil { // of no family, so no flag and no key makes it valid
		return o.rejected(report, raw, err)
	}
	if zone, err := zonetoken.ReadZone(raw); err == nil && o.edge == "" && (zone.Kind != zonetoken.Other || zoneGiven) {
		return o.ofZone(raw, zone, report, now)
	} else if zoneGiven {
		return errors.New("--kid, --zone, --revocations, --product and --version are for zone tokens of Kong Mesh and Kuma, and this is no token of a zone")
	}
	if !o.verify {
		return o.print(report)
	}
	keys, rests, err := o.keys(ctx)
	if err != nil {
		return err
	}
	verdict := token.Verify(raw, keys, now)
	report.Size = len(raw)
	report.Warnings = o.warned(keys)
	if err := o.print(report.Judged(verdict, rests)); err != nil {
		return err
	}
	if !verdict.Valid {
		return &codeError{code: exitRefused}
	}
	return nil
}

// warned prints what is to be said of the keys that a token is verified with, once each, and returns it.
func (o *tokenOptions) warned(keys []token.Key) []string {
	var all []string
	for _, k := range keys {
		for _, w := range k.Warnings {
			if !slices.Contains(all, w) {
				all = append(all, w)
				fmt.Fprintln(o.ErrOut, "warning: "+w)
			}
		}
	}
	return all
}

// rejected reports on a text that is no JWT.
func (o *tokenOptions) rejected(report render.Token, raw []byte, why error) error {
	report.Size = len(raw)
	if err := o.print(report.Judged(token.Verdict{Why: why.Error()}, nil)); err != nil {
		return err
	}
	return &codeError{code: exitRefused}
}

// maxToken is more than a token can be; what is longer is refused by who reads it.
const maxToken = 1 << 20

// token reads the token and says where it was.
func (o *tokenOptions) token(ctx context.Context, args []string) ([]byte, string, error) {
	args, err := o.source(args)
	if err != nil {
		return nil, "", err
	}
	switch {
	case (o.edge == "") == (len(args) == 0):
		return nil, "", errors.New("name one token: an EDGE, a FILE, or - for stdin")
	case o.edge != "":
		return o.ofEdge(ctx)
	case looksLikeToken(args[0]):
		return nil, "", errors.New("that is a token itself, and others can read the command line; renew it, and " +
			"pass an EDGE, a FILE, or - for stdin")
	case args[0] == "-":
		raw, err := io.ReadAll(io.LimitReader(o.In, maxToken))
		if err != nil {
			return nil, "", fmt.Errorf("reading the token from stdin: %w", err)
		}
		return raw, "stdin", nil
	}
	raw, open, err := readFile(args[0])
	if err == nil && open {
		err = fmt.Errorf("others can read %s, and with it be the edge; run: chmod 600 %s", args[0], quote(args[0]))
	}
	return raw, "file " + args[0], err
}

// source takes the edge that the argument names, if it names one, and returns what is left: a file, or - for stdin.
func (o *tokenOptions) source(args []string) ([]string, error) {
	named := o.edge != ""
	o.edge, _ = memberName(o.edge)
	if len(args) == 0 {
		return nil, nil
	}
	name, is := namesMember(args[0])
	switch {
	case is && named:
		return nil, bothNamed("edge")
	case is:
		o.edge = name
		return nil, nil
	}
	return args, nil
}

// looksLikeToken says whether an argument is a token, not the name of a file.
func looksLikeToken(arg string) bool {
	return strings.HasPrefix(arg, "eyJ") && strings.Count(arg, ".") >= 2
}

// readFile reads a small file, and says whether others than its owner can read it.
func readFile(name string) (text []byte, open bool, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, false, err
	}
	// which keeps rights elsewhere
	open = st.Mode().IsRegular() && st.Mode().Perm()&0o077 != 0 && runtime.GOOS != "windows"
	if text, err = io.ReadAll(io.LimitReader(f, maxToken)); err != nil {
		return nil, false, fmt.Errorf("reading %s: %w", name, err)
	}
	return text, open, nil
}

// fleet looks at the clusters, once.
func (o *tokenOptions) fleet(ctx context.Context) error {
	if o.live != nil {
		return nil
	}
	live, err := o.clusters(false)
	if err != nil {
		return err
	}
	o.live, o.facts = live, o.observe(ctx, live)
	return ctx.Err()
}

// ofEdge reads an edge's token from its cluster.
func (o *tokenOptions) ofEdge(ctx context.Context) ([]byte, string, error) {
	if err := o.fleet(ctx); err != nil {
		return nil, "", err
	}
	m := o.facts.Member(o.edge)
	switch {
	case m == nil && !o.facts.Hub.Found:
		return nil, "", errors.New(o.facts.Hub.Err)
	case m == nil || m.Role != plan.RoleEdge:
		return nil, "", errors.New(o.facts.UnknownMember(o.edge))
	case m.Err != "":
		return nil, "", fmt.Errorf("%s: %s", o.edge, m.Err)
	}
	read, of := state.TokenOf(*m)
	source := fmt.Sprintf("secret %s/%s in %s", read.Namespace, read.Name, m.Context)
	r := o.get(ctx, m.Context, read)
	switch {
	case r.Missing:
		return nil, "", fmt.Errorf("%s is not there", source)
	case r.Err != "":
		return nil, "", fmt.Errorf("reading %s: %s", source, r.Err)
	}
	return of(r), source, nil
}

// keys are the keys to verify with, and what they rest on.
func (o *tokenOptions) keys(ctx context.Context) ([]token.Key, []string, error) {
	if o.keyFile != "" {
		text, open, err := readFile(o.keyFile)
		if err != nil {
			return nil, nil, err
		}
		keys, err := token.ParseKeys(text, "file "+o.keyFile)
		if err != nil {
			return nil, nil, err
		}
		for i := range keys {
			keys[i].Audiences = o.audience
			if keys[i].Private && open {
				return nil, nil, othersCanSign(o.keyFile)
			}
		}
		return keys, []string{"that the hub verifies with the key in file " + o.keyFile + " is what you say"}, nil
	}
	if err := o.fleet(ctx); err != nil {
		return nil, nil, err
	}
	if !o.facts.Hub.Found {
		return nil, nil, errors.New(o.facts.Hub.Err)
	}
	read := map[plan.Read]plan.Result{}
	for next := state.KeyReads(o.facts.Hub.Object, read); len(next) > 0; next = state.KeyReads(o.facts.Hub.Object, read) {
		for _, r := range next {
			read[r] = o.get(ctx, o.facts.Hub.Context, r)
		}
	}
	return state.Keys(o.facts.Hub.Object, read)
}

// get reads one object.
func (o *tokenOptions) get(ctx context.Context, name string, r plan.Read) plan.Result {
	ctx, cancel := context.WithTimeout(ctx, o.requestTimeout)
	defer cancel()
	c, err := o.live.Fleet.Cluster(name)
	if err != nil {
		return plan.Result{Err: err.Error()}
	}
	return observe.Result(kubeconfig.Body(c.REST.Get().AbsPath(observe.Path(r)).SetHeader("Accept",
		"application/json").Do(ctx)))
}
