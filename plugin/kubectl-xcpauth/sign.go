package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tokenissuer"
)

// Who issues zone tokens, the values of --tokens-from.
const (
	fromAPI = "api"
	fromKey = "key"
)

// signFlags say how zones of Kong Mesh and Kuma get the tokens that are made on the way.
type signFlags struct {
	life  time.Duration
	from  string
	fleet *fleetOptions // which have the token with which the API is asked
}

func newSignFlags(fo *fleetOptions) signFlags { return signFlags{from: fromAPI, fleet: fo} }

func (s *signFlags) addFlags(flags *pflag.FlagSet) {
	grouped(flags, "goal", func(flags *pflag.FlagSet) {
		flags.DurationVar(&s.life, "valid-for", s.life,
			"how long zone tokens are valid that are made on the way (Kong Mesh, Kuma); 0 is 30 days")
		s.addSource(flags)
	})
}

func (s *signFlags) addSource(flags *pflag.FlagSet) {
	flags.StringVar(&s.from, "tokens-from", s.from,
		"who makes zone tokens (Kong Mesh, Kuma): api (the global's own, with its access control and audit) or key (they are signed here, with the global's signing key)")
}

func (s *signFlags) check() error {
	switch {
	case s.life < 0:
		return fmt.Errorf("--valid-for is %s; it must be 0 or more", s.life)
	case s.from != fromAPI && s.from != fromKey:
		return fmt.Errorf("--tokens-from is %q; pass api or key", s.from)
	}
	return nil
}

// goal is a goal with what the flags say.
func (s *signFlags) goal(g plan.Goal) plan.Goal {
	g.ValidFor, g.FromKey, g.OwnLogin = s.life, s.from == fromKey, s.fleet.apiToken != ""
	return g
}

// tokens is who gets zones their tokens, with what the global's API is asked with. Of a saved plan the goal says
// whether that is needed: it is given again.
func (s *signFlags) tokens(live *apply.Live, goal plan.Goal) (tokenissuer.Tokens, error) {
	all := tokenissuer.Tokens{Fleet: live.Fleet}
	endpoint, err := s.fleet.endpoint()
	if err != nil {
		return all, err
	}
	all.TLS = endpoint.TLS
	switch {
	case goal.OwnLogin && s.fleet.apiToken == "":
		return all, errors.New("the saved plan asks the global's API with a token of yours, which is not kept in it; pass --api-token again")
	case !goal.OwnLogin && s.fleet.apiToken != "":
		return all, errors.New("the saved plan asks the global's API for nothing with a token of yours; make it again with --api-token: kubectl xcpauth plan --out FILE")
	}
	all.Login = endpoint.Login
	return all, nil
}

// into has a run get tokens so, unless they come from outside.
func (s *signFlags) into(live *apply.Live, goal plan.Goal) error {
	tokens, err := s.tokens(live, goal)
	if err == nil && goal.Supplied == "" {
		live.Supplier = tokens
	}
	return err
}
