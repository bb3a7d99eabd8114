package main

import (
	"testing"

	"github.com/creack/pty"
	"k8s.io/cli-runtime/pkg/genericiooptions"
)

// Only yes is yes, as the question says.
func TestOnlyYesIsYes(t *testing.T) {
	for answer, want := range map[string]bool{"yes": true, " yes ": true, "y": false, "Y": false, "YES": false, "": false,
		"yes please": false} {
		master, tty, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		o := newFleetOptions(genericiooptions.IOStreams{In: tty, Out: tty, ErrOut: tty})
		if _, err := master.WriteString(answer + "\n"); err != nil {
			t.Fatal(err)
		}
		if err := o.confirm(t.Context(), "Do you want to carry out this plan?"); (err == nil) != want {
			t.Errorf("%q: %v", answer, err)
		}
		tty.Close()
		master.Close()
	}
}
