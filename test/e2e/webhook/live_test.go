//go:build linux

package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/fault"
	"github.com/xcpauth/kubectl-xcpauth/test/rbac"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

const (
	mesh   = "istio-system"
	reader = "xcpauth-reader"
)

// edge is a real cluster with an edge in it: the objects are real, the pods are made by the real controllers and
// never run.
type edge struct {
	*hub
	cluster *testbed.Cluster
	objects dynamic.Interface
	kube    kubernetes.Interface
	bin     string   // where kubectl-xcpauth is
	as      string   // the kubeconfig of somebody who may register, and nothing else
	printed []string // by every run of the plugin
}

func startEdge(h *hub) *edge {
	h.Helper()
	e := &edge{hub: h, cluster: h.bed.Cluster("edge-1"), bin: h.TempDir()}
	var errObjects, errKube error
	e.objects, errObjects = dynamic.NewForConfig(e.cluster.Config)
	e.kube, errKube = kubernetes.NewForConfig(e.cluster.Config)
	h.must(errors.Join(errObjects, errKube, sandbox.Build(h.Context(), "./plugin/kubectl-xcpauth",
		filepath.Join(e.bin, "kubectl-xcpauth"))))
	e.apply("namespaces", m{"apiVersion": "v1", "kind": "Namespace", "metadata": m{"name": mesh}})
	e.present("MUTUAL_TLS")
	h.create(xcpClusters, copied(m{"apiVersion": "xcp.tetrate.io/v2", "kind": "Cluster",
		"metadata": m{"namespace": "live", "name": "edge-1"}}))
	return e
}

func (e *edge) apply(resource string, o m) {
	e.Helper()
	u := copied(o)
	gv := u.GroupVersionKind().GroupVersion()
	_, err := e.objects.Resource(gv.WithResource(resource)).Namespace(u.GetNamespace()).Apply(e.Context(), u.GetName(), u,
		metav1.ApplyOptions{FieldManager: owner, Force: true})
	e.must(err)
}

// present has the edge declare, be told and be rolled out with a mode, and returns when its pods are those of it.
func (e *edge) present(mode string) {
	e.Helper()
	secret := map[string]string{"MUTUAL_TLS": "xcp-edge-cert", "JWT": "xcp-edge-central-auth-token"}[mode]
	e.declare(mode)
	e.apply("edgexcps", m{"apiVersion": "install.xcp.tetrate.io/v1alpha1", "kind": "EdgeXcp",
		"metadata": m{"namespace": mesh, "name": "edge-xcp"}, "spec": m{"centralAuthMode": mode}})
	labels := m{"app": "edge"}
	e.apply("deployments", m{"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": m{"namespace": mesh, "name": "edge"}, "spec": m{"replicas": 2, "strategy": m{"type": "Recreate"},
			"selector": m{"matchLabels": labels},
			"template": m{"metadata": m{"labels": labels}, "spec": m{"containers": []any{m{"name": "edge", "image": "edge"}},
				"volumes": []any{m{"name": "credential", "secret": m{"secretName": secret}}}}}}})
	e.eventually("the edge's pods are of "+mode, func(ctx context.Context) error {
		pods, err := e.kube.CoreV1().Pods(mesh).List(ctx, metav1.ListOptions{LabelSelector: "app=edge"})
		if err != nil {
			return err
		}
		for _, p := range pods.Items {
			if p.Spec.Volumes[0].Secret == nil || p.Spec.Volumes[0].Secret.SecretName != secret {
				return fmt.Errorf("pod %s mounts %v", p.Name, p.Spec.Volumes[0])
			}
		}
		if len(pods.Items) != 2 {
			return fmt.Errorf("%d pods", len(pods.Items))
		}
		return nil
	})
}

// declare writes the mode into the ControlPlane, which is made when it is not there.
func (e *edge) declare(mode string) {
	e.Helper()
	e.apply("controlplanes", m{"apiVersion": "install.tetrate.io/v1alpha1", "kind": "ControlPlane",
		"metadata": m{"namespace": mesh, "name": "controlplane"},
		"spec": m{"managementPlane": m{"host": "tsb.example.test", "port": 9443, "clusterName": "edge-1"},
			"components": m{"xcp": m{"centralAuthMode": mode}}}})
}

