package mesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

const (
	namespace  = "kong-mesh-system"
	deployment = "deployment/kong-mesh-control-plane"
)

// limit is how long anything may take.
var limit = 2 * time.Minute

// zones are the zones of every test.
var zones = []string{"east", "north", "west"}

// mesh is a global and three zones, running.
type mesh struct {
	*runs.Recorder
	*fleet.Fleet
	refusable  map[string]bool // the zones that a test lets be refused
	bed        *testbed.Bed
	kubeconfig string // of the runs
	elsewhere  bool   // the global keeps its state in a store of its own
	killer     *atomic.Pointer[runs.Killer]
	told       *atomic.Pointer[func(change string)] // hears of each change by the API before it is answered
	owner      func() io.Writer                     // does what a run asks for that is killed; nil for nothing
}

// start installs and plays a mesh. At the end nobody must have been refused whom the test did not let be, and no
// secret printed or written.
func start(t *testing.T, change func(*fleet.Options)) *mesh {
	t.Helper()
	if real.Program == nil { // whose processes are not that light
		t.Parallel()
	}
	names := append([]string{"global"}, zones...)
	bed, err := clusters.Start(t.Context(), testbed.Options{Clusters: names, Dir: t.TempDir(), NoVendorCRDs: true})
	if err != nil {
		t.Fatalf("borrowing clusters: %v", err)
	}
	t.Cleanup(bed.Stop)
	ann, err := asAnn(bed)
	if err != nil {
		t.Fatal(err)
	}
	site := func(name string) fleet.Site {
		c := bed.Cluster(name)
		return fleet.Site{Name: name, Config: c.Config, KubeletIP: c.KubeletIP}
	}
	o := fleet.Options{Global: site("global")} // it says so much that its end is told, and only where a test fails
	for _, z := range zones {
		o.Zones = append(o.Zones, site(z))
	}
	killer := &atomic.Pointer[runs.Killer]{}
	told := &atomic.Pointer[func(change string)]{}
	o.APIAnswered = func(method, path string) {
		if tell := told.Load(); tell != nil {
			(*tell)(method + " " + path)
		}
		if k := killer.Load(); k != nil {
			k.Stored(method + " " + path + " by the API")
		}
	}
	if runReal(&o); change != nil {
		change(&o)
	}
	if err := fleet.Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	f, err := fleet.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	m := &mesh{Fleet: f, refusable: map[string]bool{}, bed: bed, kubeconfig: ann,
		elsewhere: o.StoredElsewhere || o.Outside, killer: killer,
		told: told}
	m.Recorder = runs.New(t, m.command)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if t.Failed() {
			t.Log(lines(m.Last(2), 60))
			t.Log(lines(f.Log(), 60))
		}
		m.promiseKept()
		m.noSecrets(ctx)
		f.Close()
		t.Logf("%d authentications, %d refused", len(f.Calls()), len(f.Refused()))
	})
	m.await("every zone to be connected", func() error {
		if n := len(f.Live()); n != len(zones)+len(o.Universal) {
			return fmt.Errorf("live are %v", f.Live())
		}
		return nil
	})
	m.await("the global to tell of every zone", m.toldOfAll) // it writes that down somewhat later
	return m
}

// toldOfAll wants the global to tell of every zone.
func (m *mesh) toldOfAll() error {
	if m.elsewhere {
		if told := m.Store().Zones(); real.Program == nil && len(told) < len(zones) {
			return fmt.Errorf("it tells of %d", len(told))
		}
		return nil
	}
	for _, z := range zones {
		if m.kubectl("--context", "global", "get", "zoneinsights.kuma.io", z, "--ignore-not-found", "-o",
			"jsonpath={.spec.subscriptions[0].id}").Stdout == "" {
			return errors.New(z + " is not there")
		}
	}
	return nil
}

// lines are the last lines of a text.
func lines(text string, last int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-last):], "\n")
}

func (m *mesh) await(what string, check func() error) {
	m.Helper()
	m.Await(what, limit, check)
}

// promiseKept fails the test when a zone was refused that must not have been.
func (m *mesh) promiseKept() {
	m.Helper()
	for _, c := range m.Refused() {
		if !m.refusable[c.Zone] {
			m.Errorf("refused: %v", c)
		}
	}
}

// gatherSecrets notes the tokens and keys that there are now; those that are gone by the end count too.
func (m *mesh) gatherSecrets() {
	m.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	stored, err := m.Store().Secrets()
	if err != nil {
		m.Fatal(err)
	}
	for _, s := range stored {
		if s.Name != "zone-token-revocations" {
			m.Secrets.Add("the global's store/"+s.Name, "value", s.Data["value"])
		}
	}
	for _, c := range m.bed.Clusters() {
		kube, err := kubernetes.NewForConfig(c.Config)
		if err != nil {
			m.Fatal(err)
		}
		list, err := kube.CoreV1().Secrets(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			m.Fatal(err)
		}
		for _, s := range list.Items {
			for k, v := range s.Data {
				if s.Name != "zone-token-revocations" { // IDs, which are no secret
					m.Secrets.Add(c.Name+"/"+s.Name, k, v)
				}
			}
		}
	}
}

