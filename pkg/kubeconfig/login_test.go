package kubeconfig

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// heard is what is printed for a user, and tells when something was.
type heard struct {
	mu      sync.Mutex
	text    bytes.Buffer
	printed chan struct{}
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.text.Len() == 0 {
		close(h.printed)
	}
	return h.text.Write(p)
}

// A plugin that opened a browser may say nothing at all: its user is told that it runs, its time is not the cluster's
// from then on, and others have its slot.
func TestAPluginThatSaysNothingIsAnnounced(t *testing.T) {
	done := filepath.Join(t.TempDir(), "done")
	plugin := &clientcmdapi.ExecConfig{APIVersion: "client.authentication.k8s.io/v1", Command: "sh",
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode, Args: []string{"-c", "while ! [ -e " + done +
			" ]; do sleep 0.02; done; " +
			`echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}'`}}
	h := &heard{printed: make(chan struct{})}
	l := newLogins(nil, h, true, policy{})
	l.silence = 20 * time.Millisecond
	var mu sync.Mutex
	told, counts := sync.NewCond(&mu), true // whether its time is the cluster's
	got := make(chan error)
	go func() {
		_, err := l.get(t.Context(), plugin, &rest.Config{}, nil, "eu", func(running bool) {
			mu.Lock()
			defer mu.Unlock()
			counts = running
			told.Broadcast()
		})
		got <- err
	}()
	<-h.printed
	mu.Lock()
	for counts {
		told.Wait()
	}
	mu.Unlock()
	if len(l.slots) != 0 {
		t.Error("it still has a slot")
	}
	if err := os.WriteFile(done, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := <-got; err != nil {
		t.Fatal(err)
	}
	if !counts {
		t.Error("what comes after it is not the cluster's time")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if text := h.text.String(); !strings.HasPrefix(text,
		"context eu: its credential plugin sh still runs; if it opened a browser, log in there") ||
		strings.Count(text, "\n") != 1 {
		t.Errorf("its user is told %q", text)
	}
}
