package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render/zones"
)

// meshOptions are the flags of the verbs that change what zones authenticate with.
type meshOptions struct {
	*fleetOptions
	goalFlags
	runFlags
}

func newMeshOptions(fo *fleetOptions) meshOptions {
	return meshOptions{fleetOptions: fo, goalFlags: newGoalFlags(fo), runFlags: newRunFlags()}
}

func (o *meshOptions) addFlags(cmd *cobra.Command) {
	o.goalFlags.signFlags.addFlags(cmd.Flags())
	o.goalFlags.addWaveFlags(cmd.Flags())
	o.runFlags.addFlags(cmd.Flags())
	o.addDiff(cmd.Flags())
	o.addZoneTokens(cmd.Flags())
	o.addDryRun(cmd.Flags())
}

// mesh looks at the fleet, and refuses one that is not of Kong Mesh or Kuma.
func (o *fleetOptions) mesh(ctx context.Context) (*apply.Live, plan.State, error) {
	live, err := o.clusters(false)
	if err != nil {
		return nil, plan.State{}, err
	}
	live.Where.Product = state.Name
	f := o.observe(ctx, live)
	switch {
	case ctx.Err() != nil:
		return nil, f, ctx.Err()
	case !f.Hub.Found:
		return nil, f, &codeError{code: exitError, text: f.Hub.Err + ". This command is for Kong Mesh and Kuma; " +
			"kubectl xcpauth status shows what the edges of Tetrate Service Bridge present"}
	case f.Hub.StoredElsewhere != "":
		return nil, f, &codeError{code: exitRefused,
			text: fmt.Sprintf("global control plane %s in context %s: %s", f.Hub.Object, f.Hub.Context,
				f.Hub.StoredElsewhere)}
	}
	return live, f, nil
}

// carry shows what a goal comes to, asks, and does it.
func (o *meshOptions) carry(ctx context.Context, live *apply.Live, f plan.State, goal plan.Goal, verb string) error {
	if err := errors.Join(goal.Check(), o.runFlags.check(), o.signFlags.check()); err != nil {
		return err
	}
	if err := o.signFlags.into(live, goal); err != nil {
		return err
	}
	return o.fleetOptions.carry(ctx, live, &f, order{goal: goal, run: o.runFlags, verb: verb})
}

