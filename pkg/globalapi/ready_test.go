package globalapi

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// The administrator's token goes to pods of the global alone, however its Deployment finds them.
func TestOnlyPodsOfTheGlobalAreAsked(t *testing.T) {
	labels := apifake.Object{"app": "cp"}
	within := []any{apifake.Object{"key": "app", "operator": "In", "values": []any{"cp"}}}
	for _, tc := range []struct {
		name     string
		selector apifake.Object
		want     string
		err      string
	}{
		{"by labels", apifake.Object{"matchLabels": labels}, "cp-a", ""},
		{"by expressions", apifake.Object{"matchExpressions": within}, "cp-a", ""},
		{"by both", apifake.Object{"matchLabels": labels, "matchExpressions": []any{apifake.Object{"key": "x",
			"operator": "DoesNotExist"}}}, "cp-a", ""},
		{"by nothing", apifake.Object{}, "", "selects every pod"},
		{"by nothing that is said", nil, "", "selects every pod"},
		{"by what is no operator", apifake.Object{"matchExpressions": []any{apifake.Object{"key": "app",
			"operator": "Like"}}}, "", `"Like" is not a valid label selector operator`},
	} {
		objects := []apifake.Object{{"apiVersion": "apps/v1", "kind": "Deployment",
			"metadata": apifake.Object{"name": "cp", "namespace": "ns"}, "spec": apifake.Object{"selector": tc.selector}}}
		for i, name := range []string{"cp-a", "other"} {
			objects = append(objects, apifake.Object{"apiVersion": "v1", "kind": "Pod",
				"metadata": apifake.Object{"name": name, "namespace": "ns", "labels": apifake.Object{"app": []string{"cp",
					"shop"}[i]}},
				"status": apifake.Object{"conditions": []any{apifake.Object{"type": "Ready", "status": "True"}}}})
		}
		s := apifake.Start(objects...)
		t.Cleanup(s.Close)
		path, err := apifake.Kubeconfig(t.TempDir(), map[string]*apifake.Server{"global": s}, nil)
		if err != nil {
			t.Fatal(err)
		}
		f, err := kubeconfig.Load(kubeconfig.Options{Kubeconfig: path})
		if err != nil {
			t.Fatal(err)
		}
		c, err := f.Cluster("global")
		if err != nil {
			t.Fatal(err)
		}
		got, err := ready(t.Context(), c, plan.Ref{Group: "apps", Version: "v1", Resource: "deployments", Kind: "Deployment",
			Namespace: "ns", Name: "cp"})
		if strings.Join(got, ",") != tc.want || (err == nil) != (tc.err == "") || !strings.Contains(fmt.Sprint(err), tc.err) {
			t.Errorf("%s: %v, %v", tc.name, got, err)
		}
		if slices.Contains(got, "other") {
			t.Errorf("%s: another pod is asked", tc.name)
		}
	}
}
