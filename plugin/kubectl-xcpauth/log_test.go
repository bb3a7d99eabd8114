package main

import (
	"errors"
	"log"
	"strings"
	"testing"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"

	"github.com/xcpauth/kubectl-xcpauth/pkg/execute"
)

// What a library logs stands above the table that is redrawn, as a line of ours: nothing of it is obeyed, and each is
// said once.
func TestALibrarysLogLineDoesNotTearTheProgress(t *testing.T) {
	term := newTerminal(t, 80, 24)
	s := newScreen(term.tty)
	libraries.logTo(s)
	p := &progress{screen: s}
	p.report(execute.Event{At: time.Now(), Phase: execute.Waiting, Member: "edge-1", Text: "waiting: x"})
	term.awaitText("MEMBER")
	for range 3 {
		klog.Errorf("of klog\x1b[2J %d", 1)
		klog.ErrorS(errors.New("its cause"), "structured")
		klog.Warning("a warning\n")
		klog.V(4).Info("too much")
		utilruntime.HandleError(errors.New("unhandled"))
		log.Print("of net/http")
	}
	text := term.await("the lines above the table", func(text string) bool {
		return strings.Contains(text, "log: of net/http\n") && strings.Contains(text, "MEMBER")
	})
	above, table, _ := strings.Cut(text, "MEMBER")
	for _, want := range []string{"log: of klog [2J 1\n", "log: structured: its cause\n", "log: a warning\n",
		"log: of net/http\n"} {
		if strings.Count(above, want) != 1 {
			t.Errorf("%q is not said once above the table:\n%s", want, text)
		}
	}
	if !strings.Contains(above, "unhandled") || strings.Contains(text, "too much") || strings.Contains(table, "log: ") ||
		!strings.HasPrefix(strings.TrimSpace(strings.SplitN(table, "\n", 2)[1]), "edge-1") {
		t.Errorf("the terminal shows\n%s", text)
	}
	p.end()
	term.asFound()
}
