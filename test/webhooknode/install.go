package webhooknode

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// Name is the name of the webhook's Deployment, Service, configuration and service account.
const Name = "xcpauth-webhook"

// AuditorName is the name of the auditor's Deployment and service account.
const AuditorName = "xcpauth-auditor"

// Ports that are tried in this order. The Service's own port is the first; a user who may not listen there, or a
// machine where something listens on every address, gets the next, in the Service and in whoever refers to it.
var (
	admissionPorts = []int{443, 10250, 20250}
	metricsPorts   = []int{8080, 18080, 28080}
	healthPorts    = []int{8081, 18081, 28081}
)

// Install applies an overlay of the manifests with the real kubectl, as administrator, and returns when the roster's
// kind is established. All that is added to the overlay is the Service's address, one of the cluster's service range
// (see testbed.Cluster.ServiceIP), and another port where 443 cannot be had: no kube-proxy runs here, so the process
// listens at the Service's own address. A second call is for an overlay of another kind, while no process of the
// first listens.
func Install(ctx context.Context, bed *testbed.Bed, hub *testbed.Cluster, overlayDir, clusterIP string) error {
	port, err := freePort(clusterIP, admissionPorts)
	if err != nil {
		return fmt.Errorf("installing the webhook in %s: %w", hub.Name, err)
	}
	dir, err := os.MkdirTemp("", "xcpauth-webhook-")
	if err != nil {
		return fmt.Errorf("installing the webhook in %s: %w", hub.Name, err)
	}
	defer os.RemoveAll(dir)
	if err := writeOverlay(dir, overlayDir, clusterIP, port); err != nil {
		return fmt.Errorf("installing the webhook in %s: writing an overlay of %s: %w", hub.Name, overlayDir, err)
	}
	for _, args := range [][]string{
		{"apply", "-k", dir},
		{"wait", "--for=condition=Established", "--timeout=60s", "crd/edgeclusters.xcpauth.io"},
	} {
		cmd := exec.CommandContext(ctx, filepath.Join(bed.Bin, "kubectl"), append([]string{"--kubeconfig", bed.Kubeconfig,
			"--context", hub.Name}, args...)...)
		// what an earlier bed served at the same address is not served now
		cmd.Env = append(os.Environ(), "KUBECACHEDIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("installing the webhook in %s: kubectl %s: %w\n%s", hub.Name, args[0], err, out)
		}
	}
	return nil
}

// writeOverlay makes dir an overlay of another one. kustomize takes other directories by a relative path without links.
func writeOverlay(dir, of, clusterIP string, port int) error {
	of, err := filepath.Abs(of)
	if err != nil {
		return err
	}
	from, errFrom := filepath.EvalSymlinks(dir)
	to, errTo := filepath.EvalSymlinks(of)
	if err := errors.Join(errFrom, errTo); err != nil {
		return err
	}
	base, err := filepath.Rel(from, to)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`
resources: [%q]
patches:
- target: {kind: Service, name: %s}
  patch: '[{"op": "add", "path": "/spec/clusterIP", "value": %q}]'
`, base, Name, clusterIP)
	if port != admissionPorts[0] {
		text += fmt.Sprintf(`
- target: {kind: Service, name: %[1]s}
  patch: '[{"op": "replace", "path": "/spec/ports/0/port", "value": %[2]d}]'
`, Name, port)
	}
	return os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(text), 0o644)
}

// freePort is the first of the ports at which this process may listen at ip.
func freePort(ip string, ports []int) (int, error) {
	var last error
	for _, port := range ports {
		l, err := net.Listen("tcp4", net.JoinHostPort(ip, strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		last = err
	}
	return 0, fmt.Errorf("no port can be listened at: tried %v at %s: %w", ports, ip, last)
}

// Port is the first port at which this process may listen at an address of the service range.
func Port(clusterIP string) (string, error) {
	port, err := freePort(clusterIP, admissionPorts)
	return strconv.Itoa(port), err
}

// Adopt makes a webhook that was installed otherwise one that a node can serve: where this process may not listen at
// its Service's port, the Service gets another.
func Adopt(ctx context.Context, hub *testbed.Cluster) error {
	kube, err := kubernetes.NewForConfig(hub.Config)
	if err != nil {
		return fmt.Errorf("adopting the webhook of %s: %w", hub.Name, err)
	}
	service, err := kube.CoreV1().Services(api.Namespace).Get(ctx, Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("adopting the webhook of %s: %w", hub.Name, err)
	}
	port, err := freePort(service.Spec.ClusterIP, append([]int{int(service.Spec.Ports[0].Port)}, admissionPorts...))
	if err != nil {
		return fmt.Errorf("adopting the webhook of %s: %w", hub.Name, err)
	}
	service.Spec.Ports[0].Port = int32(port)
	if _, err := kube.CoreV1().Services(api.Namespace).Update(ctx, service, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("adopting the webhook of %s: %w", hub.Name, err)
	}
	return nil
}