// registrar gives somebody the shipped roles, and nothing else. Who may only look is told what is missing.
func (e *edge) registrar() {
	e.Helper()
	root, err := sandbox.Root()
	e.must(err)
	users, onlookers := map[string]*rest.Config{}, map[string]*rest.Config{}
	for name, of := range map[string]struct {
		cluster        *testbed.Cluster
		dir, namespace string
	}{"hub": {e.hub.cluster, "hub", "live"}, "edge-1": {e.cluster, "edge", mesh}} {
		users[name], onlookers[name] = of.cluster.UserConfig("registrar"), of.cluster.UserConfig("onlooker")
		kubectl := func(stdin string, args ...string) (string, error) {
			out, err := e.hub.kubectlInput(stdin, append([]string{"--context", name}, args...)...)
			if err != nil {
				return "", fmt.Errorf("kubectl %v: %s", args, out)
			}
			return out, nil
		}
		e.must(rbac.Bind(kubectl, root, of.dir, of.namespace, "onlooker", "xcpauth-read"))
		e.must(rbac.Bind(kubectl, root, of.dir, of.namespace, "registrar", "xcpauth-read", "xcpauth-register"))
	}
	if out, err := e.kubectl("-n", edgesNamespace, "create", "rolebinding", "xcpauth-register",
		"--role=xcpauth-register", "--user=registrar"); err != nil {
		e.Fatal(out)
	}
	e.as = filepath.Join(e.bin, "onlooker")
	e.must(testbed.WriteKubeconfig(e.as, "hub", onlookers))
	e.printedHas(e.xcpauth(5, "edge", "register", "edge-1"), "edge-1 edge-1 blocked",
		"rights are missing in hub: create edgeclusters.xcpauth.io")
	e.as = filepath.Join(e.bin, "registrar")
	e.must(testbed.WriteKubeconfig(e.as, "hub", users))
}

