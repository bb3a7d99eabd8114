package main

import (
	"errors"
	"io"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/klog/v2"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
)

// What a library logs to stderr, by itself and at any time, does not tear the table that is redrawn there.
func TestALibrarysLogLineDoesNotTearTheProgress(t *testing.T) {
	term := newTerminal(t, 80, 24)
	stderr := os.Stderr
	os.Stderr = term.tty // as klog finds it when it logs
	defer func() { os.Stderr = stderr }()
	xcpauth(t, "", "version") // every run does it
	p := &progress{screen: newScreen(term.tty)}
	say := func(text string) {
		p.report(engine.Event{At: time.Now(), Phase: engine.Waiting, Member: "edge-1", Text: "waiting: " + text})
	}
	say("before")
	term.awaitText("before")
	klog.Errorf("of klog\x1b[2J %d", 1)
	klog.ErrorS(errors.New("its cause"), "structured")
	klog.Warning("a warning\n")
	utilruntime.HandleError(errors.New("unhandled"))
	log.Print("of net/http")
	klog.Flush()
	say("after")
	text := term.awaitText("after")
	lines := strings.Split(text, "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "MEMBER") || !strings.HasPrefix(lines[1], "edge-1") ||
		log.Writer() != io.Discard {
		t.Errorf("the terminal shows\n%s", text)
	}
	p.end()
	term.asFound()
}
