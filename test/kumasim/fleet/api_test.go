package fleet_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// forwarded is a local address of a port of the global's pod, through the API server and the node, as kubectl
// port-forward makes one.
func (p *played) forwarded(port int) string {
	p.t.Helper()
	pods, err := p.kube("global").CoreV1().Pods(namespace).List(p.t.Context(), metav1.ListOptions{})
	if err != nil || len(pods.Items) != 1 {
		p.t.Fatalf("%d pods: %v", len(pods.Items), err)
	}
	config := bed.Cluster("global").Config
	to := p.kube("global").CoreV1().RESTClient().Post().Resource("pods").Namespace(namespace).Name(pods.Items[0].Name).SubResource("portforward").URL()
	dialer, err := portforward.NewSPDYOverWebsocketDialerForStreaming(to, config)
	if err != nil {
		p.t.Fatal(err)
	}
	stop, ready, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	fw, err := portforward.NewForStreaming(dialer, []string{fmt.Sprintf("0:%d", port)}, stop, ready,
		io.Discard, io.Discard)
	if err != nil {
		p.t.Fatal(err)
	}
	go func() { ended <- fw.ForwardPorts() }()
	p.t.Cleanup(func() { close(stop) })
	select {
	case <-ready:
	case err := <-ended:
		p.t.Fatal(err)
	case <-p.t.Context().Done():
		p.t.Fatal("no port-forward")
	}
	ports, err := fw.GetPorts()
	if err != nil {
		p.t.Fatal(err)
	}
	return fmt.Sprintf("localhost:%d", ports[0].Local)
}

// The administrator's token is made at the global's start; with it, and not without, the API issues what the global
// then accepts. Whoever comes through port-forward is nobody in particular.
func TestTheGlobalIssuesTokensToWhoHasTheRight(t *testing.T) {
	p := start(t, func(o *fleet.Options) {
		o.Users = map[string]kumasim.User{"bob": {Name: "bob", Groups: []string{"team"}}}
		o.GlobalEnv = []corev1.EnvVar{{Name: "KUMA_API_SERVER_HTTP_PORT", Value: "6681"}}
	})
	p.rolledOut("global")
	s, err := p.kube("global").CoreV1().Secrets(namespace).Get(t.Context(), "admin-user-token", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := "http://" + p.forwarded(6681)
	ask := func(token string) (int, string) {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, at+"/tokens/zone",
			strings.NewReader(`{"zone":"west","scope":["cp"],"validFor":"1h"}`))
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(text)
	}
	for token, want := range map[string]int{"": 403, "bob": 403, "mallory": 401} {
		if code, text := ask(token); code != want {
			t.Errorf("%q: %d %s", token, code, text)
		}
	}
	code, token := ask(string(s.Data["value"]))
	if code != 200 {
		t.Fatalf("the administrator: %d %s", code, token)
	}
	if err := p.Verdict("west", token); err != nil {
		t.Errorf("the global refuses what it issued: %v", err)
	}
	if all := p.Issued(); len(all) != 1 || all[0].By != "mesh-system:admin" || all[0].Zone != "west" {
		t.Errorf("issued: %+v", all)
	}
}
