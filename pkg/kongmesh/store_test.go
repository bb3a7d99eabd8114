package kongmesh_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/migration"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

const environmentName, storeName = "KUMA_ENVIRONMENT", "KUMA_STORE_TYPE"

// withConfig adds a control plane's configuration file.
func withConfig(objects []apifake.Object, text string) []apifake.Object {
	return append(objects, apifake.Object{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": apifake.Object{"name": "kong-mesh-control-plane-config", "namespace": "kong-mesh-system"},
		"data":     apifake.Object{"config.yaml": text}})
}

// without removes variables of a control plane's template and pods.
func without(objects []apifake.Object, names ...string) []apifake.Object {
	for _, o := range objects {
		if o["kind"] != "Deployment" { // its pod shares the specification
			continue
		}
		c := o["spec"].(apifake.Object)["template"].(apifake.Object)["spec"].(apifake.Object)["containers"].([]any)[0].(apifake.Object)
		c["env"] = slices.DeleteFunc(c["env"].([]any), func(e any) bool {
			return slices.Contains(names,
				e.(apifake.Object)["name"].(string))
		})
	}
	return objects
}

// Where it is not known where a global keeps its state, or its own API that would tell of it does not answer, nothing
// is known of its keys, zones and sessions, and nothing is written: an empty list is never "nobody".
func TestNothingIsWrittenWhereAGlobalsStateIsNotKnown(t *testing.T) {
	global := func(version string, env ...any) []apifake.Object {
		return append(apifake.Global(version, nil, env...),
			apifake.Object{"apiVersion": "v1", "kind": "Namespace", "metadata": apifake.Object{"name": "xcpauth-system"}})
	}
	bare := func() []apifake.Object { return without(global("2.13.10"), environmentName, storeName) }
	args := func(objects []apifake.Object, args ...any) []apifake.Object {
		for _, o := range objects {
			if o["kind"] == "Deployment" {
				spec := o["spec"].(apifake.Object)["template"].(apifake.Object)["spec"].(apifake.Object)
				spec["volumes"] = []any{apifake.Object{"name": "config", "configMap": apifake.Object{"name": "mine"}}}
				c := spec["containers"].([]any)[0].(apifake.Object)
				c["args"], c["volumeMounts"] = args, []any{apifake.Object{"name": "config", "mountPath": "/etc/mine"}}
			}
		}
		return objects
	}
	mine := func(objects []apifake.Object, text string) []apifake.Object {
		return append(objects, apifake.Object{"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": apifake.Object{"name": "mine", "namespace": "kong-mesh-system"},
			"data":     apifake.Object{"cp.yaml": text}})
	}
	const unasked = "its API did not answer"
	const both = "environment: kubernetes\nstore: {type: kubernetes}"
	for _, tc := range []struct {
		name   string
		global []apifake.Object
		says   string // "" where the state is in Kubernetes
	}{
		{"as the chart has it", global("2.13.10"), ""},
		{"the chart's other variant", global("2.13.10", apifake.Variable(environmentName, "universal"),
			apifake.Variable(storeName, "postgres")),
			unasked},
		{"another store alone", global("2.13.10", apifake.Variable(storeName, "memory")),
			"KUMA_ENVIRONMENT is kubernetes and KUMA_STORE_TYPE is memory"},
		{"nothing says it, which is universal and memory", bare(), unasked},
		{"a word that is none", global("2.13.10", apifake.Variable(storeName, "Kubernetes")),
			"KUMA_STORE_TYPE is Kubernetes"},
		{"from a secret", global("2.13.10", apifake.SecretVariable(storeName, "settings", "store")),
			"where it keeps its state is not known"},
		{"from elsewhere", global("2.13.10", apifake.Object{"name": storeName,
			"valueFrom": apifake.Object{"configMapKeyRef": apifake.Object{}}}),
			"where it keeps its state is not known"},
		{"the configuration file says it", withConfig(bare(), both), ""},
		{"the configuration file says another store", withConfig(bare(), "environment: kubernetes\nstore: {type: postgres}"),
			"KUMA_STORE_TYPE is postgres"},
		{"a variable goes before the file", withConfig(global("2.13.10"), "environment: universal\nstore: {type: postgres}"),
			""},
		{"the file that a flag names", mine(args(bare(), "run", "--config-file=/etc/mine/cp.yaml"), both), ""},
		{"the file that a flag names, not the chart's", mine(args(withConfig(bare(), both), "run", "-c", "/etc/mine/cp.yaml"),
			"store: {type: postgres}"),
			unasked},
		{"a file in no ConfigMap", args(withConfig(bare(), both), "run", "--config-file", "/opt/cp.yaml"),
			"where it keeps its state is not known"},
		{"a file that is no YAML", withConfig(bare(), "environment: ["), "where it keeps its state is not known"},
		{"a release that does not start so", global("3.0.0"),
			"does not start as a global that keeps its state in Kubernetes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fl := fleet{"global": tc.global, "west": apifake.Zone("2.13.10", "west")}
			d := kongmesh.Provider()
			f := fl.facts(t, d, nil)
			if got, known := f.Hub.StoredElsewhere, tc.says == "" || tc.says == unasked; known != (got == "") ||
				!known && !strings.Contains(got, tc.says) {
				t.Fatalf("stored elsewhere: %q, want %q in it", got, tc.says)
			}
			if tc.says == "" {
				return
			}
			goals := map[string]plan.Goal{"migrate": {}, "rollback": {RollbackTask: plan.RollbackTask{Back: true}},
				"rotate": {RotationTask: plan.RotationTask{Rotate: true}},
				"revoke": {RevocationTask: plan.RevocationTask{Revoke: []string{"x"}}},
				"prune":  {Prune: true}, "the keys back": {RollbackTask: plan.RollbackTask{Back: true},
					RotationTask: plan.RotationTask{Rotate: true}}}
			for _, name := range slices.Sorted(maps.Keys(goals)) {
				goal := goals[name]
				goal.Within = time.Minute
				p := plan.Build(d, f, d.Complete(f, goal))
				if p.Changes() > 0 || len(p.Obstacles) != 1 || !strings.Contains(p.Obstacles[0].Why, tc.says) {
					t.Errorf("%s: %d changes, blocked %v", name, p.Changes(), p.Obstacles)
				}
			}
			on := guard.Hub{Accepts: map[guard.Cred]guard.Tri{state.None: guard.No}}
			if blockers := guard.Withdraw(f.Hub.Accepts, on, f.GuardMembers(), noon); len(blockers) == 0 {
				t.Error("authentication could be turned on with nobody known")
			}
			if f.Hub.Inventory != nil || len(f.Hub.Keys) > 0 || f.Hub.Sessions != nil {
				t.Errorf("known all the same: zones %v, keys %v, sessions %v", f.Hub.Inventory, f.Hub.Keys, f.Hub.Sessions)
			}
			f = fl.facts(t, kongmesh.CheckProvider(), nil)
			found := slices.ContainsFunc(check.Run(check.Rules(), f, check.Options{}), func(x finding.Finding) bool {
				return x.Severity == finding.Error && (x.Name == "global-state-unknown") == (tc.says != unasked) &&
					strings.Contains(x.Found, tc.says)
			})
			if !found {
				t.Error("check does not find it")
			}
			if _, err := migration.Request(f, plan.Goal{Sources: plan.Sources{FromKey: true}}, "west"); err == nil {
				t.Error("a token would be signed with a key of this cluster")
			}
		})
	}
}

