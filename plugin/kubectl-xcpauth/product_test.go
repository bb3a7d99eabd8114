package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// global is the objects of a cluster with a global control plane of Kong Mesh that authenticates nobody, as small as
// they can be.
func global() []apifake.Object {
	labels := apifake.Object{"app": "kong-mesh-control-plane"}
	return []apifake.Object{
		apifake.KubeSystem("global"),
		{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": apifake.Object{"name": "kong-mesh-control-plane",
			"namespace": "kong-mesh-system", "uid": "uid-global", "labels": labels},
			"spec": apifake.Object{"replicas": 1, "template": apifake.Object{"spec": apifake.Object{"containers": []any{
				apifake.Object{"name": "control-plane", "image": "kong/kuma-cp:2.13.5",
					"env": []any{apifake.Variable("KUMA_MODE", "global"),
						apifake.Variable("KUMA_ENVIRONMENT", "kubernetes"), apifake.Variable("KUMA_STORE_TYPE", "kubernetes")}}}}}}},
	}
}

// What TSB alone has is refused in a fleet of another product in one sentence, whatever the verb, and nothing is
// written there.
func TestWhatTSBAloneHasIsRefusedOfKongMesh(t *testing.T) {
	nothing := serve(t, map[string]*apifake.Server{"eu": apifake.Start(apifake.KubeSystem("eu"))}, nil)
	for _, tc := range []struct {
		args, says string
	}{
		{"edge list", "kubectl xcpauth edge is for TSB alone, and this fleet is of kong-mesh; leave it out"},
		{"edge publish", "kubectl xcpauth edge is for TSB alone"},
		{"edge publish --no-hub --out " + t.TempDir() + "/eu.yaml", "kubectl xcpauth edge is for TSB alone"},
		{"certificate request --key-out " + t.TempDir() + "/central.key", "kubectl xcpauth certificate is for TSB alone"},
		{"webhook status", "kubectl xcpauth webhook is for TSB alone"},
		{"status --no-hub", "--no-hub is for TSB alone"},
		{"status --standby global", "--standby is for TSB alone"},
		{"plan --to=edges --no-hub", "--no-hub is for TSB alone"},
		{"plan --hasty-canary", "--hasty-canary is for TSB alone"},
		{"migrate --dry-run=server --central-name central.example.test", "--central-name is for TSB alone"},
		{"migrate -y --to=edges --no-hub", "--no-hub is for TSB alone"},
		{"rollback -y --no-hub", "--no-hub is for TSB alone"},
		{"status --product kuma", `--product is "kuma"; pass one of auto, tsb, kong-mesh`},
		{"plan --valid-for -1s", "--valid-for is -1s; it must be 0 or more"},
		{"status --product tsb", "no ManagementPlane found in context global"},
	} {
		t.Run(tc.args, func(t *testing.T) {
			server := apifake.Start(global()...)
			mesh := serve(t, map[string]*apifake.Server{"global": server}, nil)
			r := xcpauth(t, mesh, strings.Fields(tc.args)...)
			if r.code != 1 || !strings.Contains(r.err, "error: "+tc.says) {
				t.Errorf("exit code %d, stderr %q; want 1 and %q\n%s", r.code, r.err, tc.says, r.out)
			}
			for _, request := range server.Requests() {
				if !strings.HasPrefix(request, "GET ") && !strings.Contains(request, "selfsubject") {
					t.Errorf("it sent %s", request)
				}
			}
		})
	}
	for _, verb := range []string{"status", "plan", "migrate -y"} {
		if r := xcpauth(t, nothing, strings.Fields(verb)...); r.code != 1 ||
			!strings.Contains(r.err, "error: no hub found in eu: neither a management plane (tsb) nor a global control plane (kong-mesh); pass the context of one with --context") {
			t.Errorf("%s, where there is nothing: exit code %d, %s", verb, r.code, r.err)
		}
	}
}

// A command that goes on with a look names the product that was named.
func TestTheNamedProductIsRepeated(t *testing.T) {
	mesh := serve(t, map[string]*apifake.Server{"global": apifake.Start(global()...)}, nil)
	r := xcpauth(t, mesh, "status", "--product", "kong-mesh", "-o", "json")
	if !strings.Contains(r.out, "--product kong-mesh") {
		t.Errorf("not repeated: %d %s%s", r.code, r.out, r.err)
	}
	if r := xcpauth(t, mesh, "status", "-o", "json"); strings.Contains(r.out, "--product") {
		t.Errorf("repeated, and it was not given: %s", r.out)
	}
}

// A cluster that holds an edge of TSB and a zone of a mesh is an edge, and the zone where --product says so: whatever
// looks asks then for that product alone.
func TestACommonClusterIsOfTheProductThatIsNamed(t *testing.T) {
	zone := apifake.Zone("2.13.5", "eu")
	both := apifake.Start(append(apifake.Edge("eu"), zone[1:]...)...)
	fleet := serve(t, map[string]*apifake.Server{"tsb": apifake.Start(apifake.Hub("eu")...), "eu": both,
		"global": apifake.Start(apifake.Global("2.13.5", map[string]bool{"eu": true})...)}, nil)
	for _, verb := range []string{"status", "check", "report -o markdown --out -"} {
		for product, tc := range map[string]struct{ hub, asks, not string }{
			"tsb":       {"tsb", "/controlplanes", "/apis/apps/v1/deployments"},
			"kong-mesh": {"global", "/apis/apps/v1/deployments", "/controlplanes"},
		} {
			before := len(both.Requests())
			r := xcpauth(t, fleet, append(strings.Fields(verb), "--product", product, "--context", tc.hub)...)
			asked := strings.Join(both.Requests()[before:], "\n") + "\n"
			if !strings.Contains(r.out, "eu") || !strings.Contains(asked, tc.asks) || strings.Contains(asked, tc.not+"\n") {
				t.Errorf("%s of %s: exit code %d, asked\n%s\n%s%s", verb, product, r.code, asked, r.out, r.err)
			}
		}
	}
}

// A user who may read nothing of TSB, and not which cluster it is, is asked for the other product all the same.
func TestAZoneIsFoundByOneWhoMayReadNothingOfTSB(t *testing.T) {
	denies := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "tetrate") && !strings.HasSuffix(r.URL.Path, "/namespaces/kube-system") {
			return false
		}
		apifake.Status(w, http.StatusForbidden, "Forbidden", "ann may not")
		return true
	}
	global := apifake.Start(apifake.Global("2.13.5", map[string]bool{"eu": true})...)
	eu := apifake.Start(apifake.Zone("2.13.5", "eu")...)
	global.Answer, eu.Answer = denies, denies
	fleet := serve(t, map[string]*apifake.Server{"global": global, "eu": eu}, nil)
	r := xcpauth(t, fleet, "status", "-o", "json")
	var report struct {
		Members []struct{ Member, Context, State string }
	}
	if err := json.Unmarshal([]byte(r.out), &report); err != nil {
		t.Fatalf("%v: %s%s", err, r.out, r.err)
	}
	if len(report.Members) != 2 || report.Members[1].Member != "eu" || report.Members[1].Context != "eu" ||
		report.Members[1].State == "unreachable" {
		t.Errorf("%+v\n%s", report.Members, r.err)
	}
}
