package e2e

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// start starts a fleet for one test and stops it afterwards.
func start(t *testing.T, o sandbox.Options) *sandbox.Sandbox {
	t.Helper()
	o.Dir = t.TempDir()
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

func TestGoldenPath(t *testing.T) {
	s := start(t, sandbox.Options{Cadence: xcpsim.Cadence{Push: 200 * time.Millisecond}})
	r := s.Kubectl(t.Context(), "xcpauth", "status")
	t.Logf("%d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
	r = s.Kubectl(t.Context(), "xcpauth", "plan")
	t.Logf("%d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
	r = s.Kubectl(t.Context(), "xcpauth", "migrate", "-y", "--poll", "200ms", "--prove-within", "30s")
	t.Logf("%d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
	r = s.Kubectl(t.Context(), "xcpauth", "status", "-o", "wide")
	t.Logf("%d\n%s\n%s", r.Code, r.Stdout, r.Stderr)
	for _, d := range s.Sim.Refusals() {
		t.Error(d)
	}
}
