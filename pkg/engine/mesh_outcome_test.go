package engine

import (
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A run that ends early says of a zone with a good token of an older key what it presents: nothing is left to do for
// it, unless the older key is to go.
func TestAZoneWithATokenOfAnOlderKeyIsAccountedForByThat(t *testing.T) {
	var w *mesh
	for seed := uint64(0); w == nil || !w.hadTokens || w.away != "" || w.strangers || w.hopeless() ||
		len(w.zones) < 3; seed++ {
		w = newMesh(seed)
	}
	w.steady = true // an outcome of what is out of reach says that
	w.addKey("zone-token-signing-key-2")
	last := w.names()[len(w.zones)-1]
	z := w.zones[last]
	z.env = slices.DeleteFunc(slices.Clone(z.env),
		func(e any) bool { return e.(map[string]any)["name"] == w.inlineName() })
	z.version, w.stuck[last] = z.version+1, true // its next pods never get ready
	z.pods = nil
	for range 10 {
		w.tick()
	}
	account := func(goal plan.Goal) (Result, map[string]Outcome) {
		r, _ := w.run(goal, func(e *Executor) { e.MaxFailures = 0 })
		of := map[string]Outcome{}
		for _, o := range r.Outcomes {
			of[o.Member] = o
		}
		return r, of
	}
	r, of := account(plan.Goal{})
	if r.Done || of[last].State == OK {
		t.Fatalf("the run did not end early: %+v\n%s", r.Outcomes, strings.Join(w.log, "\n"))
	}
	for _, name := range w.names()[:len(w.zones)-1] {
		if o := of[name]; o.State != OK || o.Why != "it presents a token of key 1" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	r, of = account(plan.Goal{RotationTask: plan.RotationTask{Rotate: true}, Pace: plan.Pace{Canary: last}}) // which fails
	for _, name := range w.names()[:len(w.zones)-1] {
		if o := of[name]; r.Done || o.State != NotAttempted ||
			o.Why != "waits for what is blocked; it presents a token of key 1" {
			t.Errorf("%s, of a rotation: %+v", name, o)
		}
	}
}
