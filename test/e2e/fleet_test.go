package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// limit is how long anything may take that a test waits for.
const limit = 2 * time.Minute

// clusters are lent to one test after the other.
var clusters *testbed.Pool

// lent is how many clusters may run: those of three tests side by side. Each costs a little even when it is idle.
const lent = 12

func TestMain(m *testing.M) {
	code, err := withClusters(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// withClusters runs the tests with a pool of clusters, and with one build of the plugin and the webhook, which the
// sandboxes link to.
func withClusters(m *testing.M) (code int, err error) {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "xcpauth-e2e-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for _, pkg := range []string{"./plugin/kubectl-xcpauth", "./webhook/xcpauth-webhook"} {
		if err := sandbox.Build(ctx, pkg, filepath.Join(dir, filepath.Base(pkg))); err != nil {
			return 0, err
		}
	}
	o := testbed.Options{Dir: filepath.Join(dir, "bed"), Log: os.Stderr}
	if clusters, err = testbed.NewPool(ctx, lent, o); err != nil {
		return 0, err
	}
	defer clusters.Stop()
	return m.Run(), nil
}

// fleet is a running sandbox in one test.
type fleet struct {
	*runs.Recorder
	*sandbox.Sandbox
	mayBeRefused map[string]bool // the members of a wave in flight that the test lets fail
	forgotten    map[string]bool // the members that the test forgets although they live: that accepts their being refused
}

// start starts a fleet for one test and stops it afterwards, having looked at the record of every dial: the promise
// is the oracle of every test here; and for secrets in everything that was printed and written. The stand-in runs 300
// times faster than the product.
func start(t *testing.T, o sandbox.Options) fleet {
	t.Helper()
	o.Dir, o.Pool = t.TempDir(), clusters
	if o.Cadence == (xcpsim.Cadence{}) {
		o.Cadence = xcpsim.Cadence{Push: 200 * time.Millisecond, TokenTTL: 8 * time.Second, TokenRenew: 2 * time.Second}
	}
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f := fleet{runs.New(t, s.Command), s, map[string]bool{}, map[string]bool{}}
	if err := s.CollectSecrets(t.Context(), &f.Secrets); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.promiseKept()
		f.noSecrets(nil)
		s.Stop()
	})
	return f
}

// in is the same fleet in a test inside the one that started it.
func (f fleet) in(t *testing.T) fleet {
	f.Recorder = f.Recorder.In(t)
	return f
}

// Kubectl is the recorder's; the sandbox has one of the same name.
func (f fleet) Kubectl(ctx context.Context, args ...string) sandbox.Run {
	return f.Recorder.Kubectl(ctx, args...)
}

// Command is the recorder's too.
func (f fleet) Command(ctx context.Context, args ...string) *exec.Cmd {
	return f.Recorder.Command(ctx, args...)
}

// stuck makes an edge's new pods unable to reach Central, so that a wave with it stays in flight and fails; free ends
// that.
func (f fleet) stuck(edge string) {
	f.mayBeRefused[edge] = true
	f.Sim.SetEdge(edge, xcpsim.EdgeSwitches{NewPodsNeverConnect: true})
}

func (f fleet) free(edge string) { f.Sim.SetEdge(edge, xcpsim.EdgeSwitches{}) }

// quick are the flags with which migrate keeps pace with the stand-in.
var quick = []string{"-y", "--poll", "100ms", "--prove-within", "2m", "--fence-for", "1s",
	"--central-quiet-for", "1s"}

// quickBack is the same for rollback, and quickAny for every verb that makes steps.
var (
	quickAny  = quick[:5:5]
	quickBack = append(quickAny, "--central-quiet-for", "1s")
)

func (f fleet) migrate(code int, args ...string) sandbox.Run {
	f.Helper()
	return f.Xcpauth(code, append(append([]string{"migrate"}, quick...), args...)...)
}

// get is one value of an object by jsonpath, "" when there is none.
func (f fleet) get(context, ns, object, jsonpath string) string {
	f.Helper()
	r := f.Kubectl(f.Context(), "--context", context, "-n", ns, "get", object, "-o", "jsonpath="+jsonpath)
	if r.Code != 0 {
		f.Fatalf("reading %s of %s: %s", object, context, r.Stderr)
	}
	return r.Stdout
}

func (f fleet) hubModes() string {
	f.Helper()
	return f.get("hub", "tsb", "managementplane/managementplane", "{.spec.components.xcp.centralAuthModes}")
}

func (f fleet) edgeMode(edge string) string {
	f.Helper()
	return f.get(edge, "istio-system", "controlplane/controlplane", "{.spec.components.xcp.centralAuthMode}")
}

// eventually polls a condition.
func (f fleet) eventually(what string, holds func() bool) {
	f.Helper()
	if err := sandbox.Await(f.Context(), what, limit, holds); err != nil {
		f.Fatal(err)
	}
}

// every polls a condition that costs much, at most that often.
func (f fleet) every(d time.Duration, what string, holds func() bool) {
	f.Helper()
	var next time.Time
	f.eventually(what, func() bool {
		if time.Now().Before(next) {
			return false
		}
		next = time.Now().Add(d)
		return holds()
	})
}

// presents says which credentials a member's live sessions were made with.
func (f fleet) presents(member string) []xcpsim.Credential {
	var all []xcpsim.Credential
	for _, s := range f.Sim.Sessions() {
		if s.Member == member {
			all = append(all, s.Credential)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// promiseKept fails when anybody was ever refused, except a member of a wave in flight for its own credential, and
// one that was forgotten.
func (f fleet) promiseKept() {
	f.Helper()
	for _, d := range f.Sim.Refusals() {
		own := d.Reason != xcpsim.ModeNotAccepted && d.Reason != xcpsim.ServerNotTrusted
		if (!own || !f.mayBeRefused[d.Member]) && !f.forgotten[d.Member] {
			f.Errorf("the promise is broken: %s", d)
		}
	}
	f.Logf("Central was dialled %d times, %d refused", len(f.Sim.Dials()), len(f.Sim.Refusals()))
}
