package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	meshinspect "github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/inspect"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/report"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
)

// reportFormats are the formats of report; the first is the default.
var reportFormats = []string{"html", "markdown", "junit"}

// reportOptions are the flags of report.
type reportOptions struct {
	*fleetOptions
	format, out, bundle string
	readOnly, noHub     bool
	given               map[string]string // the flags of the command line
}

func newReportCommand(fo *fleetOptions) *cobra.Command {
	o := &reportOptions{fleetOptions: fo}
	cmd := &cobra.Command{
		Use: "report", GroupID: "observe", Args: noArguments,
		Short: "Write one document about the fleet, for a change ticket or a pipeline",
		Long: `Write one document about the fleet: its members and how each is verified, the waves that were carried out,
the plan of what is left with its diffs, and the findings of check. Nothing in a cluster is changed, and no secret is in
the document.

The page of -o html is one file that needs no network and no script; print it to keep it as PDF.

Exit code 4 says that a context could not be looked at, 1 that there is no hub, as status.`,
		Example: `  # A page for the change ticket
  kubectl xcpauth report --out fleet.html

  # The same as Markdown, into a ticket
  kubectl xcpauth report -o markdown

  # For a pipeline: a test for each member and for each rule of check
  kubectl xcpauth report -o junit --out xcpauth.xml

  # What an edge's own team can say, without access to the hub
  kubectl xcpauth report --no-hub --contexts edge-1 --out edge-1.html

  # For support: status, plan, check and history as JSON, secrets masked
  kubectl xcpauth report --bundle xcpauth.tar.gz`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.given = map[string]string{}
			cmd.Flags().Visit(func(f *pflag.Flag) { o.given[f.Name] = f.Value.String() })
			return o.run(cmd.Context())
		},
	}
	cmd.Flags().StringVarP(&o.format, "output", "o", reportFormats[0],
		"output format: "+strings.Join(reportFormats, ", "))
	cmd.Flags().StringVar(&o.out, "out", "",
		"write the report to this file, - for stdout; default stdout, which must be no terminal for html")
	cmd.Flags().StringVar(&o.bundle, "bundle", "",
		"write an archive for support to this file: status, plan, check and history as JSON; without --out nothing else")
	cmd.Flags().BoolVar(&o.readOnly, "read-only", false,
		"ask the API servers only for the rights to look, not for those to migrate")
	cmd.Flags().BoolVar(&o.noHub, "no-hub", false, "look at edges alone, without access to the hub")
	o.addStandby(cmd.Flags())
	o.addZoneTokens(cmd.Flags())
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(reportFormats,
		cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a flag of our own that does not exist
	}
	return cmd
}

// check refuses flags before any work is done.
func (o *reportOptions) check() error {
	if !slices.Contains(reportFormats, o.format) {
		return fmt.Errorf("output format %q is not known; pass -o with one of: %s", o.format,
			strings.Join(reportFormats, ", "))
	}
	if o.bundle == "-" {
		return noStdout("bundle", "the archive")
	}
	if o.format == reportFormats[0] && o.out == "" && o.bundle == "" && isTerminal(o.Out) {
		return errors.New("a page is not for a terminal; name its file with --out fleet.html, or pass -o markdown")
	}
	return nil
}

// run looks at everything once, changes nothing, and writes the report.
func (o *reportOptions) run(ctx context.Context) error {
	if err := o.check(); err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	live.Provider = o.having(detect(live.Where.Product, tsb.CheckProvider(), kongmesh.CheckProvider()))
	live.Observer.Reads, live.Observer.Trim = live.Provider.Reads, nil // check reads more of each body
	live.Observer.Needs = func(soFar map[plan.Read]plan.Result) []plan.Permission {
		return live.Provider.Permissions(soFar, !o.readOnly)
	}
	live.Where.NoHub = o.noHub
	f := o.observe(ctx, live)
	if err := errors.Join(ctx.Err(), o.refusal()); err != nil {
		return err
	}
	if o.standby != "" && !o.fromFile["standby"] {
		o.repeats = "--standby " + quote(o.standby)
	}
	goal := newGoalFlags(o.fleetOptions)
	if o.noHub {
		goal.noHub, goal.to = true, string(plan.Edges)
		o.repeats = "--to=" + goal.to + " --no-hub"
	}
	m := report.New(report.Input{State: f, Plan: plan.Build(live.Provider, f, goal.goal()), Rules: lookedAt(f),
		Findings: check.Run(rulesFor(f), f, check.Options{Flags: o.kubectlFlags()}),
		By:       live.By(ctx, cmp.Or(f.Hub.Context, live.Fleet.Contexts()[0])), Tool: buildOf().Version, Again: o.again,
		Limits: *o.limits(newRunFlags().poll)})
	if o.bundle != "" {
		if err := o.writeBundle(m); err != nil {
			return fmt.Errorf("writing the archive: %w", err)
		}
	}
	if o.bundle == "" || o.out != "" {
		if err := o.writeReport(m); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return reportExit(f, m.Status, o.noHub)
}

// lookedAt are the rules that look at a fleet, without those about an upgrade that nobody asks about.
func lookedAt(f plan.State) []finding.Rule {
	all := check.Documented(rulesFor(f))
	if f.Product == kongmesh.Name {
		all = append(all, meshinspect.Rules()...)
	}
	return slices.DeleteFunc(all, func(r finding.Rule) bool { return strings.HasPrefix(r.ID, "XA2") })
}

// writeReport writes the report to its file, which it replaces whole, or to stdout.
func (o *reportOptions) writeReport(m report.Model) error {
	var b bytes.Buffer
	if err := map[string]func(io.Writer) error{"html": m.HTML, "markdown": m.Markdown,
		"junit": m.JUnit}[o.format](&b); err != nil {
		return err
	}
	if o.out == "" || o.out == "-" {
		_, err := o.Out.Write(b.Bytes())
		return err
	}
	return o.replace(o.out, b.Bytes())
}

// writeBundle writes the archive, having said what will be in it.
func (o *reportOptions) writeBundle(m report.Model) error {
	b := buildOf()
	files, err := m.Bundle(report.About{Version: b.Version, Commit: b.Commit, Date: b.Date, GoVersion: b.GoVersion,
		Platform: b.Platform, Flags: o.given})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.ErrOut, "%s will hold, with secrets masked:\n", o.bundle)
	for _, f := range files {
		fmt.Fprintf(o.ErrOut, "  %-13s %7d bytes: %s\n", f.Name, len(f.Text), f.What)
	}
	var archive bytes.Buffer
	if err := report.Archive(&archive, m.At, files); err != nil {
		return err
	}
	return o.replace(o.bundle, archive.Bytes())
}

// replace writes a file that its owner alone may read, and says so.
func (o *reportOptions) replace(path string, text []byte) error {
	if err := replaceFile(path, text); err != nil {
		return err
	}
	fmt.Fprintln(o.ErrOut, "wrote", path)
	return nil
}

// reportExit is the code that a report ends with, as that of status.
func reportExit(f plan.State, s render.Status, noHub bool) error {
	switch {
	case !f.Hub.Found && !noHub:
		return &codeError{code: exitError, text: f.Hub.Err}
	case s.Unreachable():
		return &codeError{code: exitPartial}
	}
	return nil
}
