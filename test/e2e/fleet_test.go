package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

// limit is how long anything may take that a test waits for.
const limit = time.Minute

// fleet is a running sandbox in one test.
type fleet struct {
	*testing.T
	*sandbox.Sandbox
	mayBeRefused map[string]bool // the members of a wave in flight that the test lets fail
	forgotten    map[string]bool // the members that the test forgets although they live: that accepts their being refused
	record       *record
}

// start starts a fleet for one test and stops it afterwards, having looked at the record of every dial: the promise is the
// oracle of every test here; and for secrets in everything that was printed and written. The stand-in runs 300 times faster than the product.
func start(t *testing.T, o sandbox.Options) fleet {
	t.Helper()
	o.Dir = t.TempDir()
	if o.Cadence == (xcpsim.Cadence{}) {
		o.Cadence = xcpsim.Cadence{Push: 200 * time.Millisecond, TokenTTL: 8 * time.Second, TokenRenew: 2 * time.Second}
	}
	s, err := sandbox.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	f := fleet{t, s, map[string]bool{}, map[string]bool{}, &record{printed: map[string]string{}}}
	if err := s.CollectSecrets(t.Context(), &f.record.secrets); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.promiseKept()
		f.noSecrets(nil)
		s.Stop()
	})
	return f
}

// stuck makes an edge's new pods unable to reach Central, so that a wave with it stays in flight and fails; free ends that.
func (f fleet) stuck(edge string) {
	f.mayBeRefused[edge] = true
	f.Sim.SetEdge(edge, xcpsim.EdgeSwitches{NewPodsNeverConnect: true})
}

func (f fleet) free(edge string) { f.Sim.SetEdge(edge, xcpsim.EdgeSwitches{}) }

// xcpauth runs `kubectl xcpauth` and fails the test when it ends with another code.
func (f fleet) xcpauth(code int, args ...string) sandbox.Run {
	f.Helper()
	r := f.Kubectl(f.Context(), append([]string{"xcpauth"}, args...)...)
	if r.Code != code {
		f.Fatalf("kubectl xcpauth %s: exit code %d, want %d\n%s\n%s", strings.Join(args, " "), r.Code, code, r.Stdout, r.Stderr)
	}
	return r
}

// quick are the flags with which migrate keeps pace with the stand-in.
var quick = []string{"-y", "--poll", "100ms", "--prove-within", "40s", "--fence-for", "1s"}

// quickBack is the same for rollback.
var quickBack = quick[:5]

func (f fleet) migrate(code int, args ...string) sandbox.Run {
	f.Helper()
	return f.xcpauth(code, append(append([]string{"migrate"}, quick...), args...)...)
}

// rows decodes the members of a report in JSON, by name (the context for one that holds no member), and fails when one is
// there twice.
func (f fleet) rows(output string) map[string]map[string]any {
	f.Helper()
	var report struct {
		Members []map[string]any `json:"members"`
	}
	if err := json.Unmarshal([]byte(output), &report); err != nil {
		f.Fatalf("not JSON: %v\n%s", err, output)
	}
	return f.byName(report.Members)
}

func (f fleet) yamlRows(output string) map[string]map[string]any {
	f.Helper()
	var report struct {
		Members []map[string]any `json:"members"`
	}
	if err := yaml.Unmarshal([]byte(output), &report); err != nil {
		f.Fatalf("not YAML: %v\n%s", err, output)
	}
	return f.byName(report.Members)
}

func (f fleet) byName(members []map[string]any) map[string]map[string]any {
	f.Helper()
	rows := map[string]map[string]any{}
	for _, m := range members {
		name := fmt.Sprint(m["member"])
		if name == "-" {
			name = fmt.Sprint(m["context"])
		}
		if rows[name] != nil {
			f.Errorf("member %s has two rows", name)
		}
		rows[name] = m
	}
	return rows
}

// is fails unless the row has the value at the key.
func (f fleet) is(rows map[string]map[string]any, member, key, want string) {
	f.Helper()
	row, ok := rows[member]
	if !ok {
		f.Errorf("no row for %s in %v", member, rows)
		return
	}
	if got := fmt.Sprint(row[key]); got != want {
		f.Errorf("%s of %s is %q, want %q (%v)", key, member, got, want, row)
	}
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

// promiseKept fails when anybody was ever refused, except a member of a wave in flight for its own credential, and one that
// was forgotten.
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
