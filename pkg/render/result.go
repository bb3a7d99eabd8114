package render

import (
	"fmt"
	"io"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
)

// Result is what became of a run: one outcome for the hub, each member and each other selected context.
type Result struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	At         time.Time        `json:"at"`
	Done       bool             `json:"done"`
	ExitCode   int              `json:"exitCode"`
	Members    []engine.Outcome `json:"members"`
	Error      string           `json:"error,omitempty"`
	Next       string           `json:"next"`
}

// NewResult makes the report of a run. again is the command that continues it.
func NewResult(r engine.Result, again string) Result {
	out := Result{APIVersion: APIVersion, Kind: "Result", At: r.Facts.At.UTC().Truncate(time.Second), Done: r.Done,
		ExitCode: r.ExitCode(), Members: append([]engine.Outcome{}, r.Outcomes...)}
	if r.Err != nil {
		out.Error = r.Err.Error()
	}
	changed := false
	for _, o := range r.Outcomes {
		changed = changed || o.State == engine.Changed
	}
	switch {
	case r.Done && changed:
		out.Next = "nothing to do; the goal is reached"
	case r.Done:
		out.Next = "nothing to do"
	case r.Interrupted:
		out.Next = "interrupted; continue with: " + again
	default:
		out.Next = "fix what is named above, then go on with: " + again
	}
	return out
}

// Table lays the result out.
func (r Result) Table(w io.Writer, _ bool) {
	var rows [][]string
	for _, o := range r.Members {
		context := o.Context
		if context == "" {
			context = "-"
		}
		rows = append(rows, []string{o.Member, context, string(o.State)})
	}
	Columns(w, []string{"MEMBER", "CONTEXT", "RESULT"}, rows)
	fmt.Fprintln(w)
	for _, o := range r.Members {
		if o.Why == "" {
			continue
		}
		name := o.Member
		if name == "-" {
			name = o.Context
		}
		Paragraph(w, name+": ", o.Why)
	}
	Paragraph(w, "Next: ", r.Next)
}
