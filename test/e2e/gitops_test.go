package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// reapplier plays Argo CD, or Flux, for one plane: it applies what Git says, again and again, with its mark and under
// its name. Git is a directory with a kustomization.
type reapplier struct {
	f           fleet
	cluster, at string     // its context, and the directory that is Git
	apply       []string   // how it applies
	mu          sync.Mutex // held while Git is read or changed
	merged      []string   // the components
}

// keep takes a plane into Git and starts a reapplier of it, until the test ends.
func (f fleet) keep(cluster, object, ns string, mark map[string]any, apply ...string) *reapplier {
	f.Helper()
	r := &reapplier{f: f, cluster: cluster, at: f.TempDir(), apply: apply}
	var live map[string]any
	out := f.Kubectl(f.Context(), "--context", cluster, "-n", ns, "get", object, "-o", "json")
	if err := json.Unmarshal([]byte(out.Stdout), &live); err != nil {
		f.Fatalf("reading %s: %v: %s", object, err, out.Stderr)
	}
	is := live["metadata"].(map[string]any)
	metadata := map[string]any{"name": is["name"], "namespace": is["namespace"]}
	for k, v := range mark {
		metadata[k] = v
	}
	f.writeYAML(filepath.Join(r.at, "plane.yaml"), map[string]any{"apiVersion": live["apiVersion"], "kind": live["kind"],
		"metadata": metadata, "spec": live["spec"]})
	r.merge("")
	ctx, stop := context.WithCancel(context.WithoutCancel(f.Context()))
	var ended sync.WaitGroup
	ended.Go(func() {
		for ctx.Err() == nil {
			r.once(ctx)
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond): // how often it looks at Git
			}
		}
	})
	f.Cleanup(func() { stop(); ended.Wait() })
	f.eventually(object+" of "+cluster+" is marked", func() bool {
		is := f.Kubectl(f.Context(), "--context", cluster, "-n", ns, "get", object, "-o", "jsonpath={.metadata}")
		return strings.Contains(is.Stdout, "in-git")
	})
	return r
}

// once applies what Git says now.
func (r *reapplier) once(ctx context.Context) {
	r.mu.Lock()
	rendered := r.f.Kubectl(ctx, "kustomize", r.at)
	r.mu.Unlock()
	file := filepath.Join(r.f.TempDir(), "rendered.yaml")
	if rendered.Code != 0 || os.WriteFile(file, []byte(rendered.Stdout), 0o600) != nil {
		if ctx.Err() == nil {
			r.f.Errorf("rendering what Git says of %s: %s", r.cluster, rendered.Stderr)
		}
		return
	}
	r.f.Kubectl(ctx, append([]string{"--context", r.cluster, "apply", "-f", file}, r.apply...)...)
}

// merge takes a component into Git; "" makes the first commit.
func (r *reapplier) merge(component string) {
	r.f.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if component != "" {
		name := fmt.Sprintf("wave-%d", len(r.merged)+1)
		if err := os.CopyFS(filepath.Join(r.at, name), os.DirFS(component)); err != nil {
			r.f.Fatal(err)
		}
		r.merged = append(r.merged, name)
	}
	r.f.writeYAML(filepath.Join(r.at, "kustomization.yaml"), map[string]any{"kind": "Kustomization",
		"apiVersion": "kustomize.config.k8s.io/v1beta1", "resources": []string{"plane.yaml"}, "components": r.merged})
}

func (f fleet) writeYAML(path string, v any) {
	f.Helper()
	text, err := yaml.Marshal(v)
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		f.Fatal(err)
	}
}

