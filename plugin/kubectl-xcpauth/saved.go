package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

func newPlanShowCommand(o *fleetOptions) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show FILE", Args: cobra.ExactArgs(1),
		Short: "Print a saved plan again, in any format, without touching a cluster",
		Long: `Print a plan that plan --out saved, in any format, without touching a cluster. It is what
migrate --plan or rollback --plan writes, and nothing else. Whether it still fits the clusters is checked when it
runs.`,
		Example: `  # What was saved
  kubectl xcpauth plan show plan.json

  # With what each write does to its object, secrets masked
  kubectl xcpauth plan show plan.json --diff`,
		RunE: func(_ *cobra.Command, args []string) error {
			saved, err := readSaved(args[0])
			if err != nil {
				return err
			}
			f, p := saved.Shown()
			shown := render.NewPlan(f, p, render.Details{Diff: o.diff, Untimed: true}, o.again)
			shown.Next = "run it with: " + carryingOut(saved.Goal, args[0])
			return o.print(shown)
		},
	}
	o.addDiff(cmd.Flags())
	return cmd
}

// notBack are the flags of plan that say where a migration ends, and what it brings.
var notBack = []string{"to", "valid-for", "tokens-from", "cleanup", "hasty-canary", "rotation-within",
	"accept-unrotated", "no-fence", "fence-for", "central-name", "central-cert", "central-key", "central-ca", "secrets",
	"tctl", "tctl-profile"}

// checkWay refuses flags of the other way.
func (o *planOptions) checkWay(flags *pflag.FlagSet, names []string) error {
	if len(names) > 0 && !o.rollback {
		return fmt.Errorf("plan takes the name of an edge only with --rollback, and was given %q; "+
			"a migration plans every edge that is selected, so select with --contexts", names[0])
	}
	other, why := []string{"edge", "hub-agrees"}, "goes with --rollback"
	if o.rollback {
		other, why = notBack, "is of a migration, and --rollback plans the way back; leave one of them out"
	}
	for _, name := range other {
		if flags.Changed(name) {
			return fmt.Errorf("--%s %s", name, why)
		}
	}
	return nil
}

// goingOn is how a plan says what carries it out.
func (o *fleetOptions) goingOn(goal plan.Goal) func(verb string) string {
	if verbOf(goal) == "migrate" {
		return o.again
	}
	return func(string) string { return o.again(verbOf(goal)) }
}

// savedOn is goingOn for a plan that was saved: what is run is the file, with the flags that it does not keep.
func (o *planOptions) savedOn(goal plan.Goal) func(verb string) string {
	return func(string) string {
		repeats := o.repeats
		defer func() { o.repeats = repeats }()
		o.repeats = strings.TrimSpace("--plan " + quote(o.out) + " " + o.besideSaved)
		return o.again(verbOf(goal))
	}
}

// verbOf is the verb that carries out a goal that plan saves.
func verbOf(goal plan.Goal) string {
	if goal.Task() == plan.Rollback {
		return "rollback"
	}
	return "migrate"
}

// givenAgain are the flags that go with a saved plan: what it does not keep.
var givenAgain = []string{"standby", "max-failures", "secrets", "tctl", "tctl-profile", "central-cert", "central-key",
	"central-ca", "zone-token"}

// savedFor reads the saved plan that a verb is to carry out. It refuses flags that say something else than the plan,
// and the plan of another verb.
func savedFor(verb, path string, flags *pflag.FlagSet, names ...string) (*plan.Saved, error) {
	if len(names) > 0 {
		return nil, fmt.Errorf("%s goes with making a plan, not with carrying out a saved one; make it again with: "+
			"kubectl xcpauth plan --rollback %s --out %s", names[0], quote(names[0]), quote(path))
	}
	again := "kubectl xcpauth plan --%s %s --out %s"
	if verb == "rollback" {
		again = "kubectl xcpauth plan --rollback --%s %s --out %s"
	}
	for _, name := range goalNames {
		if f := flags.Lookup(name); f != nil && f.Changed && !slices.Contains(givenAgain, name) {
			return nil, fmt.Errorf("--%s goes with making a plan, not with carrying out a saved one; make it again with: %s",
				name, fmt.Sprintf(again, name, quote(f.Value.String()), quote(path)))
		}
	}
	saved, err := readSaved(path)
	if err != nil {
		return nil, err
	}
	if is := verbOf(saved.Goal); is != verb {
		return nil, fmt.Errorf("%s is the plan of a %s, and this is %s; run it with: %s", path,
			map[string]string{"migrate": "migration", "rollback": "rollback"}[is], verb, carryingOut(saved.Goal, path))
	}
	return saved, nil
}

// carryingOut is the command that carries out a saved plan.
func carryingOut(goal plan.Goal, path string) string {
	if verbOf(goal) == "rollback" {
		return "kubectl xcpauth rollback --plan " + quote(path)
	}
	return "kubectl xcpauth migrate --plan " + quote(path)
}

// readSaved reads a plan that was kept. A key that it does not know may be what a newer version would not leave out.
func readSaved(path string) (*plan.Saved, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the saved plan: %w", err)
	}
	var is struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := json.Unmarshal(b, &is); err != nil {
		return nil, unreadable(path, err)
	}
	switch {
	case is.Kind != plan.SavedKind:
		return nil, fmt.Errorf("%s is no saved plan (kind %q of %q); make one with: kubectl xcpauth plan --out %s", path,
			is.Kind, is.APIVersion, quote(path))
	case is.APIVersion != render.APIVersion:
		return nil, fmt.Errorf("%s is a saved plan of another version (%q, and this plugin reads %q); make it again with: "+
			"kubectl xcpauth plan --out %s", path, is.APIVersion, render.APIVersion, quote(path))
	}
	var s plan.Saved
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, unreadable(path, err)
	}
	if d.More() {
		return nil, unreadable(path, errors.New("something follows the plan"))
	}
	return &s, s.Goal.Check()
}

// unreadable says that a file cannot be read as a saved plan.
func unreadable(path string, err error) error {
	return fmt.Errorf("reading the saved plan %s: %w; make it again with: kubectl xcpauth plan --out %s", path, err,
		quote(path))
}
