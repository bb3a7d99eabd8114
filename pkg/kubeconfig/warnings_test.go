package kubeconfig

import (
	"strings"
	"testing"
)

func TestAWarningIsPrintedOnceAndThatOurWebhookWasAskedIsNot(t *testing.T) {
	var out strings.Builder
	w := &warner{to: &out, context: "hub"}
	for _, text := range []string{"xcpauth-webhook v0.3.0 was asked", "deprecated", "deprecated",
		"of\x1b[31m two\nlines", ""} {
		w.HandleWarningHeader(299, "-", text)
	}
	w.HandleWarningHeader(199, "-", "not for users")
	if want := "warning from hub: deprecated\nwarning from hub: of [31m two lines\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
	(&warner{}).HandleWarningHeader(299, "-", "discarded")
}
