package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// planOptions are the flags of plan.
type planOptions struct {
	*fleetOptions
	goalFlags
	supplyFlags
	detailed, rollback bool
	out, edge, patches string
	besideSaved        string // the flags that are given again with the saved plan
}

func newPlanCommand(fo *fleetOptions) *cobra.Command {
	o := &planOptions{fleetOptions: fo, goalFlags: newGoalFlags(fo)}
	cmd := &cobra.Command{
		Use: "plan [EDGE]", GroupID: "migrate", Args: cobra.MaximumNArgs(1),
		Annotations: map[string]string{runsKey: "true"},
		Short:       "Show each remaining step: its change, what verifies it, and how it is undone",
		Example: `  # Show what migrate would do
  kubectl xcpauth plan

  # With what each write does to its object, secrets masked
  kubectl xcpauth plan --diff

  # For a pipeline: exit 2 when something is left to do
  kubectl xcpauth plan --detailed-exitcode -o json

  # Keep it for review, and do exactly that later
  kubectl xcpauth plan --out plan.json
  kubectl xcpauth plan show plan.json
  kubectl xcpauth migrate --plan plan.json

  # What Git must say, where Argo CD or Flux keeps the planes
  kubectl xcpauth plan --patches patches

  # The way back, and exactly that
  kubectl xcpauth plan --rollback --out back.json
  kubectl xcpauth rollback --plan back.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := oneMember(cmd.Flags(), "edge", &o.edge, args); err != nil {
				return err
			}
			o.repeats = strings.TrimSpace(words(args) + " " + given(cmd.Flags(), goalNames...))
			o.besideSaved = given(cmd.Flags(), givenAgain...)
			if err := o.checkWay(cmd.Flags(), args); err != nil {
				return err
			}
			return o.run(cmd.Context())
		},
	}
	o.goalFlags.addFlags(cmd.Flags())
	grouped(cmd.Flags(), "supply", o.supplyFlags.addFlags)
	completeStages(cmd)
	grouped(cmd.Flags(), "goal", o.addStandby)
	grouped(cmd.Flags(), "zone", o.addZoneTokens)
	o.addDiff(cmd.Flags())
	cmd.Flags().BoolVar(&o.rollback, "rollback", false, "plan the way back, as rollback goes it")
	cmd.Flags().StringVar(&o.edge, "edge", "", "with --rollback: the one edge to take back")
	cmd.Flags().BoolVar(&o.hubAgrees, "hub-agrees", false,
		"with --rollback --no-hub: the hub's team relies no more on what was provided of these edges")
	cmd.Flags().StringVar(&o.out, "out", "", "write the plan to this file too, for migrate --plan or rollback --plan")
	cmd.Flags().StringVar(&o.patches, "patches", "",
		"write what Git must say in each wave into this directory, where Argo CD or Flux keeps the planes: "+
			"kustomize patches, and values of Helm releases")
	cmd.Flags().BoolVar(&o.detailed, "detailed-exitcode", false, "exit 2 when changes are pending")
	cmd.AddCommand(newPlanShowCommand(fo))
	return cmd
}

func (o *planOptions) run(ctx context.Context) error {
	goal, err := o.aim()
	if err != nil {
		return err
	}
	given, err := o.supplyFlags.read(&goal, false, false)
	if err != nil {
		return err
	}
	live, err := o.clusters(true)
	if err != nil {
		return err
	}
	given.into(live)
	if !o.rollback {
		if err := o.signFlags.into(live, goal); err != nil {
			return err
		}
	}
	live.Where.NoHub = o.noHub
	f := o.observe(ctx, live)
	if err := errors.Join(ctx.Err(), o.refusal()); err != nil {
		return err
	}
	o.remember(f)
	p := plan.Build(live.Provider, f, goal)
	if err := o.writePatches(live.Provider, f, goal); err != nil {
		return err
	}
	again := o.goingOn(p.Goal)
	if o.out != "" && (f.Hub.Found || o.noHub) {
		if err := writeSaved(o.out, plan.Save(f, p, live.By(ctx, f.Hub.Context))); err != nil {
			return err
		}
		again = o.savedOn(p.Goal)
	}
	if err := o.print(render.NewPlan(f, p, o.details(newRunFlags().poll), again)); err != nil {
		return err
	}
	return planExit(f, p, o.detailed)
}

// aim is the goal to plan for.
func (o *planOptions) aim() (plan.Goal, error) {
	if o.rollback {
		goal := o.goal().WayBack(o.edge)
		if err := o.checkQuiet(); err != nil {
			return goal, err
		}
		return goal, goal.Check()
	}
	return o.goal(), o.goalFlags.check()
}

// planExit is the code that a plan ends with: 1 without a hub, 5 when nothing can be begun, 4 when a part cannot, 2
// when changes are pending and that was asked for.
func planExit(f plan.State, p plan.Plan, detailed bool) error {
	switch {
	case !f.Hub.Found && !p.Goal.NoHub:
		return &codeError{code: exitError, text: f.Hub.Err}
	case len(p.Obstacles) > 0 && len(p.Waves) == 0:
		return &codeError{code: exitRefused}
	case len(p.Obstacles) > 0:
		return &codeError{code: exitPartial}
	case detailed && len(p.Waves) > 0:
		return &codeError{code: exitPending}
	}
	return nil
}

// writeSaved keeps a plan in a file, which it replaces whole. It holds no secret, and is its owner's all the same.
func writeSaved(path string, s plan.Saved) error {
	if path == "-" {
		return noStdout("out", "the saved plan")
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the plan: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".xcpauth-plan-*") // made for its owner alone
	if err != nil {
		return fmt.Errorf("keeping the plan: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keeping the plan: %w", err)
	}
	return nil
}
