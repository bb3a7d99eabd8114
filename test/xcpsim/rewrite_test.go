package xcpsim_test

import (
	"errors"
	"fmt"
	"regexp"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func TestTheOperatorLeavesACRAloneOrAddsDefaultsAfterEachEdit(t *testing.T) {
	for name, rewrites := range map[string]bool{"left alone": false, "rewritten": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle, o.Switches.OperatorRewritesCR = true, rewrites })
			for _, c := range []struct {
				cluster, namespace, name string
				gvr                      schema.GroupVersionResource
				edit                     func()
				auth                     map[string]any
			}{
				{"hub", "tsb", "managementplane", managementPlanes, f.bothModes,
					map[string]any{"centralAuthModes": map[string]any{"jwt": true, "mutualTls": true}}},
				{"edge-1", "istio-system", "controlplane", controlPlanes, func() { f.edgeMode("JWT") },
					map[string]any{"centralAuthMode": "JWT"}},
			} {
				before := f.custom(c.cluster, c.gvr, c.namespace, c.name)
				c.edit()
				edits := before.GetGeneration() + 1
				if rewrites {
					edits++
				}
				f.await("the generation after the edit", func() error {
					if got := f.custom(c.cluster, c.gvr, c.namespace, c.name).GetGeneration(); got != edits {
						return fmt.Errorf("generation %d, was %d, want %d", got, before.GetGeneration(), edits)
					}
					return nil
				})
				after := f.custom(c.cluster, c.gvr, c.namespace, c.name)
				for field, want := range c.auth {
					if got, _, _ := unstructured.NestedFieldNoCopy(after.Object, "spec", "components", "xcp",
						field); fmt.Sprint(got) != fmt.Sprint(want) {
						t.Errorf("%s of %s is %v, want %v", field, c.name, got, want)
					}
				}
				if _, found, _ := unstructured.NestedFieldNoCopy(after.Object, "spec", "components",
					"collector"); found != rewrites {
					t.Errorf("%s has a component that nobody set: %v, want %v", c.name, found, rewrites)
				}
			}
			f.await("the edge on JWT", func() error { return f.presents("edge-1=jwt mpc=jwt") })
			f.noRefusals()
		})
	}
}

func (f *fleet) custom(cluster string, gvr schema.GroupVersionResource, namespace,
	name string) *unstructured.Unstructured {
	f.t.Helper()
	u, err := f.dynamic(cluster).Resource(gvr).Namespace(namespace).Get(f.t.Context(), name, metav1.GetOptions{})
	if err != nil {
		f.t.Fatal(err)
	}
	return u
}

func TestAnAliasIsTakenForUnknownOrUnderstood(t *testing.T) {
	for name, understood := range map[string]bool{"unknown": false, "understood": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle, o.Switches.AliasesUnderstood = true, understood })
			f.bothModes()
			f.patch("edge-1", controlPlanes, "istio-system", "controlplane",
				`{"spec":{"components":{"xcp":{"centralAuthMode":null,"central_auth_mode":"JWT"}}}}`)
			if understood {
				f.await("the edge on JWT", func() error { return f.presents("edge-1=jwt mpc=jwt") })
				return
			}
			f.edgeMode("JWT") // beside the alias: still not taken, while what stands alone is
			f.patch("hub", managementPlanes, "tsb", "managementplane",
				`{"spec":{"components":{"xcp":{"central_auth_modes":{"jwt":true}}}}}`)
			f.patch("edge-1", controlPlanes, "istio-system", "controlplane", `{"metadata":{"labels":{"seen":"yes"}}}`)
			if err := f.presents("edge-1=mtls mpc=jwt"); err != nil {
				t.Error(err)
			}
			f.patch("edge-1", controlPlanes, "istio-system", "controlplane",
				`{"spec":{"components":{"xcp":{"central_auth_mode":null}}}}`)
			f.await("the edge on JWT once the alias is gone", func() error { return f.presents("edge-1=jwt mpc=jwt") })
			for _, s := range f.Sessions() {
				if s.Member == "edge-1" && s.Credential != xcpsim.JWT {
					t.Errorf("session %+v", s)
				}
			}
			f.noRefusals()
		})
	}
}

var propagated = regexp.MustCompile(`xcp_central_last_config_propagation_event_timestamp_ms\{edge="edge-1",status="received",type="(\w+)"\} (\S+)`)

// TestAnEdgePushesOftenOrWithEachClusterStateAlone tells the two by what Central last received: with slow sync no
// push comes between two cluster states.
func TestAnEdgePushesOftenOrWithEachClusterStateAlone(t *testing.T) {
	for name, slow := range map[string]bool{"often": false, "with each cluster state": true} {
		t.Run(name, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) { o.Switches.SlowSync = slow })
			central := f.session("edge-1").Central
			seen := map[string]bool{}
			f.await("pushes", func() error {
				text, err := f.metrics(overSPDY, "hub", "tsb", central)
				if err != nil {
					return err
				}
				last := map[string]string{}
				for _, m := range propagated.FindAllStringSubmatch(text, -1) {
					last[m[1]] = m[2]
				}
				resync, state := last["config_resync_request"], last["cluster_state"]
				if slow && resync != state {
					t.Errorf("a push at %s after the cluster state at %s", resync, state)
				}
				if seen[resync] = true; len(seen) < 3 || (!slow && resync == state) {
					return errors.New("not three different pushes yet")
				}
				return nil
			})
		})
	}
}