// xcpauth runs the plugin as kubectl does, and returns what it printed on both streams.
func (e *edge) xcpauth(code int, args ...string) string {
	e.Helper()
	cmd := exec.CommandContext(e.Context(), filepath.Join(e.bed.Bin, "kubectl"), append([]string{"xcpauth"}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.as, "PATH="+e.bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		e.Fatal(err)
	}
	e.printed = append(e.printed, out.String())
	if got := cmd.ProcessState.ExitCode(); got != code {
		e.Fatalf("kubectl xcpauth %v: exit code %d, want %d\n%s", args, got, code, out.String())
	}
	return out.String()
}

// edit tries to take mTLS away, and leaves the object as it is.
func (e *edge) edit() error {
	_, err := e.hub.objects.Resource(managementPlanes).Namespace("live").Patch(e.Context(), "managementplane",
		"application/merge-patch+json",
		[]byte(`{"spec":{"components":{"xcp":{"centralAuthModes":{"mutualTls":false}}}}}`),
		metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

// becomes waits until the edit is denied with a text: rights and tokens outlive their objects by some seconds.
func (e *edge) becomes(when, text string) {
	e.Helper()
	e.eventually(when, func(context.Context) error {
		if err := e.edit(); err == nil || !strings.Contains(err.Error(), text) ||
			!strings.Contains(err.Error(), "edge-1: mtls") {
			return fmt.Errorf("%v, want a denial with %q", err, text)
		}
		return nil
	})
}

// token is the one that lies in the hub.
func (e *edge) token() string {
	e.Helper()
	s, err := e.hub.kube.CoreV1().Secrets(edgesNamespace).Get(e.Context(), "edge-1", metav1.GetOptions{})
	e.must(err)
	_, after, _ := strings.Cut(string(s.Data["kubeconfig"]), "token: ")
	token, _, _ := strings.Cut(after, "\n")
	if len(token) < 100 {
		e.Fatal("no token lies in the hub")
	}
	return token
}

// A hub, a real edge, the plugin as somebody with the shipped roles, the deployed webhook: what the edge presents is
// decided from what its own cluster says at that moment, and nothing that happens to the way there admits anything.
func TestARegisteredEdgeIsReadLive(t *testing.T) {
	h := startHub(t, "edge-1")
	h.create(managementPlanes, managementPlane(h.namespace("live"), "managementplane", bothModes))
	n := deploy(h)
	e := startEdge(h)
	e.registrar()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the webhook's log:\n%s", n.Log())
		}
	})

	h.denied(e.edit(), "edge-1: mtls")
	e.printedHas(e.xcpauth(0, "edge", "register", "edge-1"), "read live from now on", "presents mtls", "status")
	tokens := []string{e.token()}
	e.printedHas(e.xcpauth(0, "edge", "list", "-o", "json"), `"evidence": "live"`)
	e.printedHas(e.xcpauth(0, "status", "edge-1"), "the webhook reads it live")
	h.denied(e.edit(), "edge-1: mtls (read in its cluster at ", "declares MUTUAL_TLS")

	e.present("JWT") // nothing is published
	h.must(e.edit())
	e.declare("MUTUAL_TLS")
	h.denied(e.edit(), "edge-1: mtls (read in its cluster at ", "declares MUTUAL_TLS")
	e.declare("JWT")
	h.must(e.edit())

	for name, trouble := range map[string]struct {
		begin, heal func()
		why         string
	}{
		"hung": {e.cluster.Freeze, e.cluster.Thaw, "its API server did not answer within"},
		"stopped": {e.cluster.KillAPIServer, func() { h.must(e.cluster.RestartAPIServer(h.Context())) },
			"its API server refused the connection"},
	} {
		trouble.begin()
		h.denied(e.edit(), "edge-1: mtls", trouble.why)
		trouble.heal()
		e.eventually(name+" and healed", func(context.Context) error { return e.edit() })
	}

	was := e.cluster.Config
	h.must(e.cluster.ServeByAnotherCA(t.Context()))
	e.becomes("its CA is another", "signed by another CA than the one registered")
	e.cluster.Config = was
	h.must(e.cluster.RestartAPIServer(t.Context()))
	e.eventually("its CA is the one before", func(context.Context) error { return e.edit() })

	again := func() {
		t.Helper()
		e.xcpauth(0, "edge", "register", "edge-1")
		tokens = append(tokens, e.token())
		h.must(e.edit())
	}
	h.must(e.kube.CoreV1().ServiceAccounts(mesh).Delete(t.Context(), reader, metav1.DeleteOptions{}))
	e.becomes("its token is revoked", "refused the token (401)")
	again()
	h.must(e.kube.RbacV1().RoleBindings(mesh).Delete(t.Context(), reader, metav1.DeleteOptions{}))
	e.becomes("its rights are taken away", "there (403)")
	again()
	h.must(h.kube.CoreV1().Secrets(edgesNamespace).Delete(t.Context(), "edge-1", metav1.DeleteOptions{}))
	h.denied(e.edit(), "edge-1: mtls", "kubectl xcpauth edge register edge-1")
	again()
	h.must(e.objects.Resource(controlPlanes).Namespace(mesh).Delete(t.Context(), "controlplane", metav1.DeleteOptions{}))
	e.becomes("its ControlPlane is gone", "is not there")
	e.declare("JWT")
	h.denied(e.edit(), "was re-created")
	again()

	// its certificate alone takes longer than a call
	slow, err := fault.Listen(strings.TrimPrefix(e.cluster.Server, "https://"), fault.TCP{Rate: 400})
	h.must(err)
	defer slow.Close()
	e.printedHas(e.xcpauth(0, "edge", "register", "edge-1", "--server", "https://"+slow.Address),
		"is not reached from here")
	tokens = append(tokens, e.token())
	h.denied(e.edit(), "edge-1: mtls", "its API server did not answer within")
	again()

	renewed(e, n, &tokens)

	e.printedHas(e.xcpauth(0, "edge", "register", "edge-1", "--server", "https://"+h.cluster.ServiceIP(77)+":6443"),
		"is not reached from here", "refused the connection")
	tokens = append(tokens, e.token())
	h.denied(e.edit(), "edge-1: mtls", "refused the connection")
	again()

	e.printedHas(e.xcpauth(0, "edge", "unregister", "edge-1"), "decided from statements again")
	h.denied(e.edit(), "edge-1: mtls", "nothing is verified about it")
	if _, err := e.kube.CoreV1().ServiceAccounts(mesh).Get(t.Context(), reader,
		metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the reader's identity is left in the edge: %v", err)
	}
	if _, err := h.kube.CoreV1().Secrets(edgesNamespace).Get(t.Context(), "edge-1",
		metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the kubeconfig is left in the hub: %v", err)
	}
	e.printedHas(e.xcpauth(0, "edge", "unregister", "edge-1"), "was not registered to be read live")

	for _, token := range tokens {
		if strings.Contains(n.Log()+strings.Join(e.printed, ""), token) {
			t.Error("a token was printed or logged")
		}
	}
}

// renewed lets two thirds of a token's life pass, by what its Secret says.
func renewed(e *edge, n node, tokens *[]string) {
	e.Helper()
	n.Stop()
	e.must(n.Start(e.Context(), "--live-interval=200ms"))
	now := time.Now().UTC()
	before := e.token()
	out, err := e.hub.kubectl("-n", edgesNamespace, "annotate", "--overwrite", "secret/edge-1",
		"xcpauth.io/token-issued="+now.Add(-50*time.Minute).Format(time.RFC3339), "xcpauth.io/token-expires="+now.Add(10*time.Minute).Format(time.RFC3339))
	if err != nil {
		e.Fatal(out)
	}
	e.eventually("the webhook has renewed the token", func(context.Context) error {
		if e.token() == before {
			return errors.New("still the old one")
		}
		return nil
	})
	*tokens = append(*tokens, e.token())
	e.must(e.edit())
}

func (e *edge) printedHas(printed string, texts ...string) {
	e.Helper()
	flat := strings.Join(strings.Fields(printed), " ")
	for _, text := range texts {
		if !strings.Contains(flat, text) {
			e.Errorf("%q is not in:\n%s", text, printed)
		}
	}
}