// Where Argo CD and Flux keep the planes, a migration is a merge for each wave: plan --patches says what Git must say,
// migrate verifies what they applied, does what is not in Git, and names the next.
func TestAFleetThatGitKeepsIsMigratedWaveByWave(t *testing.T) {
	t.Parallel()
	f := start(t, sandbox.Options{Webhook: true})
	argo := map[string]any{"annotations": map[string]any{
		"argocd.argoproj.io/tracking-id": "in-git:install.tetrate.io/ManagementPlane:tsb/managementplane"}}
	flux := map[string]any{"labels": map[string]any{"kustomize.toolkit.fluxcd.io/name": "in-git",
		"kustomize.toolkit.fluxcd.io/namespace": "flux-system"}}
	bySSA := []string{"--server-side", "--force-conflicts", "--field-manager=kustomize-controller"}
	git := map[string]*reapplier{
		"hub":    f.keep("hub", "managementplane/managementplane", "tsb", argo),
		"edge-1": f.keep("edge-1", "controlplane/controlplane", "istio-system", flux, bySSA...),
		"edge-2": f.keep("edge-2", "controlplane/controlplane", "istio-system", flux, bySSA...),
	}
	done := false
	for wave := 1; wave <= 8 && !done; wave++ {
		dir := filepath.Join(t.TempDir(), "patches")
		planned := f.Kubectl(t.Context(), "xcpauth", "plan", "--patches", dir)
		if planned.Code != 0 && planned.Code != 4 && planned.Code != 5 {
			t.Fatalf("plan ends with %d: %s%s", planned.Code, planned.Stdout, planned.Stderr)
		}
		index, err := os.ReadFile(filepath.Join(dir, "INDEX.md"))
		if err != nil {
			t.Fatalf("%v\n%s", err, planned.Stderr)
		}
		waves, err := filepath.Glob(filepath.Join(dir, "[0-9]*"))
		if err != nil {
			t.Fatal(err)
		}
		var next []string
		for i, w := range waves {
			components, err := filepath.Glob(filepath.Join(w, "*"))
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				next = components
			}
			f.withdrawsNothing(i, components)
		}
		t.Logf("wave %d: merged %v\n%s", wave, next, index)
		for _, component := range next {
			git[filepath.Base(component)].merge(component)
		}
		f.applied(git, next)
		run := f.Kubectl(t.Context(), append([]string{"xcpauth", "migrate"}, quick...)...)
		if done = run.Code == 0; !done && run.Code != 4 && run.Code != 5 {
			t.Fatalf("migrate ends with %d: %s%s", run.Code, run.Stdout, run.Stderr)
		}
	}
	if !done || f.hubModes() != `{"jwt":true,"mutualTls":false}` || f.edgeMode("edge-1") != "JWT" ||
		f.edgeMode("edge-2") != "JWT" {
		t.Errorf("the migration did not end: the hub has %s, the edges %s and %s\n%s", f.hubModes(), f.edgeMode("edge-1"),
			f.edgeMode("edge-2"), f.Xcpauth(0, "status").Stdout)
	}
}

// withdrawsNothing looks for what takes mutual TLS away in the i-th wave of a plan: it is written when it is next.
func (f fleet) withdrawsNothing(i int, components []string) {
	f.Helper()
	for _, c := range components {
		files, err := filepath.Glob(filepath.Join(c, "*.yaml"))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if off := strings.Contains(string(text), "mutualTls: false"); err != nil || off && i > 0 {
				f.Errorf("what takes mutual TLS away is written before it is next: %s, %v", file, err)
			}
		}
	}
}

// applied waits until the clusters say what was merged.
func (f fleet) applied(git map[string]*reapplier, components []string) {
	f.Helper()
	for _, component := range components {
		r := git[filepath.Base(component)]
		f.eventually("what was merged is applied in "+r.cluster, func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			rendered := f.Kubectl(f.Context(), "kustomize", r.at)
			file := filepath.Join(f.TempDir(), "want.yaml")
			if os.WriteFile(file, []byte(rendered.Stdout), 0o600) != nil {
				return false
			}
			diff := append([]string{"--context", r.cluster, "diff", "-f", file}, r.apply...)
			return f.Kubectl(f.Context(), diff...).Code == 0
		})
	}
}
