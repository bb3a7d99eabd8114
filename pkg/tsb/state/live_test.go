package state

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbobjects"
)

var registered = api.ControlPlaneReference{Namespace: "istio-system", Name: "controlplane", UID: "uid-eu-controlplane"}

// burst is what AllLiveReads finds of the objects.
func burst(objects []apifake.Object) map[plan.Read]plan.Result {
	reads := map[plan.Read]plan.Result{}
	for _, r := range AllLiveReads(registered) {
		code, body := apifake.Get(objects, observe.Path(r))
		reads[r] = plan.Result{Body: Trim(r, body), Missing: code == 404}
	}
	return reads
}

// object is the one of a kind and a name.
func find(objects []apifake.Object, kind, name string) apifake.Object {
	i := slices.IndexFunc(objects, func(o apifake.Object) bool {
		return o["kind"] == kind && o["metadata"].(apifake.Object)["name"] == name
	})
	return objects[i]
}

func TestLiveIsWhateverMayBePresented(t *testing.T) {
	mode := func(o apifake.Object, mode any) {
		o["spec"].(apifake.Object)["components"].(apifake.Object)["xcp"].(apifake.Object)["centralAuthMode"] = mode
	}
	for _, tc := range []struct {
		name   string
		change func([]apifake.Object) []apifake.Object
		want   []guard.Cred
		why    string
	}{
		{"as declared", func(o []apifake.Object) []apifake.Object { return o }, []guard.Cred{JWT}, "declares JWT"},
		{"declared otherwise", func(o []apifake.Object) []apifake.Object {
			mode(find(o, "ControlPlane", "controlplane"), "MUTUAL_TLS")
			return o
		}, []guard.Cred{JWT, MTLS}, "declares MUTUAL_TLS, EdgeXcp says JWT"},
		{"told otherwise", func(o []apifake.Object) []apifake.Object {
			find(o, "EdgeXcp", "edge-xcp")["spec"].(apifake.Object)["centralAuthMode"] = "MUTUAL_TLS"
			return o
		}, []guard.Cred{JWT, MTLS}, "EdgeXcp says MUTUAL_TLS"},
		{"an old pod left over", func(o []apifake.Object) []apifake.Object {
			return append(o, apifake.Object{"apiVersion": "v1", "kind": "Pod", "metadata": apifake.Object{"name": "old",
				"namespace": "istio-system", "uid": "uid-old", "deletionTimestamp": "2026-01-02T12:00:00Z"},
				"spec": apifake.Object{"volumes": []any{apifake.Object{"name": "c",
					"secret": apifake.Object{"secretName": "xcp-edge-cert"}}}}, "status": apifake.Object{"phase": "Running"}})
		}, []guard.Cred{JWT, MTLS}, "old presents mtls"},
		{"declared in no documented way", func(o []apifake.Object) []apifake.Object {
			mode(find(o, "ControlPlane", "controlplane"), map[string]any{"JWT": true})
			return o
		}, nil, "declares no documented mode"},
		{"told in no documented way", func(o []apifake.Object) []apifake.Object {
			find(o, "EdgeXcp", "edge-xcp")["spec"].(apifake.Object)["centralAuthMode"] = []any{"JWT"}
			return o
		}, nil, "do not say one documented mode"},
		{"re-created", func(o []apifake.Object) []apifake.Object {
			find(o, "ControlPlane", "controlplane")["metadata"].(apifake.Object)["uid"] = "uid-2"
			return o
		}, nil, "re-created"},
		{"without the ControlPlane", func(o []apifake.Object) []apifake.Object {
			return slices.DeleteFunc(o, func(o apifake.Object) bool { return o["kind"] == "ControlPlane" })
		}, nil, "is not there"},
		{"without the Deployment", func(o []apifake.Object) []apifake.Object {
			return slices.DeleteFunc(o, func(o apifake.Object) bool { return o["kind"] == "Deployment" })
		}, nil, "its Deployment is not there"},
		{"without EdgeXcp", func(o []apifake.Object) []apifake.Object {
			return slices.DeleteFunc(o, func(o apifake.Object) bool { return o["kind"] == "EdgeXcp" })
		}, nil, "do not say one documented mode"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			presents, why := Live(burst(tc.change(tsbobjects.OnJWT("eu"))), registered)
			if !slices.Equal(presents, tc.want) || (presents == nil) != (tc.want == nil) || !strings.Contains(why, tc.why) {
				t.Errorf("presents %q (%s), want %q with %q", presents, why, tc.want, tc.why)
			}
		})
	}
}

func TestLiveIsUnknownWhateverCouldNotBeRead(t *testing.T) {
	for _, r := range AllLiveReads(registered) {
		for name, broken := range map[string]plan.Result{"an error": observe.Result(nil, errors.New("cut")), "not read": {},
			"garbage": {Body: []byte("<html>")}, "a list of nonsense": {Body: []byte(`{"items":"x"}`)}} {
			reads := burst(tsbobjects.WithoutHash(tsbobjects.OnJWT("eu")))
			reads[r] = broken
			if presents, why := Live(reads, registered); presents != nil || why == "" {
				t.Errorf("%s of %s: presents %q (%s)", name, r.Resource, presents, why)
			}
		}
	}
}
