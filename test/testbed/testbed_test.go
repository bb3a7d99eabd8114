package testbed_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// TestClusters shares one bed among everything that a bed promises, since a start is what costs.
func TestClusters(t *testing.T) {
	b := testbed.ForTest(t, "hub", "edge-1")
	t.Run("the kubeconfig reaches each cluster and its vendor kinds", func(t *testing.T) { kubeconfigReachesEach(t, b) })
	t.Run("clusters share nothing", func(t *testing.T) { clustersShareNothing(t, b) })
	t.Run("a deployment gets its pods", func(t *testing.T) { deploymentGetsPods(t, b.Cluster("hub"), "web") })
	t.Run("a service takes a fixed address", func(t *testing.T) { serviceTakesAddress(t, b.Cluster("hub")) })
	t.Run("the API server asks the kubelet of a played pod", func(t *testing.T) {
		apiServerAsksKubelet(t,
			b.Cluster("hub"))
	})
	t.Run("a deleted deployment takes its pods along", func(t *testing.T) { deletionTakesPods(t, b.Cluster("hub")) })
	t.Run("cert-manager issues and re-issues", func(t *testing.T) { certManagerIssues(t, b.Cluster("hub")) })
	t.Run("a user has the rights that RBAC gives", func(t *testing.T) { usersHaveTheirRights(t, b.Cluster("hub")) })
	t.Run("a frozen API server hangs alone", func(t *testing.T) { frozenServerHangsAlone(t, b) })
	t.Run("a killed API server comes back as it was", func(t *testing.T) { killedServerComesBack(t, b.Cluster("edge-1")) })
	t.Run("a deleted namespace goes", func(t *testing.T) { namespaceGoes(t, b.Cluster("hub")) })
	t.Run("stop leaves nothing running", func(t *testing.T) {
		started := descendants(t, os.Getpid())
		if len(started) < 6 { // keeper, etcd, and two servers per cluster
			t.Fatalf("only %d processes: %v", len(started), started)
		}
		b.Stop()
		awaitGone(t, started)
		b.Stop()
	})
}

func kubeconfigReachesEach(t *testing.T, b *testbed.Bed) {
	for _, c := range b.Clusters() {
		for _, kind := range []struct{ apiVersion, kind, resource string }{
			{"install.tetrate.io/v1alpha1", "ManagementPlane", "managementplanes.install.tetrate.io"},
			{"install.tetrate.io/v1alpha1", "ControlPlane", "control"}, // the documented short name
			{"install.xcp.tetrate.io/v1alpha1", "CentralXcp", "centralxcps.install.xcp.tetrate.io"},
			{"install.xcp.tetrate.io/v1alpha1", "EdgeXcp", "edgexcps.install.xcp.tetrate.io"},
			{"xcp.tetrate.io/v2", "Cluster", "clusters.xcp.tetrate.io"},
		} {
			file := filepath.Join(t.TempDir(), "object.yaml")
			text := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: x}\nspec: {misspelt: [1, {really: %s}]}\n",
				kind.apiVersion, kind.kind, c.Name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			kubectl(t, b, c.Name, "create", "--namespace=default", "-f", file)
			if got := kubectl(t, b, c.Name, "get", kind.resource, "x", "--namespace=default",
				"-o=jsonpath={.spec.misspelt[1].really}"); got != c.Name {
				t.Errorf("%s in %s came back with %q", kind.kind, c.Name, got)
			}
		}
	}
	if got := kubectl(t, b, "", "config", "current-context"); got != "hub" {
		t.Errorf("current context %q, want hub", got)
	}
}

func clustersShareNothing(t *testing.T, b *testbed.Bed) {
	hub, edge := b.Cluster("hub"), b.Cluster("edge-1")
	if _, err := client(t, hub.Config).CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "only-hub"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := client(t, edge.Config).CoreV1().Namespaces().Get(t.Context(), "only-hub",
		metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the other cluster answered %v, want not found", err)
	}
	foreign := rest.CopyConfig(hub.Config)
	foreign.CAData = edge.Config.CAData
	if _, err := client(t, foreign).Discovery().ServerVersion(); err == nil ||
		!strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("with the other cluster's CA: %v, want unknown authority", err)
	}
	if err := client(t, hub.Config).CoreV1().Namespaces().Delete(t.Context(), "only-hub",
		metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if hub.KubeletIP == edge.KubeletIP || hub.ServiceIP(10) == edge.ServiceIP(10) {
		t.Error("two clusters share an address")
	}
}

