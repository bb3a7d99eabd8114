package mesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/xcpauth/kubectl-xcpauth/test/canary"
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
var limit = time.Minute

// The tests share one bed and one build of the plugin, one after the other, and each leaves the clusters empty.
var (
	once   sync.Once
	bed    *testbed.Bed
	binDir string // with the plugin, and a kubeconfig of a user who has the shipped roles and no other
	begin  error
)

func TestMain(m *testing.M) {
	if why := unfit(); why != "" {
		fmt.Fprintln(os.Stderr, "These tests cannot run with KUMA_CP and KUMACTL as they are:", why)
		os.Exit(1)
	}
	code := m.Run()
	if bed != nil {
		bed.Stop()
	}
	if binDir != "" {
		os.RemoveAll(binDir)
	}
	os.Exit(code)
}

// zones are the zones of every test.
var zones = []string{"east", "north", "west"}

func startBed() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if bed, begin = testbed.Start(ctx, testbed.Options{Clusters: append([]string{"global"}, zones...), Log: os.Stderr, NoVendorCRDs: true}); begin != nil {
		return
	}
	if binDir, begin = os.MkdirTemp("", "xcpauth-mesh-"); begin == nil {
		begin = errors.Join(sandbox.Build(ctx, "./plugin/kubectl-xcpauth", filepath.Join(binDir, "kubectl-xcpauth")), bindRoles(ctx))
	}
}

// bindRoles gives the shipped ClusterRoles to a user in every cluster, and writes down how to be that user: the tests show that they, and the
// Roles beside them, are enough.
func bindRoles(ctx context.Context) error {
	for _, c := range bed.Clusters() {
		for _, args := range [][]string{
			{"create", "namespace", namespace},
			{"apply", "-f", rolesFile()},
			{"create", "clusterrolebinding", "ann-reads", "--clusterrole=xcpauth-mesh-read", "--user=ann"},
			{"create", "clusterrolebinding", "ann-migrates", "--clusterrole=xcpauth-mesh-migrate", "--user=ann"},
		} {
			if err := asAdmin(ctx, c.Name, args...); err != nil {
				return err
			}
		}
	}
	cfg, err := clientcmd.LoadFromFile(bed.Kubeconfig)
	if err != nil {
		return err
	}
	for _, u := range cfg.AuthInfos {
		u.Impersonate = "ann"
	}
	return clientcmd.WriteToFile(*cfg, kubeconfig())
}

