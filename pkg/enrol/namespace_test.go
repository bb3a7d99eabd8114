package enrol

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// Where the roster's kind cannot be read, it is not known in which namespace the roster is: nobody is looked for in the
// usual one, and nothing is written.
func TestNothingIsWrittenWhereTheNamespaceIsNotKnown(t *testing.T) {
	for name, do := range map[string]func(Enroller) error{
		"forget": func(l Enroller) error {
			return l.Forget(t.Context(), "far", "bob@hub", "it is gone", false)
		},
		"forget alive": func(l Enroller) error {
			return l.Forget(t.Context(), "far", "bob@hub", "it is gone", true)
		},
		"publish what was provided": func(l Enroller) error {
			_, err := l.Accept(t.Context(), through(t, bed.HandedOver("far", time.Minute, nil)), state.JWT, "bob@hub")
			return err
		},
		"list": func(l Enroller) error {
			_, _, err := l.Roster(t.Context())
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), bed.Stated("far"))})
			b.OnGet = func(_, path string) bool { return strings.HasSuffix(path, "/edgeclusters.xcpauth.io") }
			err := do(Enroller{Live: b.Live})
			if err == nil || !strings.Contains(err.Error(), "not known which namespace") {
				t.Errorf("it ends with %v", err)
			}
			if len(b.Wrote)+len(b.Kept) > 0 {
				t.Errorf("it wrote %v %v", b.Wrote, b.Kept)
			}
		})
	}
}