// deploymentGetsPods creates a Deployment and waits for its two pods.
func deploymentGetsPods(t *testing.T, c *testbed.Cluster, name string) {
	k := client(t, c.Config)
	if _, err := k.AppsV1().Deployments("default").Create(t.Context(), deployment(name),
		metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return podCount(t, k, name, 2) })
}

// deployment has two pods with the label app.
func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	replicas := int32(2)
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "none"}}},
			},
		},
	}
}

func serviceTakesAddress(t *testing.T, c *testbed.Cluster) {
	svc, err := client(t, c.Config).CoreV1().Services("default").Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "hook"},
		Spec:       corev1.ServiceSpec{ClusterIP: c.ServiceIP(10), Ports: []corev1.ServicePort{{Port: 443}}},
	}, metav1.CreateOptions{})
	if err != nil || svc.Spec.ClusterIP != c.ServiceIP(10) {
		t.Errorf("service with address %s: %v", c.ServiceIP(10), err)
	}
}

func deletionTakesPods(t *testing.T, c *testbed.Cluster) {
	k := client(t, c.Config)
	if err := k.AppsV1().Deployments("default").Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() error { return podCount(t, k, "web", 0) })
}

// namespaceGoes looks for the namespace that clustersShareNothing deleted: the controller takes five seconds by design.
func namespaceGoes(t *testing.T, c *testbed.Cluster) {
	k := client(t, c.Config)
	eventually(t, func() error {
		if _, err := k.CoreV1().Namespaces().Get(t.Context(), "only-hub", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the namespace is still there (%v)", err)
		}
		return nil
	})
}

func usersHaveTheirRights(t *testing.T, c *testbed.Cluster) {
	_, err := client(t, c.Config).RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "readers"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "Group", Name: "readers"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	list := func(cfg *rest.Config) error {
		_, err := client(t, cfg).CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{})
		return err
	}
	eventually(t, func() error { return list(c.UserConfig("eve", "readers")) })
	if err := list(c.UserConfig("eve")); !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), `"eve"`) {
		t.Errorf("without the group: %v, want that eve is forbidden", err)
	}
}

func frozenServerHangsAlone(t *testing.T, b *testbed.Bed) {
	hub, edge := b.Cluster("hub"), b.Cluster("edge-1")
	edge.Freeze()
	defer edge.Thaw()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := answers(ctx, t, edge); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the frozen one: %v, want a deadline that passes", err)
	}
	if err := answers(t.Context(), t, hub); err != nil {
		t.Errorf("the other one: %v", err)
	}
	edge.Thaw()
	eventually(t, func() error { return answers(t.Context(), t, edge) })
}

func killedServerComesBack(t *testing.T, c *testbed.Cluster) {
	deploymentGetsPods(t, c, "before")
	c.KillAPIServer()
	if err := answers(t.Context(), t, c); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("killed: %v, want connection refused", err)
	}
	c.Freeze() // without a server these do nothing
	c.Thaw()
	c.KillAPIServer()
	if err := c.RestartAPIServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := podCount(t, client(t, c.Config), "before", 2); err != nil {
		t.Error(err)
	}
	deploymentGetsPods(t, c, "after") // the controllers found it again
}

func TestStartRefusesNames(t *testing.T) {
	for want, names := range map[string][]string{
		"no clusters":      nil,
		`"../x"`:           {"../x"},
		`"a" is asked for`: {"a", "b", "a"},
	} {
		if _, err := testbed.Start(t.Context(), testbed.Options{Clusters: names}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", names, err, want)
		}
	}
	o := testbed.Options{Clusters: []string{"a"}, CertManager: []string{"b"}}
	if _, err := testbed.Start(t.Context(), o); err == nil || !strings.Contains(err.Error(),
		`cert-manager is asked for in "b"`) {
		t.Errorf("cert-manager in a cluster that is not there: %v", err)
	}
}

func TestAnInterruptedStartLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	dir := t.TempDir()
	var started []process
	go func() {
		defer cancel()
		eventually(t, func() error { // the moment to interrupt is when the API server has just started
			started = descendants(t, os.Getpid())
			if !slices.ContainsFunc(started, func(p process) bool { return p.name == "kube-apiserver" }) {
				return fmt.Errorf("no API server among %v", started)
			}
			return nil
		})
	}()
	_, err := testbed.Start(ctx, testbed.Options{Clusters: []string{"one"}, Dir: dir})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the start was canceled", err)
	}
	awaitGone(t, started)
}

// bedOf, when set, makes the test binary start a bed in that directory, say so and wait to be killed.
const bedOf = "TESTBED_TEST_BED"

func TestMain(m *testing.M) {
	dir := os.Getenv(bedOf)
	if dir == "" {
		os.Exit(m.Run())
	}
	if _, err := testbed.Start(context.Background(), testbed.Options{Clusters: []string{"one"}, Dir: dir}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("up")
	select {}
}

func TestNothingOutlivesAKilledProcess(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	dir := t.TempDir()
	cmd.Env = append(os.Environ(), bedOf+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := make([]byte, 4096)
	n, _ := out.Read(said)
	started := descendants(t, cmd.Process.Pid)
	cmd.Process.Kill()
	cmd.Wait()
	if got := string(said[:n]); got != "up\n" {
		t.Fatalf("the process that starts the bed says %s", got)
	}
	if len(started) < 4 { // keeper, etcd, API server, controller manager
		t.Fatalf("only %d processes: %v", len(started), started)
	}
	awaitGone(t, started)
	if _, err := os.Stat(filepath.Join(dir, "etcd")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("etcd's data: %v, want that it does not exist", err)
	}
}

// process is one process of this machine; its start time tells it from a later one of the same id.
type process struct{ pid, ppid, name, began string }

// processes lists what runs; ended processes that only wait to be collected are left out.
func processes(t *testing.T) (out []process) {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range stats {
		b, _ := os.ReadFile(path) // gone since
		open, shut := strings.Index(string(b), "("), strings.LastIndex(string(b), ")")
		if shut < 0 {
			continue
		}
		rest := strings.Fields(string(b[shut+1:])) // from field 3 of proc_pid_stat(5) on: the state
		if rest[0] != "Z" {
			out = append(out, process{pid: strings.TrimSpace(string(b[:open])), ppid: rest[1], name: string(b[open+1 : shut]),
				began: rest[19]})
		}
	}
	return out
}

// descendants lists what a process started, and what that started.
func descendants(t *testing.T, pid int) []process {
	all := processes(t)
	var out []process
	for parents := []string{fmt.Sprint(pid)}; len(parents) > 0; parents = parents[1:] {
		for _, p := range all {
			if p.ppid == parents[0] {
				out, parents = append(out, p), append(parents, p.pid)
			}
		}
	}
	return out
}

func awaitGone(t *testing.T, gone []process) {
	t.Helper()
	eventually(t, func() error {
		for _, p := range processes(t) {
			for _, g := range gone {
				if p.pid == g.pid && p.began == g.began {
					return fmt.Errorf("process %s (%s) is still there", p.pid, p.name)
				}
			}
		}
		return nil
	})
}

func kubectl(t *testing.T, b *testbed.Bed, context string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(b.Bin, "kubectl"),
		append([]string{"--context=" + context}, args...)...)
	cmd.Env = []string{"KUBECONFIG=" + b.Kubeconfig, "HOME=" + t.TempDir()}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("kubectl %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func client(t *testing.T, cfg *rest.Config) kubernetes.Interface {
	t.Helper()
	k, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// answers asks for a namespace that always exists.
func answers(ctx context.Context, t *testing.T, c *testbed.Cluster) error {
	t.Helper()
	_, err := client(t, c.Config).CoreV1().Namespaces().Get(ctx, "default", metav1.GetOptions{})
	return err
}

// podCount returns nil if the app has so many pods.
func podCount(t *testing.T, k kubernetes.Interface, app string, want int) error {
	t.Helper()
	pods, err := k.CoreV1().Pods("default").List(t.Context(), metav1.ListOptions{LabelSelector: "app=" + app})
	if err == nil && len(pods.Items) != want {
		err = fmt.Errorf("%d pods of %s, want %d", len(pods.Items), app, want)
	}
	return err
}

// eventually polls until check returns nil, for at most two minutes on a busy machine.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(2 * time.Minute); ; <-tick.C {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("still after two minutes: %v", err)
			return
		}
	}
}
