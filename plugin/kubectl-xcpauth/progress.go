package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// redrawEvery is how often what is drawn on a terminal is laid out again: ages move on, and a window may have another
// size.
const redrawEvery = 200 * time.Millisecond

// progress shows the events of a run on stderr: on a terminal the wave in flight as a table in place, elsewhere one
// line each.
type progress struct {
	*screen
	colour bool
	form   string // one of progressForms

	mu    sync.Mutex
	model render.Progress
	stop  chan struct{} // closed to stop redrawing; nil while nothing is drawn
	done  chan struct{}
}

// shown is progress as the flags want it.
func (o *fleetOptions) shown() *progress {
	return &progress{screen: o.screen, colour: o.coloured(o.screen), form: o.progress}
}

// report takes an event; it may be called from several goroutines.
func (p *progress) report(e engine.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.form == "json":
		fmt.Fprintln(p, string(render.JSONLine(e)))
		return
	case p.form == "plain" || !p.live():
		fmt.Fprintln(p, p.model.Line(e, p.colour))
		return
	}
	p.model.Columns, _ = p.size()
	up := p.model.Add(e, p.colour)
	if e.Phase == engine.WaveStarted {
		p.draw(nil) // what scrolls up is never above a table that it ends
	}
	for _, line := range up {
		fmt.Fprintln(p, line)
	}
	p.redraw()
	if p.stop == nil {
		p.stop, p.done = make(chan struct{}), make(chan struct{})
		go p.keepDrawing(p.stop, p.done)
	}
}

// end leaves the last wave as plain lines and the terminal as it was.
func (p *progress) end() {
	p.mu.Lock()
	stop, done := p.stop, p.done
	p.stop = nil
	p.mu.Unlock()
	if stop != nil {
		close(stop)
		<-done
	}
	p.restore()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.model.End(p.colour) {
		fmt.Fprintln(p, line)
	}
}

func (p *progress) redraw() {
	columns, rows := p.size()
	p.draw(p.model.Lines(time.Now(), columns, rows, p.colour))
}

func (p *progress) keepDrawing(stop, done chan struct{}) {
	defer close(done)
	t := time.NewTicker(redrawEvery)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			p.mu.Lock()
			p.redraw()
			p.mu.Unlock()
		}
	}
}

// details are what a plan is shown with, of a run that polls so.
func (o *fleetOptions) details(poll time.Duration) render.Details {
	return render.Details{Diff: o.diff, Limits: *o.limits(poll)}
}

// limits are how a run looks while it verifies: with them it is told how long that takes.
func (o *fleetOptions) limits(poll time.Duration) *estimate.Limits {
	return &estimate.Limits{Look: o.memberTimeout, Poll: poll}
}

// The values of --progress.
var progressForms = []string{"auto", "plain", "json"}

// The values of --color.
var colours = []string{"auto", "always", "never"}

// coloured says whether a stream gets colours: as --color says, else on a terminal that is not dumb, unless NO_COLOR
// is set (https://no-color.org).
func (o *fleetOptions) coloured(s *screen) bool {
	switch o.colour {
	case "always":
		return true
	case "never":
		return false
	}
	return s.live() && os.Getenv("NO_COLOR") == ""
}
