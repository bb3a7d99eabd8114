package engine

import (
	"fmt"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// foreseen is what a run expects to come: it counts its waves by that.
type foreseen struct {
	begun int         // waves
	ahead []plan.Wave // the wave in flight is not among them
}

// announce says that a wave begins: its number, of how many, and when it is over at the latest, where Limits say how
// that is estimated. The waves after it are planned again only where it is another than was planned.
func (e *Executor) announce(w plan.Wave, before plan.State) {
	ev := Event{Phase: WaveStarted, Member: "hub", Text: "wave: " + w.Title}
	if e.Limits == nil {
		e.send(ev)
		return
	}
	e.foreseen.begun++
	if ahead := e.foreseen.ahead; len(ahead) == 0 || ids(ahead[0]) != ids(w) {
		e.foreseen.ahead = plan.Build(e.Provider, before, e.Goal).Waves
	}
	if len(e.foreseen.ahead) > 0 {
		e.foreseen.ahead = e.foreseen.ahead[1:]
	}
	ev.Text = fmt.Sprintf("wave %d of %d: %s", e.foreseen.begun, e.foreseen.begun+len(e.foreseen.ahead), w.Title)
	if ev.Takes = estimate.Wave(before, w, *e.Limits); ev.Takes.Limited {
		ev.Until = e.Now().Add(ev.Takes.AtMost)
	}
	e.send(ev)
}

// waits says what a step waits for, and until when.
func (e *Executor) waits(s *running) {
	e.send(Event{Phase: Waiting, Member: s.Member, Text: "waiting: " + s.missing, Until: s.deadline})
}

// send reports an event, which happens now.
func (e *Executor) send(ev Event) {
	if e.Report != nil {
		ev.At = e.Now()
		if e.Limits == nil {
			ev.Until = time.Time{}
		}
		e.Report(ev)
	}
}
