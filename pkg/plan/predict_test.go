package plan

import (
	"maps"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
)

// Later steps do not change what an earlier one says that a hub accepts.
func TestAStepsOwnWordIsNotChangedByLaterSteps(t *testing.T) {
	said := guard.Hub{Accepts: map[guard.Cred]guard.Tri{"jwt": guard.Yes}}
	var f State
	sets := Step{Accepts: &said, Effect: func(f *State) { f.Hub.Accepts = said }}
	adds := Step{Effect: func(f *State) { f.Hub.Accepts.Accepts["mtls"] = guard.Yes }}
	p := Predict(f)
	p.Do([]Step{sets})
	p.Do([]Step{adds})
	if want := map[guard.Cred]guard.Tri{"jwt": guard.Yes}; !maps.Equal(said.Accepts, want) {
		t.Errorf("the first step says %v, want %v", said.Accepts, want)
	}
	if want := map[guard.Cred]guard.Tri{"jwt": guard.Yes, "mtls": guard.Yes}; !maps.Equal(p.Hub.Accepts.Accepts, want) {
		t.Errorf("predicted: %v, want %v", p.Hub.Accepts.Accepts, want)
	}
	if f.Hub.Accepts.Accepts != nil {
		t.Errorf("the state that it began with was changed: %v", f.Hub.Accepts.Accepts)
	}
}
