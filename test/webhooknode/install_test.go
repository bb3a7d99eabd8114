package webhooknode

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

func TestTheOverlayMovesTheService(t *testing.T) {
	find := exec.Command("go", "run", ".")
	find.Dir = filepath.Join("..", "k8s")
	bin, err := find.Output()
	if err != nil {
		t.Fatalf("finding kubectl: %v", err)
	}
	for _, port := range admissionPorts {
		t.Run(fmt.Sprint(port), func(t *testing.T) {
			dir := t.TempDir()
			if err := writeOverlay(dir, filepath.Join("..", "..", "manifests", "overlays", "self-signed"), "127.9.0.20",
				port); err != nil {
				t.Fatal(err)
			}
			rendered, err := exec.Command(filepath.Join(strings.TrimSpace(string(bin)), "kubectl"), "kustomize",
				dir).CombinedOutput()
			if err != nil {
				t.Fatalf("rendering: %v\n%s", err, rendered)
			}
			var service corev1.Service
			for _, doc := range strings.Split(string(rendered), "\n---\n") {
				if strings.Contains("\n"+doc, "\nkind: Service\n") {
					if err := yaml.UnmarshalStrict([]byte(doc), &service); err != nil {
						t.Fatal(err)
					}
				}
			}
			if service.Spec.ClusterIP != "127.9.0.20" || len(service.Spec.Ports) != 1 ||
				service.Spec.Ports[0].Port != int32(port) {
				t.Errorf("the Service is at %s %v", service.Spec.ClusterIP, service.Spec.Ports)
			}
		})
	}
}

func TestATakenPortIsPassedOver(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().(*net.TCPAddr).Port
	if port, err := freePort("127.0.0.1", []int{taken, 0}); err != nil || port != 0 {
		t.Errorf("got %d, %v; want the second", port, err)
	}
	if _, err := freePort("127.0.0.1", []int{taken}); err == nil {
		t.Error("no error although every port is taken")
	}
}
