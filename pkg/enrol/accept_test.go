package enrol

import (
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// through is a statement as it is after it was written to a file and read.
func through(t *testing.T, entries ...api.EdgeCluster) []api.EdgeCluster {
	t.Helper()
	text, err := roster.Encode(entries)
	if err != nil {
		t.Fatal(err)
	}
	read, err := roster.Decode(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return read
}

func TestAcceptingWhatWasHandedOver(t *testing.T) {
	listed := func(change func(bed.Object)) []bed.Object {
		e := bed.Stated("far")
		if change != nil {
			change(e)
		}
		return append(bed.OpenHub("far", "a"), e)
	}
	old := func(e bed.Object) { e["status"] = bed.Object{} }
	seen := time.Now().Add(-time.Minute).UTC().Truncate(time.Second)
	const list, status = "hub edgeclusters", "hub status"
	for _, tc := range []struct {
		name  string
		hub   []bed.Object
		entry api.EdgeCluster
		says  string // of the refusal; "" when it is taken over
		wrote []string
	}{
		{"of a member that is not listed", bed.OpenHub("far"), bed.HandedOver("far", time.Minute, nil), "",
			[]string{list, status}},
		{"of one that is listed", listed(old), bed.HandedOver("far", time.Minute, nil), "", []string{status}},
		{"that is stale", bed.OpenHub("far"), bed.HandedOver("far", 16*time.Minute, nil),
			"which is over; let its team verify it again: kubectl xcpauth edge publish --no-hub --out FILE", nil},
		{"of the future", bed.OpenHub("far"), bed.HandedOver("far", -5*time.Minute, nil), "a clock is wrong", nil},
		{"that says to be believed for a year", bed.OpenHub("far"), bed.HandedOver("far", time.Minute,
			func(e *api.EdgeCluster) {
				until := metav1.NewTime(time.Now().AddDate(1, 0, 0))
				e.Status.ValidUntil = &until
			}), "", []string{list, status}},
		{"of another ControlPlane than is listed", listed(func(e bed.Object) {
			old(e)
			e["spec"].(bed.Object)["controlPlane"].(bed.Object)["uid"] = "another"
		}), bed.HandedOver("far", time.Minute, nil), "the roster lists its ControlPlane with the UID another", nil},
		{"of another cluster than is listed", listed(func(e bed.Object) {
			old(e)
			e["spec"].(bed.Object)["clusterUID"] = "another"
		}), bed.HandedOver("far", time.Minute, nil), "kubectl xcpauth edge forget far --reason", nil},
		{"older than what is stated", listed(nil), bed.HandedOver("far", 2*time.Minute, nil),
			"the roster has a newer statement already", nil},
		{"of the hub's own client", bed.OpenHub("far"), bed.HandedOver("mpc", time.Minute,
			func(e *api.EdgeCluster) { e.Spec.Role = api.RoleMPC }), "the hub's team verifies MPC itself", nil},
		{"of an edge that presents both", bed.OpenHub("far"), bed.HandedOver("far", time.Minute,
			func(e *api.EdgeCluster) { e.Status.Presents = []string{"jwt", "mtls"} }), "presents jwt and nothing else", nil},
		{"of an edge that presents a certificate", bed.OpenHub("far"), bed.HandedOver("far", time.Minute,
			func(e *api.EdgeCluster) { e.Status.Presents = []string{"mtls"} }), "presents jwt and nothing else", nil},
		{"that states nothing", bed.OpenHub("far"), bed.HandedOver("far", time.Minute,
			func(e *api.EdgeCluster) { e.Status = api.EdgeClusterStatus{} }), "presents jwt and nothing else", nil},
		{"seen of another object than it is about", bed.OpenHub("far"), bed.HandedOver("far", time.Minute,
			func(e *api.EdgeCluster) { e.Status.ControlPlaneUID = "x" }), "it was seen of a ControlPlane with the UID x", nil},
		{"without a ControlPlane", bed.OpenHub("far"), bed.HandedOver("far", time.Minute,
			func(e *api.EdgeCluster) { e.Spec.ControlPlane = nil }), "which cluster and which ControlPlane", nil},
		{"with a rotation yet to come", bed.OpenHub("far"), bed.HandedOver("far", time.Minute, func(e *api.EdgeCluster) {
			later := metav1.NewTime(time.Now().Add(time.Hour))
			e.Status.RotationTime = &later
		}), "a clock is wrong", nil},
		{"of a cluster that the hub does not list", bed.OpenHub("a"), bed.HandedOver("far", time.Minute, nil),
			`the hub does not list a cluster "far"`, nil},
		{"of one cluster under the name of another", bed.OpenHub("far", "near"),
			bed.HandedOver("far", time.Minute, func(e *api.EdgeCluster) { e.Name = "near" }),
			`is of cluster "far", and "near" is another one`, nil},
		{"of a cluster that is not listed, under a name of nobody's", bed.OpenHub("far", "near"),
			bed.HandedOver("elsewhere", time.Minute, func(e *api.EdgeCluster) { e.Spec.ClusterName = "near" }),
			`it is named "elsewhere" and is about cluster "near"`, nil},
		{"of one of two that claim a cluster", bed.OpenHub("far"), bed.HandedOver("far-ctx", time.Minute,
			func(e *api.EdgeCluster) { e.Spec.ClusterName = "far" }), "", []string{"hub edgeclusters", "hub status"}},
		{"that was taken back since", listed(func(e bed.Object) {
			e["status"] = bed.Object{"observedTime": seen.Format(time.RFC3339)} // what a retraction leaves
			for key := range roster.RetractedStatus()["status"].(map[string]any) {
				delete(e["status"].(bed.Object), key)
			}
		}), bed.HandedOver("far", time.Minute, func(e *api.EdgeCluster) { e.Status.ObservedTime = &metav1.Time{Time: seen} }),
			"was taken back since", nil},
		{"in a namespace of its own", bed.OpenHub("far"), bed.HandedOver("far", time.Minute,
			func(e *api.EdgeCluster) { e.Namespace = "default" }), "is no name of an entry", nil},
		{"of an edge that is seen to present a certificate", bed.OpenHub("a", "far"), bed.HandedOver("a", time.Minute, nil),
			"what is seen in context a contradicts it", nil},
		{"of a ControlPlane that is seen to be another", bed.OpenHub("a", "far"),
			bed.HandedOver("a", time.Minute, func(e *api.EdgeCluster) {
				e.Spec.ControlPlane.UID, e.Status.ControlPlaneUID = "x", "x"
			}), "in context a its ControlPlane has the UID uid-a-controlplane", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clusters := map[string][]bed.Object{"hub": tc.hub}
			if tc.entry.Name == "a" {
				clusters["a"] = onMTLS("a")
			}
			b, _ := bed.New(t, clusters)
			r, err := Enroller{Live: b.Live}.Accept(t.Context(), through(t, tc.entry), state.JWT, "bob@hub")
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(r.Outcomes, func(o engine.Outcome) bool { return o.Member == tc.entry.Name })
			if i < 0 {
				t.Fatalf("no outcome in %+v", r.Outcomes)
			}
			o, code := r.Outcomes[i], r.ExitCode()
			if tc.says == "" && (o.State != engine.Changed || code != 0) || tc.says != "" &&
				(o.State != engine.Refused || code != 5 || !strings.Contains(o.Why, tc.says)) {
				t.Errorf("exit code %d, %+v; want it refused with %q (taken over when that is empty)", code, o, tc.says)
			}
			if !slices.Equal(b.Wrote, tc.wrote) {
				t.Errorf("wrote %q, want %q", b.Wrote, tc.wrote)
			}
		})
	}
}

// onMTLS is a cluster whose edge presents its certificate.
func onMTLS(cluster string) []bed.Object {
	objects := bed.OnJWT(cluster)
	for _, o := range objects {
		if o["kind"] == "Pod" {
			o["spec"] = bed.Object{"volumes": []any{bed.Object{"name": "c",
				"secret": bed.Object{"secretName": "xcp-edge-cert"}}}}
		}
	}
	return objects
}

func TestWhatIsRefusedKeepsNothingElseFromBeingTakenOver(t *testing.T) {
	b, _ := bed.New(t, map[string][]bed.Object{"hub": bed.OpenHub("near", "far", "twice", "silent")})
	r, err := Enroller{Live: b.Live}.Accept(t.Context(), through(t, bed.HandedOver("near", time.Minute, nil),
		bed.HandedOver("far", time.Hour, nil), bed.HandedOver("twice", time.Minute, nil),
		bed.HandedOver("twice", 2*time.Minute, nil)), state.JWT, "bob@hub")
	if err != nil || r.ExitCode() != 4 {
		t.Errorf("exit code %d, %v; want 4", r.ExitCode(), err)
	}
	got := map[string]engine.State{}
	for _, o := range r.Outcomes {
		if _, twice := got[o.Member]; twice {
			t.Errorf("%s has two outcomes", o.Member)
		}
		got[o.Member] = o.State
	}
	for member, want := range map[string]engine.State{"near": engine.Changed, "far": engine.Refused,
		"twice": engine.Refused, "silent": engine.Skipped} {
		if got[member] != want {
			t.Errorf("%s is %q, want %q: %+v", member, got[member], want, r.Outcomes)
		}
	}
}

func TestWhatIsNoStatementIsNotRead(t *testing.T) {
	good, err := roster.Encode([]api.EdgeCluster{bed.HandedOver("far", 0, nil)})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ text, says string }{
		"nothing": {"---\n---\n", "there is no EdgeCluster in it"},
		"another kind": {strings.Replace(string(good), "kind: EdgeCluster", "kind: ConfigMap", 1),
			"it must be an EdgeCluster"},
		"another group": {strings.Replace(string(good), "xcpauth.io/v1alpha1", "xcpauth.io/v9", 1),
			"it must be an EdgeCluster"},
		"an unknown key": {strings.Replace(string(good), "role: Edge", "role: Edge\n  rolle: Edge", 1),
			`unknown field "rolle"`},
		"a key twice": {strings.Replace(string(good), "role: Edge", "role: Edge\n  role: MPC", 1), "is not YAML"},
		"no YAML":     {"{", "is not YAML"},
	} {
		if _, err := roster.Decode([]byte(tc.text)); err == nil || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v, want %q", name, err, tc.says)
		}
	}
}
