package testbed_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/testbed"
)

// apiServerAsksKubelet puts a pod on a node whose kubelet is a server of this test, and reads the pod's log.
func apiServerAsksKubelet(t *testing.T, c *testbed.Cluster) {
	kubelet := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte("asked " + r.URL.Path))
	}))
	kubelet.Listener.Close()
	l, err := net.Listen("tcp4", c.KubeletIP+":0")
	if err != nil {
		t.Fatal(err)
	}
	kubelet.Listener = l
	kubelet.StartTLS()
	defer kubelet.Close()

	k := client(t, c.Config)
	node, err := k.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "played"}},
		metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: c.KubeletIP}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(l.Addr().(*net.TCPAddr).Port)
	if _, err := k.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err = k.CoreV1().Pods("default").Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "played"},
		Spec:       corev1.PodSpec{NodeName: "played", Containers: []corev1.Container{{Name: "c", Image: "none"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := k.CoreV1().Pods("default").GetLogs("played", &corev1.PodLogOptions{}).DoRaw(t.Context())
	if want := "asked /containerLogs/default/played/c"; err != nil || string(got) != want {
		t.Errorf("the log is %q with error %v, want %q", got, err, want)
	}
}