// bindInside gives the shipped Roles to the user in the control plane's namespace of every cluster.
func bindInside(ctx context.Context) error {
	for _, c := range bed.Clusters() {
		for _, args := range [][]string{
			{"apply", "-f", rolesFile()},
			{"-n", namespace, "create", "rolebinding", "ann-reads", "--role=xcpauth-mesh-read", "--user=ann"},
			{"-n", namespace, "create", "rolebinding", "ann-migrates", "--role=xcpauth-mesh-migrate", "--user=ann"},
		} {
			if err := asAdmin(ctx, c.Name, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func rolesFile() string { return filepath.Join("..", "..", "..", "manifests", "rbac", "mesh.yaml") }

func asAdmin(ctx context.Context, cluster string, args ...string) error {
	cmd := exec.CommandContext(ctx, filepath.Join(bed.Bin, "kubectl"), append([]string{"--kubeconfig", bed.Kubeconfig, "--context", cluster}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil && !bytes.Contains(out, []byte("AlreadyExists")) {
		return fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
	}
	return nil
}

func kubeconfig() string { return filepath.Join(binDir, "kubeconfig") }

// mesh is a global and three zones, running.
type mesh struct {
	*testing.T
	*fleet.Fleet
	refusable  map[string]bool // the zones that a test lets be refused
	kubeconfig string          // of the runs
	mu         sync.Mutex
	printed    map[string]string
	secrets    canary.Set
}

// start installs and plays a mesh. At the end nobody must have been refused whom the test did not let be, and no secret printed or written.
func start(t *testing.T, change func(*fleet.Options)) *mesh {
	t.Helper()
	began := time.Now()
	if once.Do(startBed); begin != nil {
		t.Fatalf("starting the clusters: %v", begin)
	}
	site := func(name string) fleet.Site {
		c := bed.Cluster(name)
		return fleet.Site{Name: name, Config: c.Config, KubeletIP: c.KubeletIP}
	}
	o := fleet.Options{Global: site("global"), Log: t.Output()}
	if real.Program != nil {
		o.Log = nil // they say so much that it is told only where a test fails
	}
	for _, z := range zones {
		o.Zones = append(o.Zones, site(z))
	}
	if runReal(&o); change != nil {
		change(&o)
	}
	if err := errors.Join(fleet.Install(t.Context(), o), bindInside(t.Context())); err != nil {
		t.Fatal(err)
	}
	f, err := fleet.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	m := &mesh{T: t, Fleet: f, refusable: map[string]bool{}, kubeconfig: kubeconfig(), printed: map[string]string{}}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if t.Failed() {
			for _, name := range slices.Sorted(maps.Keys(m.printed)) {
				t.Logf("%s\n%s", name, m.printed[name])
			}
			if real.Program != nil {
				t.Log(f.Log())
			}
		}
		m.promiseKept()
		m.noSecrets(ctx)
		f.Close()
		errs := []error{fleet.Uninstall(ctx, o)}
		for _, c := range bed.Clusters() {
			errs = append(errs, removeJournal(ctx, c))
		}
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		t.Logf("%d authentications, %d refused; it took %s", len(f.Calls()), len(f.Refused()), time.Since(began).Round(100*time.Millisecond))
	})
	m.await("every zone to be connected", func() error {
		if n := len(f.Live()); n != len(zones)+len(o.Universal) {
			return fmt.Errorf("live are %v", f.Live())
		}
		return nil
	})
	if o.StoredElsewhere {
		return m // it tells of none
	}
	m.await("the global to tell of every zone", func() error { // it writes that down somewhat later
		for _, z := range zones {
			if m.kubectl("--context", "global", "get", "zoneinsights.kuma.io", z, "--ignore-not-found", "-o", "jsonpath={.spec.subscriptions[0].id}").out == "" {
				return errors.New(z + " is not there")
			}
		}
		return nil
	})
	return m
}

// removeJournal removes the namespace of the journal with what is in it. The controller of namespaces takes five seconds for that, so the
// part of it is played that matters here.
func removeJournal(ctx context.Context, c *testbed.Cluster) error {
	kube, err := kubernetes.NewForConfig(c.Config)
	if err != nil {
		return err
	}
	const ns = "xcpauth-system"
	if err := kube.CoreV1().Namespaces().Delete(ctx, ns, metav1.DeleteOptions{}); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("delete namespace %s of %s: %w", ns, c.Name, err)
	}
	all := metav1.ListOptions{} // nothing is made in it any more
	err = errors.Join(
		kube.CoreV1().ConfigMaps(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, all),
		kube.CoordinationV1().Leases(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, all),
		kube.CoreV1().ServiceAccounts(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, all),
		kube.CoreV1().Events(ns).DeleteCollection(ctx, metav1.DeleteOptions{}, all))
	if err != nil {
		return fmt.Errorf("empty namespace %s of %s: %w", ns, c.Name, err)
	}
	_, err = kube.CoreV1().Namespaces().Finalize(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}}, metav1.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("finalize namespace %s of %s: %w", ns, c.Name, err)
	}
	return sandbox.Await(ctx, "namespace "+ns+" to be gone", limit, func() bool {
		_, err := kube.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
}

func (m *mesh) await(what string, check func() error) {
	m.Helper()
	last := errors.New("not asked yet")
	if err := sandbox.Await(m.Context(), what, limit, func() bool { last = check(); return last == nil }); err != nil {
		m.Fatalf("%v: %v", err, last)
	}
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
	for _, c := range bed.Clusters() {
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
					m.secrets.Add(c.Name+"/"+s.Name, k, v)
				}
			}
		}
	}
}

