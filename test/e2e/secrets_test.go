package e2e

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// collectLimit bounds reading the secrets of a fleet of which a test may have stopped a part.
const collectLimit = 20 * time.Second

// noSecrets fails the test when a secret of any cluster is in what the plugin printed, in what it may have written
// into the clusters, or in one of the given texts.
func (f fleet) noSecrets(texts map[string]string) {
	f.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.Context()), collectLimit)
	defer cancel()
	if err := f.CollectSecrets(ctx, &f.Secrets); err != nil {
		f.Logf("looking for the secrets of the beginning alone in what was printed: %v", err) // the test stopped a cluster
	}
	written, err := f.Written(ctx)
	if err != nil {
		f.Logf("not looking for secrets in all that was written: %v", err)
	}
	f.Recorder.NoSecrets(written, texts)
}

// NoSecrets is noSecrets for texts without a name: files that a run wrote.
func (f fleet) NoSecrets(outputs ...string) {
	f.Helper()
	texts := map[string]string{}
	for i, o := range outputs {
		texts[fmt.Sprintf("output %d", i)] = o
	}
	f.noSecrets(texts)
}

// What every test here relies on: a secret that is printed, or lies where a run writes, is found.
func lookThatLeaksAreFound(t *testing.T, f fleet) {
	t.Helper()
	token := f.get("edge-1", "istio-system", "secret/cluster-service-account", `{.data.jwk}`)
	var found bytes.Buffer
	for _, leak := range f.Secrets.Find("the row says " + token) {
		fmt.Fprintln(&found, leak)
	}
	if !strings.Contains(found.String(), "jwk of secret istio-system/cluster-service-account in edge-1") {
		t.Errorf("a printed key is not found: %q", found.String())
	}
}