func newKeyListCommand(fo *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: noArguments,
		Short:   "Show the global's signing keys, and which zones present a token of each",
		Example: `  kubectl xcpauth key list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, f, err := fo.mesh(cmd.Context())
			if err != nil {
				return err
			}
			if err := fo.print(zones.NewKeys(f, state.Kid)); err != nil {
				return err
			}
			for _, k := range f.Hub.Keys {
				if k.Wrong != "" {
					return &codeError{code: exitRefused}
				}
			}
			return nil
		},
	}
}

// rotateOptions are the flags of key rotate and key retire.
type rotateOptions struct {
	meshOptions
	keepOld bool
	back    bool
	proxies bool
}

// addProxies adds the flag of the verbs that retire keys.
func (o *rotateOptions) addProxies(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.proxies, "proxies-renewed", false,
		"zone proxies outside of Kubernetes, which are not seen, have got tokens of the new key")
}

func newKeyRotateCommand(fo *fleetOptions) *cobra.Command {
	o := &rotateOptions{meshOptions: newMeshOptions(fo)}
	cmd := &cobra.Command{
		Use: "rotate", Args: noArguments,
		Short: "Give every zone a token of a new signing key, then retire the older keys",
		Long: `Add a signing key with the next serial, give every zone a token of it, one canary first, each verified, then retire the older keys and
have every zone connect again. Tokens of both keys are accepted until no zone presents one of an older key. Run it again after any
interruption: it goes on with the same key. Until the older keys are retired there is a way back, with --back: every zone presents its
token of the key before again, and the newest key is retired.`,
		Example: `  # All of it
  kubectl xcpauth key rotate

  # Stop before the older keys are retired, and retire them later
  kubectl xcpauth key rotate --keep-old
  kubectl xcpauth key retire

  # Take the rotation back instead
  kubectl xcpauth key rotate --back`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.back && o.keepOld {
				return errors.New("--keep-old goes with a rotation, and --back takes one back; pass one of them")
			}
			o.repeats = given(cmd.Flags(), append([]string{"back", "keep-old", "proxies-renewed", "valid-for"}, goalNames...)...)
			live, f, err := o.mesh(cmd.Context())
			if err != nil {
				return err
			}
			goal := o.goal()
			goal.To, goal.Rotate, goal.Back, goal.Others = "", true, o.back, o.proxies
			if o.keepOld {
				goal.Stage = plan.Edges
			}
			return o.carry(cmd.Context(), live, f, goal, "key rotate")
		},
	}
	o.addFlags(cmd)
	o.addProxies(cmd)
	cmd.Flags().BoolVar(&o.keepOld, "keep-old", false, "leave the older keys; key retire retires them")
	cmd.Flags().BoolVar(&o.back, "back", false, "take back a rotation of which the older keys are still there")
	return cmd
}

func newKeyRetireCommand(fo *fleetOptions) *cobra.Command {
	o := &rotateOptions{meshOptions: newMeshOptions(fo)}
	cmd := &cobra.Command{
		Use: "retire", Args: noArguments,
		Short: "Delete every signing key but the newest, once no zone presents a token of them",
		Long: `Delete every signing key but the newest, and have every zone connect again. It is refused while a zone may present a token of an older
key, or cannot be looked at; a zone that does gets a new token first. There is no way back from it.`,
		Example: `  kubectl xcpauth key retire`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.repeats = given(cmd.Flags(), goalNames...)
			live, f, err := o.mesh(cmd.Context())
			if err != nil {
				return err
			}
			goal := o.goal()
			goal.Rotate, goal.Others = true, o.proxies
			goal.To = ""
			switch {
			case f.Hub.KeysErr != "":
				return &codeError{code: exitRefused, text: f.Hub.KeysErr}
			case len(f.Hub.Keys) == 0:
				return &codeError{code: exitRefused, text: "there is no signing key to keep; kubectl xcpauth migrate makes one"}
			}
			goal.To = state.Kid(f.Hub.Keys[len(f.Hub.Keys)-1].ID)
			return o.carry(cmd.Context(), live, f, goal, "key retire")
		},
	}
	o.addFlags(cmd)
	o.addProxies(cmd)
	return cmd
}

func newTokenListCommand(fo *fleetOptions) *cobra.Command {
	return &cobra.Command{
		Use: "list", Args: noArguments,
		Short: "Show which zone has which token: key, ID, expiry, whether it is accepted; never the token",
		Example: `  kubectl xcpauth token list

  # With whole IDs, and the list of what is revoked
  kubectl xcpauth token list -o wide`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, f, err := fo.mesh(cmd.Context())
			if err != nil {
				return err
			}
			if err := fo.print(zones.NewTokens(f)); err != nil {
				return err
			}
			for _, m := range f.Members {
				if m.Err != "" {
					return &codeError{code: exitPartial}
				}
			}
			return nil
		},
	}
}

// revokeOptions are the flags of token revoke.
type revokeOptions struct {
	meshOptions
	zones             []string
	cutOff, reconnect bool
	prune             bool
}

func newTokenRevokeCommand(fo *fleetOptions) *cobra.Command {
	o := &revokeOptions{meshOptions: newMeshOptions(fo)}
	cmd := &cobra.Command{
		Use:   "revoke [ZONE|JTI...]",
		Short: "Have the global refuse tokens, by their IDs or of a zone; a zone that presents one gets another first",
		Long: `Add tokens to the global's list of revoked tokens, in exactly the form that the product reads; what is revoked stays so, and a change
that somebody else makes meanwhile is not lost. A zone that presents one of them is given another first, and verified with it. With
--cut-off it is not, and is refused at its next health check or connection.

A token is looked at when a session begins, and from 2.5 on at each health check of the zone, every five minutes by default: a zone
that is cut off loses its session then. With --reconnect the global is rolled out at once, so that every zone connects again.

With --prune-expired, and nothing to revoke, the list loses the IDs whose token is known to have expired by the global's clock: it lies
beside a zone or in a file of --revoked-token, and a key of the global has signed it. Kong Mesh and Kuma keep no list of what they
issued, so every other ID stays.`,
		Example: `  # The token that a zone has now: it gets another, then this one is revoked
  kubectl xcpauth token revoke west

  # One that was lost, by its ID
  kubectl xcpauth token revoke 0e120ec9-6b42-495d-9758-07b59fe86fb9 --reconnect

  # Take off the list what has expired since, and what is known of from a file
  kubectl xcpauth token revoke --prune-expired
  kubectl xcpauth token revoke --prune-expired --revoked-token west.jwt`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.repeats = given(cmd.Flags(), append([]string{"cut-off", "reconnect", "prune-expired", "revoked-token"},
				goalNames...)...)
			return o.run(cmd.Context(), args)
		},
	}
	o.addFlags(cmd)
	cmd.Flags().StringArrayVar(&o.zones, "zone", nil, "revoke the token that this zone has now")
	cmd.Flags().BoolVar(&o.cutOff, "cut-off", false,
		"revoke it even while a zone presents it: that zone is refused at its next health check or connection")
	cmd.Flags().BoolVar(&o.reconnect, "reconnect", false,
		"roll the global out after that, so that no session goes on that began with it")
	cmd.Flags().BoolVar(&o.prune, "prune-expired", false,
		"take off the list the IDs whose token is known to have expired, and revoke nothing")
	cmd.Flags().StringArrayVar(&o.revokedTokens, "revoked-token", nil,
		"with --prune-expired: a file with a token that was revoked, to know when it expires; only you may be able to read it")
	return cmd
}

// run finds the IDs and revokes them, or has those pruned that have expired.
func (o *revokeOptions) run(ctx context.Context, ids []string) error {
	for _, id := range ids {
		if looksLikeToken(id) {
			return errors.New("that is a token itself, and others can read the command line; issue a new one, and " +
				"revoke this one by its jti: kubectl xcpauth token inspect prints it")
		}
		if err := zonetoken.CheckTokenID(id); err != nil {
			return err
		}
	}
	switch {
	case !o.prune && len(o.revokedTokens) > 0:
		return errors.New("--revoked-token goes with --prune-expired; a token is revoked by its ID (jti): kubectl xcpauth token inspect prints it")
	case o.prune && (len(ids)+len(o.zones) > 0 || o.cutOff || o.reconnect):
		return errors.New("--prune-expired revokes nothing, so it takes no ID and none of --zone, --cut-off and --reconnect")
	case !o.prune && len(ids)+len(o.zones) == 0:
		return errors.New("name what to revoke: a ZONE, or an ID (jti); kubectl xcpauth token list shows both")
	}
	live, f, err := o.mesh(ctx)
	if err != nil {
		return err
	}
	ids, err = o.named(f, ids)
	if err != nil {
		return err
	}
	for _, zone := range o.zones {
		switch m := f.Member(zone); {
		case m == nil:
			return errors.New(f.UnknownMember(zone))
		case m.Err != "":
			return &codeError{code: exitRefused, text: fmt.Sprintf("zone %s: %s; name its token by its ID", zone, m.Err)}
		case m.Credential.ID == "":
			return &codeError{code: exitRefused,
				text: fmt.Sprintf("zone %s has no token with an ID (%s), so there is none to revoke", zone, m.Credential.Why)}
		default:
			ids = append(ids, m.Credential.ID)
		}
	}
	goal := o.goal()
	goal.To, goal.Revoke, goal.CutOff, goal.Reconnect, goal.Prune = "", ids, o.cutOff, o.reconnect, o.prune
	goal.RevokedOf = map[string]string{}
	for _, id := range ids {
		o.repeats += " " + id
		if whose := migration.Whose(f, id); whose != "" {
			goal.RevokedOf[id] = whose
		}
	}
	return o.carry(ctx, live, f, goal, "token revoke")
}

// named takes the zones among the arguments, and returns the IDs: an argument that is the name of a zone, or says that
// it is one, means the token that the zone has now.
func (o *revokeOptions) named(f plan.State, args []string) (ids []string, err error) {
	var zones []string
	for _, arg := range args {
		if name, said := memberName(arg); said || f.Member(name) != nil {
			zones = append(zones, name)
		} else {
			ids = append(ids, arg)
		}
	}
	if len(zones) > 0 && len(o.zones) > 0 {
		return nil, bothNamed("zone")
	}
	for i, zone := range o.zones {
		o.zones[i], _ = memberName(zone)
	}
	o.zones = append(o.zones, zones...)
	return ids, nil
}
