package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/enrol"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// publishOptions are the flags of edge publish.
type publishOptions struct {
	*fleetOptions
	within, poll, fence time.Duration
	noHub               bool
	out, file           string
}

func newEdgePublishCommand(fo *fleetOptions) *cobra.Command {
	o := &publishOptions{fleetOptions: fo, within: 15 * time.Minute, poll: 2 * time.Second, fence: fenceFor}
	cmd := &cobra.Command{
		Use:   "publish [EDGE...]",
		Short: "Verify that edges present a JWT and nothing else, and state it in the roster",
		Long: `Verify that edges present a JWT and nothing else, and state it in the hub's roster. A team without access to the hub verifies its own
edges and hands the statements over as a file; the hub's team publishes these, each held against what the roster lists and the hub
knows. A statement is believed for 15 minutes after it was seen, and for 7 days of an edge that is fenced in.`,
		Example: `  # Renew the statements of every edge that the kubeconfig reaches
  kubectl xcpauth edge publish

  # One edge
  kubectl xcpauth edge publish edge-1

  # An edge's own team: verify it, and hand the file over to the hub's team
  kubectl xcpauth edge publish --no-hub --contexts edge-1 --out edge-1.yaml

  # The hub's team: take it over
  kubectl xcpauth edge publish -f edge-1.yaml`,
		RunE: func(cmd *cobra.Command, names []string) error {
			if err := o.check(names); err != nil {
				return err
			}
			if o.file != "" {
				return o.accept(cmd.Context())
			}
			return o.verify(cmd.Context(), names)
		},
	}
	cmd.Flags().DurationVar(&o.within, "prove-within", o.within, "how long verifying may take")
	cmd.Flags().DurationVar(&o.poll, "poll", o.poll, "how often to look while verifying")
	cmd.Flags().DurationVar(&o.fence, "fence-for", o.fence,
		"how long the fence of an edge must be seen to deny, without a break, to count")
	cmd.Flags().BoolVar(&o.noHub, "no-hub", false,
		"without access to the hub: write what was verified to --out, or with -o yaml to stdout")
	cmd.Flags().StringVar(&o.out, "out", "", "of --no-hub: the file to give to the hub's team")
	cmd.Flags().StringVarP(&o.file, "filename", "f", "",
		"publish what the teams of edges verified and provided in this file; - is stdin")
	o.addDryRun(cmd.Flags())
	return cmd
}

func (o *publishOptions) check(names []string) error {
	for flag, d := range map[string]time.Duration{"prove-within": o.within, "poll": o.poll} {
		if err := positive(flag, d); err != nil {
			return err
		}
	}
	switch {
	case o.file != "" && (o.noHub || o.out != "" || len(names) > 0):
		return errors.New("-f publishes in the hub what others verified; it goes with no names of edges, --no-hub or --out")
	case o.out != "" && !o.noHub:
		return errors.New("--out is for a team without the hub; pass --no-hub with it, or leave it out to publish in the hub")
	case o.noHub && o.out == "" && o.format.Name != "yaml":
		return errors.New("--no-hub publishes nothing itself; name with --out the file to write, or pass -o yaml to have it on stdout")
	}
	return nil
}

// verify verifies edges and states what it found: in the roster, or without a hub in a file.
func (o *publishOptions) verify(ctx context.Context, names []string) error {
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	goal := plan.Goal{To: state.JWT, Pace: plan.Pace{Within: o.within, FenceFor: max(o.fence, 0)}}
	if o.noHub {
		live.Where.NoHub, goal.NoHub, goal.Stage = true, true, plan.Edges
		if o.isDryRun() {
			o.out = "" // what would be in the file goes to stdout
		}
		o.repeats = "--no-hub --out " + quote(o.out)
		if o.out == "" {
			o.repeats = "--no-hub -o yaml"
		}
	}
	e, end := o.executor(live, goal, o.poll)
	var told *enrol.DryPublisher
	if o.isDryRun() && !o.noHub {
		told = &enrol.DryPublisher{Live: live}
		e.Clusters = told
	}
	r, err := e.VerifyMembers(ctx, names)
	end()
	if refused := o.refusal(); refused != nil {
		return refused
	}
	if err == nil && !r.Facts.Hub.Found && !o.noHub {
		return &codeError{code: exitError, text: r.Facts.Hub.Err}
	}
	if err != nil {
		return err
	}
	if told != nil {
		t, err := told.Trial(r)
		return o.try(ctx, t, err, strings.TrimSpace("edge publish "+words(names)))
	}
	return o.state(r, e.Statements)
}

