package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// goalFlags say where a migration is to end, and how careful it is on the way.
type goalFlags struct {
	signFlags
	to                     string
	noHub, cleanup, hasty  bool
	canary                 string
	waveSize               int
	soak, within, rotation time.Duration
	noFence, hubAgrees     bool
	fence, quiet           time.Duration
	unrotated, names       []string
}

func newGoalFlags(fo *fleetOptions) goalFlags {
	return goalFlags{signFlags: newSignFlags(fo), to: string(plan.JWTOnly), within: 15 * time.Minute,
		rotation: 3 * time.Hour, fence: fenceFor, quiet: plan.DefaultQuietFor}
}

// fenceFor is longer than an edit can take that an API server admitted before it enforced the fence: a write lives 34
// seconds there at most (requestTimeoutUpperBound of k8s.io/apiserver).
const fenceFor = 40 * time.Second

// addFlags adds every flag of the way to JWTs.
func (g *goalFlags) addFlags(flags *pflag.FlagSet) {
	grouped(flags, "goal", g.addGoal)
	g.addWaveFlags(flags)
}

func (g *goalFlags) addGoal(flags *pflag.FlagSet) {
	flags.StringVar(&g.to, "to", g.to,
		"how far to go: dual (the hub accepts both; of Kong Mesh: it has a signing key), edges (every edge or zone presents a token), jwt-only (nothing else is accepted)")
	g.signFlags.addFlags(flags)
	flags.BoolVar(&g.noHub, "no-hub", g.noHub, "move edges without access to the hub; goes with --to=edges")
	flags.BoolVar(&g.cleanup, "cleanup", g.cleanup,
		"delete the old certificates at the end; rollback is not possible after that")
	flags.BoolVar(&g.hasty, "hasty-canary", g.hasty, "do not wait for the canary's token rotation before others move")
	flags.DurationVar(&g.rotation, "rotation-within", g.rotation,
		"how long at most to wait until an edge has outlived its first token")
	flags.StringSliceVar(&g.unrotated, "accept-unrotated", g.unrotated,
		"edges of which it is known that nothing renews their token, and when it expires")
	flags.BoolVar(&g.noFence, "no-fence", g.noFence,
		"do not fence edges in: what is verified of one is then believed for 15 minutes, not for 7 days")
	flags.DurationVar(&g.fence, "fence-for", g.fence, "how long a fence must be seen to deny, without a break, to count")
	g.addQuiet(flags)
	flags.StringSliceVar(&g.names, "central-name", g.names,
		"further names that Central's certificate must have, beside those that the selected edges dial")
}

func (g *goalFlags) addQuiet(flags *pflag.FlagSet) {
	flags.DurationVar(&g.quiet, "central-quiet-for", g.quiet,
		"how long Central must stay unchanged before a run believes that no rollout of it comes")
}

// addWaveFlags adds the flags of both ways, to JWTs and back.
func (g *goalFlags) addWaveFlags(flags *pflag.FlagSet) { grouped(flags, "waves", g.addWaves) }

func (g *goalFlags) addWaves(flags *pflag.FlagSet) {
	flags.StringVar(&g.canary, "canary", g.canary, "the edge to move first; default: the first by name")
	flags.IntVar(&g.waveSize, "wave-size", g.waveSize, "how many edges to move side by side after the canary; 0 is all")
	flags.DurationVar(&g.soak, "soak", g.soak, "how long the edges of a wave must stay verified before the next wave")
	flags.DurationVar(&g.within, "prove-within", g.within, "how long a step may take to be verified before it is put back")
}

func (g *goalFlags) goal() plan.Goal {
	return g.signFlags.goal(plan.Goal{Stage: plan.Stage(g.to),
		NoHub:   g.noHub,
		Cleanup: g.cleanup,
		Pace: plan.Pace{HastyCanary: g.hasty, Canary: g.canary, WaveSize: g.waveSize, Soak: g.soak,
			Within: g.within, RotationWithin: g.rotation, Unrotated: g.unrotated, NoFence: g.noFence, FenceFor: g.fence,
			QuietFor: g.quiet},
		Sources:      plan.Sources{Names: g.names},
		RollbackTask: plan.RollbackTask{HubAgrees: g.hubAgrees}})
}

func (g *goalFlags) check() error {
	if err := errors.Join(positive("rotation-within", g.rotation), g.checkQuiet()); err != nil {
		return err
	}
	if err := g.signFlags.check(); err != nil {
		return err
	}
	return g.goal().Check()
}

// checkQuiet refuses 0, which stands for the default in a goal.
func (g *goalFlags) checkQuiet() error { return positive("central-quiet-for", g.quiet) }

// given repeats the flags that were set, each once, in a fixed order, for a command that goes on with this run.
func given(flags *pflag.FlagSet, names ...string) string {
	var words []string
	for i, name := range names {
		f := flags.Lookup(name)
		if f == nil || !f.Changed || slices.Contains(names[:i], name) {
			continue
		}
		if list, ok := f.Value.(pflag.SliceValue); ok && f.Value.Type() == "stringArray" { // a comma is a part of its value
			for _, value := range list.GetSlice() {
				words = append(words, "--"+name+sep(value)+quote(value))
			}
			continue
		}
		value := f.Value.String()
		if list, ok := f.Value.(pflag.SliceValue); ok {
			value = strings.Join(list.GetSlice(), ",")
		}
		if f.Value.Type() == "stringToString" { // it prints itself in brackets, which it does not read
			value = strings.Trim(value, "[]")
		}
		switch {
		case f.Value.Type() == "bool" && value == "true":
			words = append(words, "--"+name)
		case f.NoOptDefVal != "" && f.Value.Type() != "bool": // a word after it would not be its value
			words = append(words, "--"+name+"="+quote(value))
		default:
			words = append(words, "--"+name+" "+quote(value))
		}
	}
	return strings.Join(words, " ")
}

// goalNames are the flags that say what a run is to do: a command that continues it repeats them.
var goalNames = []string{"to", "valid-for", "tokens-from", "no-hub", "standby", "cleanup", "hasty-canary",
	"rotation-within", "accept-unrotated", "no-fence", "fence-for", "central-quiet-for", "hub-agrees", "central-name",
	"central-cert", "central-key", "central-ca", "secrets", "tctl",
	"tctl-profile", "edge", "zone-token", "canary", "wave-size", "soak", "prove-within", "max-failures"}

// positive refuses a duration that cannot be meant.
func positive(flag string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("--%s is %s; it must be more than 0", flag, d)
	}
	return nil
}

// notNegative refuses a duration that cannot be waited for.
func notNegative(flag string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("--%s is %s; it must be 0 or more", flag, d)
	}
	return nil
}

// completeStages completes --to.
func completeStages(cmd *cobra.Command) {
	var all []string
	for _, s := range plan.Stages {
		all = append(all, string(s))
	}
	if err := cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions(all,
		cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // a flag of our own that does not exist
	}
}