// noSecrets looks for tokens and keys in what was printed and in what was written where a run may write text of its own.
func (m *mesh) noSecrets(ctx context.Context) {
	m.Helper()
	m.gatherSecrets()
	for _, c := range bed.Clusters() {
		kube, err := dynamic.NewForConfig(c.Config)
		if err != nil {
			m.Fatal(err)
		}
		for _, kind := range []schema.GroupVersionResource{{Version: "v1", Resource: "configmaps"}, {Version: "v1", Resource: "events"},
			{Group: "coordination.k8s.io", Version: "v1", Resource: "leases"}, {Group: "apps", Version: "v1", Resource: "deployments"}} {
			list, err := kube.Resource(kind).List(ctx, metav1.ListOptions{})
			if err != nil {
				m.Fatal(err)
			}
			text, err := json.Marshal(list)
			if err != nil {
				m.Fatal(err)
			}
			m.printed[kind.Resource+" of "+c.Name] = string(text)
		}
	}
	if m.secrets.Len() == 0 {
		m.Error("no secret was looked for")
	}
	for name, text := range m.printed {
		for _, leak := range m.secrets.Find(text) {
			m.Errorf("a secret is in %s: %s", name, leak)
		}
	}
}

type ran struct {
	out, err string
	code     int
}

func (m *mesh) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(m.Context(), filepath.Join(bed.Bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+m.kubeconfig, "PATH="+binDir+string(os.PathListSeparator)+os.Getenv("PATH"), "KUBECACHEDIR="+m.TempDir())
	return cmd
}

func (m *mesh) kubectl(args ...string) ran {
	m.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command(filepath.Join(bed.Bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+bed.Kubeconfig)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		m.Fatalf("kubectl %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return ran{out.String(), errs.String(), 0}
}

// xcpauth runs `kubectl xcpauth` and fails the test when it ends with another code.
func (m *mesh) xcpauth(code int, args ...string) ran {
	m.Helper()
	var out, errs bytes.Buffer
	cmd := m.command(append([]string{"xcpauth"}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.Fatal(err)
	}
	r := ran{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	m.mu.Lock()
	m.printed[fmt.Sprintf("run %02d: %s", len(m.printed), strings.Join(args, " "))] = r.out + "\n" + r.err
	m.mu.Unlock()
	if r.code != code {
		m.Fatalf("kubectl xcpauth %s: exit code %d, want %d\n%s\n%s", strings.Join(args, " "), r.code, code, r.out, r.err)
	}
	return r
}

// quick are the flags with which a run keeps pace with the stand-in.
var quick = []string{"-y", "--poll", "100ms", "--prove-within", "30s"}

func (m *mesh) run(code int, verb ...string) ran {
	m.Helper()
	return m.xcpauth(code, append(verb, quick...)...)
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
	if err := json.Unmarshal([]byte(r.out), &d); err != nil {
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

// members are the rows of a report by name.
func (m *mesh) members(out, key string) map[string]map[string]any {
	m.Helper()
	var report map[string]any
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		m.Fatalf("%v\n%s", err, out)
	}
	rows := map[string]map[string]any{}
	list, _ := report[key].([]any)
	for _, r := range list {
		row := r.(map[string]any)
		if name := fmt.Sprint(row["member"]); rows[name] == nil { // of several tokens the one that it presents comes first
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
	for _, line := range strings.Fields(r.out) {
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

// newSessions has every zone connect anew: the global's pods are replaced.
func (m *mesh) newSessions() {
	m.Helper()
	m.kubectl("--context", "global", "-n", namespace, "patch", deployment, "--patch", fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{"restarted-at":%q}}}}}`, time.Now().Format(time.RFC3339Nano)))
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