// noSecrets looks for tokens and keys in what was printed and in what was written where a run may write text of its
// own.
func (m *mesh) noSecrets(ctx context.Context) {
	m.Helper()
	m.gatherSecrets()
	written := map[string]string{}
	for _, c := range m.bed.Clusters() {
		kube, err := dynamic.NewForConfig(c.Config)
		if err != nil {
			m.Fatal(err)
		}
		for _, kind := range []schema.GroupVersionResource{{Version: "v1", Resource: "configmaps"},
			{Version: "v1", Resource: "events"},
			{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}, {Group: "apps", Version: "v1",
				Resource: "deployments"}} {
			list, err := kube.Resource(kind).List(ctx, metav1.ListOptions{})
			if err != nil {
				m.Fatal(err)
			}
			text, err := json.Marshal(list)
			if err != nil {
				m.Fatal(err)
			}
			written[kind.Resource+" of "+c.Name] = string(text)
		}
	}
	m.NoSecrets(written)
}

// command is kubectl as a user who has the shipped roles and no other.
func (m *mesh) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(m.bed.Bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.kubeconfig,
		"PATH="+program+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECACHEDIR="+m.TempDir())
	return cmd
}

// kubectl runs kubectl as an administrator, and fails the test when it fails.
func (m *mesh) kubectl(args ...string) sandbox.Run {
	m.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(filepath.Join(m.bed.Bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.bed.Kubeconfig)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		m.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return sandbox.Run{Stdout: out.String(), Stderr: errs.String()}
}

// quick are the flags with which a run keeps pace with the stand-in.
var quick = []string{"-y", "--poll", "100ms", "--prove-within", "2m"}

func (m *mesh) run(code int, verb ...string) sandbox.Run {
	m.Helper()
	return m.Xcpauth(code, append(verb, quick...)...)
}

// env is the variable of a cluster's control plane, "" when it is not set, or the secret that it refers to.
func (m *mesh) env(cluster, name string) string {
	m.Helper()
	r := m.kubectl("--context", cluster, "-n", namespace, "get", deployment, "-o", "json")
	var d struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct{ Env []corev1.EnvVar }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(r.Stdout), &d); err != nil {
		m.Fatal(err)
	}
	for _, e := range d.Spec.Template.Spec.Containers[0].Env {
		switch {
		case e.Name == name && e.ValueFrom != nil:
			return e.ValueFrom.SecretKeyRef.Name
		case e.Name == name:
			return e.Value
		}
	}
	return ""
}

// tokens are what `token list` says of each zone; of several tokens the one that it presents comes first.
func (m *mesh) tokens() map[string]map[string]any { return m.tokensBy(nil) }

// tokensBy is tokens with further flags.
func (m *mesh) tokensBy(flags []string) map[string]map[string]any {
	m.Helper()
	r := m.Xcpauth(0, append([]string{"token", "list", "-o", "json"}, flags...)...)
	var report struct{ Tokens []map[string]any }
	if err := json.Unmarshal([]byte(r.Stdout), &report); err != nil {
		m.Fatalf("%v\n%s", err, r.Stdout)
	}
	rows := map[string]map[string]any{}
	for _, row := range report.Tokens {
		if name := fmt.Sprint(row["member"]); rows[name] == nil {
			rows[name] = row
		}
	}
	return rows
}

// secretNames are the names of secrets of a cluster that begin so.
func (m *mesh) secretNames(cluster, prefix string) []string {
	m.Helper()
	r := m.kubectl("--context", cluster, "-n", namespace, "get", "secrets", "-o", "name")
	var names []string
	for _, line := range strings.Fields(r.Stdout) {
		if name := strings.TrimPrefix(line, "secret/"); strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// withTokens waits until every zone's stream began with a token, or without one.
func (m *mesh) withTokens(provided bool) {
	m.Helper()
	m.await(fmt.Sprintf("every stream to have a token: %v", provided), func() error {
		for _, z := range zones {
			if s, live := m.Live()[z]; !live || s.AuthTokenProvided != provided {
				return fmt.Errorf("%s: live %v, %+v", z, live, s)
			}
		}
		return nil
	})
}

// newSessions has every zone connect again: the global's pods are replaced.
func (m *mesh) newSessions() {
	m.Helper()
	m.kubectl("--context", "global", "-n", namespace, "patch", deployment, "--patch",
		fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"restarted-at":%q}}}}}`,
			time.Now().Format(time.RFC3339Nano)))
	m.kubectl("--context", "global", "-n", namespace, "rollout", "status", deployment, "--timeout="+limit.String())
}

// refusedFor waits for a refusal of a zone for a reason.
func (m *mesh) refusedFor(zone string, reason kumasim.Reason) {
	m.Helper()
	m.await(fmt.Sprintf("%s to be refused for %s", zone, reason), func() error {
		for _, c := range m.Refused() {
			if c.Zone == zone && c.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("refused are %v", m.Refused())
	})
}