// state says what was stated: in the roster, or without a hub in a file.
func (o *publishOptions) state(r engine.Result, stated []api.EdgeCluster) error {
	report := render.NewResult(r, o.again("edge publish"))
	if !o.noHub {
		return o.finish(report)
	}
	if len(r.Facts.Members) == 0 {
		return &codeError{code: exitError,
			text: "no ControlPlane was found in the selected contexts; select those of your edges with --contexts"}
	}
	if err := o.handOver(stated, &report); err != nil {
		return err
	}
	if o.out == "" { // stdout is what is provided
		report.Table(o.ErrOut, false)
		return o.ended(report)
	}
	return o.finish(report)
}

// handOver writes the statements.
func (o *publishOptions) handOver(stated []api.EdgeCluster, report *render.Result) error {
	if len(stated) == 0 {
		return nil
	}
	sorting.Stable(stated, func(a, b *api.EdgeCluster) int { return strings.Compare(a.Name, b.Name) })
	text, err := roster.Encode(stated)
	if err != nil {
		return err
	}
	if o.out == "" {
		_, err = o.Out.Write(text)
	} else {
		err = os.WriteFile(o.out, text, 0o644) // for others to read; there is no secret in it
	}
	if err != nil {
		return fmt.Errorf("writing what was verified: %w", err)
	}
	file := o.out
	if file == "" {
		file = "FILE"
	}
	if report.Done {
		report.Next = fmt.Sprintf("give it to the hub's team within %s; they publish it with: kubectl xcpauth edge publish -f %s", believed(stated), quote(file))
	}
	return nil
}

// believed is for how long the first of the statements to expire is believed.
func believed(stated []api.EdgeCluster) string {
	for _, e := range stated {
		if e.Status.Fence == nil {
			return fmt.Sprintf("%.0f minutes", roster.Believed.Minutes())
		}
	}
	return fmt.Sprintf("%.0f days", roster.BelievedFenced.Hours()/24)
}

// accept publishes what others verified.
func (o *publishOptions) accept(ctx context.Context) error {
	var text []byte
	var err error
	if o.file == "-" {
		text, err = io.ReadAll(o.In)
	} else {
		text, err = os.ReadFile(o.file)
	}
	if err != nil {
		return fmt.Errorf("reading what was provided: %w", err)
	}
	entries, err := roster.Decode(text)
	if err != nil {
		return fmt.Errorf("reading what was provided in %s: %w", o.file, err)
	}
	live, err := o.clusters(false)
	if err != nil {
		return err
	}
	if o.isDryRun() {
		t, err := enrol.Enroller{Live: live}.TryAccept(ctx, entries, state.JWT, userAt(""))
		return o.try(ctx, t, err, "edge publish -f "+quote(o.file))
	}
	r, err := enrol.Enroller{Live: live}.Accept(ctx, entries, state.JWT, userAt(""))
	if err != nil {
		return err
	}
	report := render.NewResult(r, o.again("edge publish")+" -f "+quote(o.file))
	if r.Done {
		report.Next = fmt.Sprintf("published; once every edge is: %s --to=%s", o.again("migrate"), plan.JWTOnly)
	}
	return o.finish(report)
}

// finish prints a result and ends with its code.
func (o *publishOptions) finish(report render.Result) error {
	if err := o.print(report); err != nil {
		return err
	}
	return o.ended(report)
}

func (o *publishOptions) ended(report render.Result) error {
	if report.ExitCode != 0 {
		return &codeError{code: report.ExitCode}
	}
	return nil
}