// What a configuration file says is unknown while the file cannot be read: never "not set".
func TestAnUnreadConfigurationFileIsUnknown(t *testing.T) {
	fl := fleet{"global": apifake.Global("2.13.10", map[string]bool{"west": false}),
		"west": apifake.Zone("2.13.10", "west")}
	snaps := fl.snapshots(t, kongmesh.Provider(), nil)
	for _, s := range snaps {
		for r := range s.Reads {
			if r.Resource == "configmaps" && strings.HasPrefix(r.Name, "kong-mesh") {
				s.Reads[r] = plan.Result{Err: "forbidden (403)"}
			}
		}
	}
	f := kongmesh.Provider().ReadState(snaps, plan.Selection{}, noon)
	if f.Hub.Accepts.Accepts[state.None] != guard.Unknown || len(f.Hub.Anomalies) == 0 {
		t.Errorf("the global accepts none: %v, and nothing is unclear", f.Hub.Accepts.Accepts[state.None])
	}
	if m := f.Member("west"); m == nil || m.Evidence.Presents != nil {
		t.Errorf("what west presents is known: %+v", m)
	}
}

// A global whose cluster does not serve its zones has told of none: zones that are in no cluster are known by them
// alone.
func TestZonesThatAreNotServedAreUnknown(t *testing.T) {
	fl := fleet{"global": apifake.Global("2.13.10", map[string]bool{"west": false}),
		"west": apifake.Zone("2.13.10", "west")}
	for name, missing := range map[string]bool{"served": false, "not served": true} {
		snaps := fl.snapshots(t, kongmesh.Provider(), nil)
		for _, s := range snaps {
			for r := range s.Reads {
				if r.Resource == "zones" && missing {
					s.Reads[r] = plan.Result{Missing: true, NoKind: true}
				}
			}
		}
		f := kongmesh.Provider().ReadState(snaps, plan.Selection{}, noon)
		if (f.Hub.InventoryErr != "") != missing {
			t.Errorf("%s: the zones are %v, %q", name, f.Hub.Inventory, f.Hub.InventoryErr)
		}
	}
}
