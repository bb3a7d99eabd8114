//go:build linux

package webhook

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
	"github.com/xcpauth/kubectl-xcpauth/test/rbac"
	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// shell runs a command as a user would type it, with a kubeconfig of that user ("" = the administrator) and further
// programs of a directory. It returns what was printed on both streams and the exit code.
func (h *hub) shell(user, dir, command string) (string, int) {
	h.Helper()
	config := h.cluster.Config
	if user != "" {
		config = h.cluster.UserConfig(user)
	}
	path := filepath.Join(h.TempDir(), "kubeconfig")
	h.must(testbed.WriteKubeconfig(path, "hub", map[string]*rest.Config{"hub": config}))
	cmd := exec.CommandContext(h.Context(), "sh", "-c", command)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+path, "PATH="+dir+":"+h.bed.Bin+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		h.Fatalf("%s: %v", command, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

func saysThatItWasAsked(h *hub, _ node) {
	h.guarded("asked", cases.OnMTLS)
	for _, e := range []struct {
		name  string
		asked int
		patch m
	}{
		{"of both modes on", 0, m{"spec": m{"components": m{"xcp": m{"logLevels": m{"stream": "debug"}}}}}},
		{"admitted", 1, m{"spec": m{"components": m{"xcp": m{"centralAuthModes": m{"jwt": false}}}}}},
		{"denied", 1, withoutMTLS},
		{"of something else", 0, m{"spec": m{"hub": "other.example"}}},
	} {
		h.warned.take()
		// what was asked is looked at, not what was decided
		_ = h.mergePatch(managementPlanes, "asked", "managementplane", e.patch)
		if _, asked := h.warned.asked(); asked != e.asked {
			h.Errorf("an edit %s: said %d times that it was asked, want %d", e.name, asked, e.asked)
		}
	}
}

// printed is the command that a denial prints.
func (h *hub) printed(denial, program string) string {
	h.Helper()
	command := regexp.MustCompile(`(?m)` + program + ` .*$`).FindString(denial)
	if command == "" {
		h.Fatalf("no %s in the denial:\n%s", program, denial)
	}
	return command
}

// event waits for an Event about a ManagementPlane.
func (h *hub) event(ns, reason string, texts ...string) {
	h.Helper()
	h.eventually("an Event "+reason, func(ctx context.Context) error {
		list, err := h.kube.EventsV1().Events(ns).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Reason == reason && e.Regarding.Kind == "ManagementPlane" && e.Regarding.UID != "" &&
				(e.Type == "Warning") == (reason != "WithdrawalAdmitted") && holds(e, texts) {
				return nil
			}
		}
		return fmt.Errorf("none among %d", len(list.Items))
	})
}

func holds(e eventsv1.Event, texts []string) bool {
	for _, text := range texts {
		if !strings.Contains(e.Note, text) {
			return false
		}
	}
	return true
}

func overrides(h *hub, _ node) {
	const ns = "tsb" // as in docs/webhook.md
	h.guarded(ns, cases.OnMTLS)
	modes := func() string {
		o, err := h.objects.Resource(managementPlanes).Namespace(ns).Get(h.Context(), "managementplane", metav1.GetOptions{})
		h.must(err)
		v, _, err := unstructured.NestedFieldNoCopy(o.Object, "spec", "components", "xcp", "centralAuthModes")
		h.must(err)
		return fmt.Sprint(v)
	}
	const both = "map[jwt:true mutualTls:true]"
	run := func(user, command string, code int, says ...string) string {
		h.Helper()
		out, got := h.shell(user, "", command)
		if got != code {
			h.Fatalf("%s: %s: exit code %d, want %d\n%s", user, command, got, code, out)
		}
		for _, text := range says {
			if !strings.Contains(out, text) {
				h.Errorf("%s: %s: not %q in\n%s", user, command, text, out)
			}
		}
		return out
	}
	root, err := sandbox.Root()
	h.must(err)
	kubectl := func(stdin string, args ...string) (string, error) {
		out, err := h.kubectlInput(stdin, args...)
		if err != nil {
			return "", fmt.Errorf("kubectl %v: %s", args, out)
		}
		return out, nil
	}
	for _, user := range []string{"alice", "bob"} {
		h.must(rbac.Bind(kubectl, root, "hub", ns, user, "xcpauth-read", "xcpauth-migrate"))
	}
	denial := run("alice", `kubectl patch managementplane managementplane -n tsb --type=merge -p '{"spec":{"components":{"xcp":{"centralAuthModes":{"mutualTls":null}}}}}'`, 1, "edge-1: mtls", "xcpauth.io/override=")
	patch := h.printed(denial, "kubectl patch")
	h.event(ns, "WithdrawalDenied", "alice", "edge-1")

	run("alice", patch, 1, "alice may not override this", "xcpauth-override")
	h.event(ns, "OverrideDenied", "alice", "forbidden")
	run("", "kubectl create rolebinding xcpauth-override -n tsb --clusterrole=xcpauth-override --user=alice", 0)
	// an authorizer takes a new binding over within moments
	h.eventually("alice may override", func(context.Context) error {
		if out, code := h.shell("alice", "", patch+" --dry-run=server"); code != 0 ||
			!strings.Contains(out, "Warning: - edge-1: mtls (stated by ci@e2e") {
			return fmt.Errorf("exit code %d: %s", code, out)
		}
		return nil
	})
	run("bob", patch, 1, "bob may not override this")
	if got := modes(); got != both {
		h.Errorf("denials and dry runs left %s", got)
	}

	h.register("edge-2", "uid-2", time.Hour, "mtls")
	newer := h.printed(run("alice", patch, 1, "does not name these blockers", "edge-2: mtls"), "kubectl patch")
	h.must(h.objects.Resource(api.EdgeClusters).Namespace(system).Delete(h.Context(), "edge-2", metav1.DeleteOptions{}))
	run("alice", newer, 1, "does not name these blockers")

	run("alice", patch, 0, "Warning: override admitted", "Warning: - edge-1: mtls (stated by ci@e2e")
	if got := modes(); got != "map[jwt:true]" {
		h.Errorf("the override left %s", got)
	}
	h.event(ns, "OverrideAdmitted", "alice", "edge-1")

	// what is stored admits nothing ever again
	h.must(h.mergePatch(managementPlanes, ns, "managementplane", m{"spec": m{"components": m{"xcp": bothModes}}}))
	stale := run("alice", patch, 1, "was there before this edit")
	h.denied(h.mergePatch(managementPlanes, ns, "managementplane", withoutMTLS), "was there before this edit")
	if got := modes(); got != both {
		h.Errorf("a used override left %s", got)
	}
	run("alice", h.printed(stale, "kubectl annotate"), 0)
	run("alice", patch, 0, "Warning: override admitted")
	run("", "kubectl delete rolebinding xcpauth-override -n tsb", 0)
}

// provenAsked looks as a user does, at the administrator's hub, whose one ManagementPlane with both modes on is
// denied to withdraw.
func provenAsked(h *hub, n node) {
	h.deleteHubs("proven")
	h.guarded("proven", cases.OnMTLS)
	root, err := sandbox.Root()
	h.must(err)
	dir := h.TempDir()
	h.must(sandbox.Build(h.Context(), "./plugin/kubectl-xcpauth", filepath.Join(dir, "kubectl-xcpauth")))
	before := h.version("proven")
	look := func(code int, says ...string) {
		h.Helper()
		out, got := h.shell("", dir, "kubectl xcpauth webhook status")
		flat := strings.Join(strings.Fields(out), " ")
		for _, text := range says {
			if got != code || !strings.Contains(flat, text) {
				h.Fatalf("exit code %d, want %d and %q\n%s", got, code, text, out)
			}
		}
	}
	look(0, "asked, and it denied the edit; its version is devel", "which 1 member may still present",
		"failurePolicy Fail, 1 CA until", "of 2 ready")
	h.fleet(cases.OnJWT)
	look(0, "asked, and it allowed the edit")
	n.Stop()
	look(5, "FAILED: the API server could not reach it", "connection refused",
		"kubectl get pods -n xcpauth-system --context hub")
	h.must(n.Start(h.Context()))
	if out, code := h.shell("", "", "kubectl delete validatingwebhookconfiguration xcpauth-webhook"); code != 0 {
		h.Fatal(out)
	}
	h.eventually("it is not asked any more", func(context.Context) error {
		if out, code := h.shell("", dir, "kubectl xcpauth webhook status"); code != 5 || !strings.Contains(out, "NOT ASKED") {
			return fmt.Errorf("exit code %d: %s", code, out)
		}
		return nil
	})
	look(5, "configuration: not installed", "install it: kubectl xcpauth install webhook --apply --wait --context ")
	if after := h.version("proven"); after != before {
		h.Error("the probe changed the object")
	}
	n.Stop()
	h.must(webhooknode.Install(h.Context(), h.bed, h.cluster, filepath.Join(root, "manifests", "overlays", "self-signed"),
		h.cluster.ServiceIP(20)))
	h.must(n.Start(h.Context()))
	h.eventually("it is asked again", func(context.Context) error {
		if out, code := h.shell("", dir, "kubectl xcpauth webhook status"); code != 0 {
			return fmt.Errorf("exit code %d: %s", code, out)
		}
		return nil
	})
}

// all lists the objects of a resource in every namespace.
func (h *hub) all(r schema.GroupVersionResource) []unstructured.Unstructured {
	h.Helper()
	list, err := h.objects.Resource(r).List(h.Context(), metav1.ListOptions{})
	h.must(err)
	return list.Items
}

// version is the resourceVersion of the ManagementPlane of a namespace.
func (h *hub) version(ns string) string {
	h.Helper()
	o, err := h.objects.Resource(managementPlanes).Namespace(ns).Get(h.Context(), "managementplane", metav1.GetOptions{})
	h.must(err)
	return o.GetResourceVersion()
}
