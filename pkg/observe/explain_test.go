package observe

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"unicode"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What a server, a node or a pod says of a failure is one line, and nothing in it is obeyed by a terminal.
func TestWhatServersSayOfAFailureIsPlainText(t *testing.T) {
	const said = "gone\x1b[2J\x1b]0;x\x07\r\nerror: all is well\u009b1A"
	status := func(code int32) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Status: metav1.StatusFailure, Code: code, Message: said}}
	}
	for name, err := range map[string]error{
		"forbidden": status(http.StatusForbidden), "too many": status(http.StatusTooManyRequests),
		"failed":  status(http.StatusInternalServerError),
		"refused": status(http.StatusConflict), "a node's words": fmt.Errorf("forwarding: %w", errors.New(said)),
	} {
		if got := Explain(err); strings.ContainsFunc(got, unicode.IsControl) || !strings.Contains(got, "gone") ||
			!strings.Contains(got, "all is well") {
			t.Errorf("%s: %q", name, got)
		}
	}
}
