package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	meshinspect "github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/inspect"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	tsbinspect "github.com/xcpauth/kubectl-xcpauth/pkg/tsb/inspect"
)

// checkOptions are the flags of check.
type checkOptions struct {
	*fleetOptions
	warnWithin time.Duration
	severity   string
	ignore     []string
	upgrade    string
	readOnly   bool
}

func newCheckCommand(fo *fleetOptions) *cobra.Command {
	o := &checkOptions{fleetOptions: fo, severity: string(finding.Error)}
	cmd := &cobra.Command{
		Use: "check", GroupID: "observe", Args: noArguments,
		Short: "Find problems and show how to fix each one",
		Long: `Look for what is wrong or will be, at the hub and at every edge, and say for each finding what to do. Nothing is changed.

Each rule has an ID that never changes its meaning. All are explained at

  ` + finding.Page + `

XA001 to XA099 are about TSB, and some of them about any fleet. Kong Mesh and Kuma have rules of their own, with a name
that serves as well as the ID:

  XA100 to XA129  zones' tokens
  XA130 to XA154  signing keys
  XA155 to XA169  the list of revoked tokens
  XA170 to XA181  versions and settings
  XA182 to XA193  certificates and trust
  XA194 to XA199  the global
  XA200 to XA209  an upgrade that --for asks about

Exit code 5 says that there are findings at or above --severity, 4 that a context could not be looked at, 0 neither.`,
		Example: `  # Before a migration, and from time to time
  kubectl xcpauth check

  # For a pipeline: fail on warnings too, report what expires within 30 days, leave one known finding out
  kubectl xcpauth check --severity warning --warn-within 720h --ignore XA050=edge-1 -o json

  # What would break when Kong Mesh is upgraded to 3.0
  kubectl xcpauth check --for 3.0

  # Leave out a rule by its name
  kubectl xcpauth check --ignore token-long=west`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context()) },
	}
	cmd.Flags().DurationVar(&o.warnWithin, "warn-within", 0,
		"report credentials and certificates that expire within this time; default: a tenth of each one's lifetime")
	cmd.Flags().StringVar(&o.severity, "severity", o.severity,
		"exit with code 5 when there are findings at least this bad: error, warning, info")
	cmd.Flags().StringArrayVar(&o.ignore, "ignore", nil, "leave out the findings of a rule, by its ID (XA012) or name "+
		"(token-long), or of a rule about a member or context (XA012=edge-1); may be repeated")
	cmd.Flags().StringVar(&o.upgrade, "for", "",
		"of Kong Mesh and Kuma: find also what an upgrade to this release would break, such as 3.0")
	cmd.Flags().BoolVar(&o.readOnly, "read-only", false,
		"ask the API servers only for the rights to look, not for those to migrate")
	if err := cmd.RegisterFlagCompletionFunc("severity", func(*cobra.Command, []string, string) ([]string,
		cobra.ShellCompDirective) {
		return []string{"error", "warning", "info"}, cobra.ShellCompDirectiveNoFileComp
	}); err != nil {
		panic(err) // a flag of our own that does not exist
	}
	if err := cmd.RegisterFlagCompletionFunc("ignore", o.completeIgnore); err != nil {
		panic(err)
	}
	return cmd
}

// release is a release with all its numbers.
func release(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	for strings.Count(text, ".") < 2 {
		text += ".0"
	}
	if _, err := zonetoken.ParseVersion(zonetoken.KongMesh, text); err != nil {
		return "", fmt.Errorf("--for is %q; pass a release such as 3.0", text)
	}
	return text, nil
}

// checkRules are all rules that check reports by: those for every product, and those that products bring.
func checkRules() []finding.Rule {
	return check.All(meshinspect.Rules(), check.Documented(tsbinspect.Rules()))
}

// rulesFor are the rules that look at a fleet: those for every product, and its own; TSB's too where no hub was found
// that tells the product. What Kong Mesh finds by rules of its own comes with the state.
func rulesFor(f plan.State) []check.Rule {
	if f.Product == kongmesh.Name {
		return check.Rules()
	}
	return slices.Concat(check.Rules(), tsbinspect.Rules())
}

// ruleCompletions are the IDs and names of the rules, each with its title.
func ruleCompletions() []cobra.Completion {
	var all []cobra.Completion
	for _, r := range checkRules() {
		all = append(all, cobra.CompletionWithDesc(r.ID, r.Title))
		if r.Name != "" {
			all = append(all, cobra.CompletionWithDesc(r.Name, r.Title))
		}
	}
	return all
}

// ignores checks the flags.
func (o *checkOptions) ignores() ([]check.Ignore, error) {
	if !slices.Contains(finding.Severities, finding.Severity(o.severity)) {
		return nil, fmt.Errorf("--severity is %q; pass error, warning or info", o.severity)
	}
	if o.warnWithin < 0 {
		return nil, fmt.Errorf("--warn-within is %s; it must not be less than 0", o.warnWithin)
	}
	rules := checkRules()
	var all []check.Ignore
	for _, text := range o.ignore {
		i, err := check.ParseIgnore(rules, text)
		if err != nil {
			return nil, fmt.Errorf("--ignore: %w", err)
		}
		all = append(all, i)
	}
	return all, nil
}

func (o *checkOptions) run(ctx context.Context) error {
	ignores, err := o.ignores()
	if err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	if live.Where.For, err = release(o.upgrade); err != nil {
		return err
	}
	live.Provider = detect(live.Where.Product, tsb.CheckProvider(), kongmesh.CheckProvider())
	live.Observer.Reads, live.Observer.Trim = live.Provider.Reads, nil // it reads more of each body
	live.Observer.Needs = func(soFar map[plan.Read]plan.Result) []plan.Permission {
		return live.Provider.Permissions(soFar, !o.readOnly)
	}
	f := o.observe(ctx, live)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	o.remember(f)
	found := check.Run(rulesFor(f), f, check.Options{WarnWithin: o.warnWithin, Flags: o.kubectlFlags()})
	kept, ignored := check.Split(found, ignores)
	for _, i := range ignores {
		if note := i.Outdated(ignored); note != "" {
			fmt.Fprintln(o.ErrOut, "note:", note)
		}
	}
	report := render.NewCheck(f, kept, ignored, finding.Severity(o.severity), o.again)
	if err := o.print(report); err != nil {
		return err
	}
	switch {
	case !f.Hub.Found:
		return &codeError{code: exitError, text: f.Hub.Err}
	case report.Unreachable():
		return &codeError{code: exitPartial}
	case report.Fails():
		return &codeError{code: exitRefused}
	}
	return nil
}
