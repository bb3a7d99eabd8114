package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/apply"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// look is what was seen at one time.
type look struct {
	facts  plan.State
	report render.Status
}

const first = "looking for the first time ..."

// watch looks again and again until it is interrupted, and ends with the exit code of the last look. On a terminal it
// shows the last look in a window of its own, which it leaves behind as text; elsewhere it prints a line for each
// change, and in JSON or YAML one report for each look. A look that fails is a report like any other.
func (o *statusOptions) watch(ctx context.Context, live *apply.Live) error {
	live.Fleet.KeepConnections()
	looks := make(chan look)
	go func() {
		defer close(looks)
		for ctx.Err() == nil {
			f := live.Observe(ctx)
			select {
			case looks <- look{f, o.report(live, f)}:
			case <-ctx.Done():
				return // what an interrupted look saw says nothing
			}
			live.Pause(ctx, o.interval)
		}
	}()
	drawn := o.window.live() && (o.format.IsTable())
	redraw := make(<-chan time.Time)
	beside := &aside{}
	if drawn {
		if o.screen.live() {
			o.screen.turn(beside)
			defer o.screen.turn(nil)
		}
		t := time.NewTicker(redrawEvery)
		defer t.Stop()
		redraw = t.C
		o.window.page([]string{first})
	}
	var last *look
	for {
		select {
		case <-ctx.Done():
			o.screen.turn(nil)
			o.window.restore()
			return o.ended(last, drawn)
		case l := <-looks:
			if l.report.Kind == "" || ctx.Err() != nil {
				continue
			}
			if !drawn {
				if err := o.printLook(last, l); err != nil {
					return err
				}
			}
			last = &l
		case <-redraw:
		}
		if !drawn {
			continue
		}
		columns, rows := o.window.size()
		said := beside.shown(time.Now(), columns)
		lines := []string{first}
		if last != nil {
			lines = append(o.watchTitle(*last, columns), last.report.Page(o.format.Name == "wide", columns, rows-2-len(said))...)
		}
		o.window.page(append(lines, said...))
	}
}

// watchTitle says what is shown, and how old it is: a cluster that hangs makes a look long.
func (o *statusOptions) watchTitle(l look, columns int) []string {
	age := time.Since(l.facts.At).Truncate(time.Second)
	return []string{render.Clip(fmt.Sprintf("Seen %s ago, looked at every %s; Ctrl-C ends this", age, o.interval),
		columns-1), ""}
}

// printLook prints a look where there is no terminal to draw on.
func (o *statusOptions) printLook(earlier *look, l look) error {
	if !o.format.IsTable() {
		return render.PrintOne(o.Out, o.format, l.report)
	}
	var before *render.Status
	if earlier != nil {
		before = &earlier.report
	}
	var b strings.Builder
	if o.began.IsZero() {
		o.began = l.facts.At
	}
	for _, line := range render.Changes(before, l.report) {
		fmt.Fprintln(&b, render.TimeOfDay(l.facts.At.Local(), o.began), line)
	}
	_, err := fmt.Fprint(o.Out, b.String())
	return err
}

// ended leaves the last look on the terminal and returns its exit code.
func (o *statusOptions) ended(last *look, drawn bool) error {
	if last == nil {
		return &codeError{code: exitInterrupted}
	}
	if drawn {
		if err := o.print(last.report); err != nil {
			return err
		}
	}
	return o.exit(last.facts, last.report)
}
