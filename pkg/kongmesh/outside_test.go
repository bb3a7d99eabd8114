package kongmesh_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/state"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// A global that is in no cluster is all its processes: what one of them would refuse, or does not tell, is not taken as
// accepted; and one that is not named keeps everything as it is.
func TestAGlobalInNoClusterIsAllItsProcesses(t *testing.T) {
	with, whole := asked(t, "3.0.0")
	one, two := "https://one:5682", "https://two:5682"
	config := func(auth string) string {
		return fmt.Sprintf(`{"mode":"global","environment":"universal","store":{"type":"postgres"},`+
			`"multizone":{"global":{"kds":{"auth":{"type":%q}}}}}`, auth)
	}
	index := func(instance, version string) string {
		return fmt.Sprintf(`{"product":"Kong Mesh","version":%q,"instanceId":%q,"clusterId":"mesh"}`, version, instance)
	}
	zones := func(instance string) string {
		return strings.ReplaceAll(whole["/zones+insights"], `"connectTime"`,
			fmt.Sprintf(`"globalInstanceId":%q,"connectTime"`, instance))
	}
	answers := func(instance, auth string) map[string]string {
		return map[string]string{"/": index(instance, "3.0.0"), "/config": config(auth),
			"/global-secrets": whole["/global-secrets"], "/zones+insights": zones("a-0001")}
	}
	change := func(of map[string]string, path, body string) map[string]string {
		of = maps.Clone(of)
		if of[path] = body; body == "" {
			delete(of, path)
		}
		return of
	}
	a, b := answers("a-0001", "none"), answers("b-0002", "none")
	for _, tc := range []struct {
		name string
		at   map[string]map[string]string
		says string // why nothing is changed; "" where something may be
		none guard.Tri
	}{
		{"one process", map[string]map[string]string{one: a}, "", guard.Yes},
		{"two", map[string]map[string]string{one: a, two: b}, "", guard.Yes},
		{"two, of which one authenticates", map[string]map[string]string{one: a, two: answers("b-0002", "zoneToken")}, "",
			guard.Unknown},
		{"two that do", map[string]map[string]string{one: answers("a-0001", "zoneToken"), two: answers("b-0002",
			"zoneToken")}, "", guard.No},
		{"two releases", map[string]map[string]string{one: a, two: change(b, "/", index("b-0002", "2.14.6"))},
			"are of different releases", guard.Unknown},
		{"a second one that does not answer", map[string]map[string]string{one: a, two: change(b, "/config", "")},
			"the global control plane at https://two:5682 is not known", guard.Unknown},
		{"a second one that is not named", map[string]map[string]string{one: change(a, "/zones+insights", zones("b-0002"))},
			"name each process with --global-api", guard.Yes},
		{"two globals", map[string]map[string]string{one: a, two: change(b, "/", strings.Replace(b["/"], `"mesh"}`,
			`"other"}`, 1))}, "are not of one global", guard.Unknown},
		{"a second one that is a zone", map[string]map[string]string{one: a, two: change(b, "/config", `{"mode":"zone"}`)},
			"the control plane at https://two:5682 is no global", guard.Unknown},
		{"a zone", map[string]map[string]string{one: change(a, "/config", `{"mode":"zone"}`)}, "is no global", guard.Unknown},
		{"nobody", map[string]map[string]string{one: {}}, "is not known", guard.Unknown},
		{"a second one with its state in memory", map[string]map[string]string{one: a, two: change(b, "/config",
			strings.Replace(b["/config"], "postgres", "memory", 1))}, "process b-0002: it keeps its state in memory", guard.Yes},
		{"a second one that takes no changes", map[string]map[string]string{one: a, two: change(b, "/config",
			strings.Replace(b["/config"], `{"mode"`, `{"apiServer":{"readOnly":true},"mode"`, 1))},
			"process b-0002: its API takes no changes", guard.Yes},
	} {
		fl := with(nil)
		delete(fl, "global")
		fl["ops"] = []apifake.Object{apifake.KubeSystem("ops"), {"apiVersion": "v1", "kind": "Namespace",
			"metadata": apifake.Object{"name": "xcpauth-system"}}}
		d := kongmesh.Provider()
		snaps, addresses := outsideSnapshots(t, fl, d, tc.at, one, two)
		f := d.ReadState(snaps, plan.Selection{Hub: "ops", Addresses: addresses}, noon)
		p := plan.Build(d, f, d.Complete(f, plan.Goal{Pace: plan.Pace{Within: 1}}))
		said := fmt.Sprint(p.Obstacles)
		blocked := strings.Contains(said, "{hub ")
		if blocked != (tc.says != "") || !strings.Contains(said, tc.says) {
			t.Errorf("%s: %s, want %q", tc.name, said, tc.says)
		}
		if got := f.Hub.Accepts.Accepts[state.None]; f.Hub.Found && got != tc.none {
			t.Errorf("%s: a zone without a token is accepted: %v, want %v", tc.name, got, tc.none)
		}
	}
}

// outsideSnapshots are what an observer reads of a fleet whose global is in no cluster, and keeps what runs write down
// in context ops; at each of the addresses there may be a process that answers.
func outsideSnapshots(t *testing.T, fl fleet, d plan.Provider, at map[string]map[string]string,
	all ...string) (snaps []plan.Snapshot, addresses []string) {
	t.Helper()
	for _, url := range all {
		if at[url] != nil {
			addresses = append(addresses, url)
		}
	}
	snaps = fl.snapshots(t, d, nil)
	for _, s := range snaps {
		if s.Context != "ops" {
			continue
		}
		for _, r := range state.OutsideReads(addresses, s.Reads) {
			body, there := at[r.Name][r.Asked]
			switch {
			case r.Resource == "namespaces":
				s.Reads[r] = plan.Result{Body: []byte(`{"metadata":{"name":"xcpauth-system"}}`)}
			case r.Asked == "":
				s.Reads[r] = plan.Result{Missing: true}
			case there:
				s.Reads[r] = plan.Result{Body: d.Trim(r, []byte(body))}
			default:
				s.Reads[r] = plan.Result{Err: "it was cut off"}
			}
		}
	}
	return snaps, addresses
}
