package xcpsim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func TestOneClusterCanBeHubAndEdge(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) { o.Edges = []xcpsim.Site{o.Hub} })
	if err := f.presents("hub=mtls mpc=mtls"); err != nil {
		t.Error(err)
	}
	f.noRefusals()
}

func TestPlanesMayHaveOtherNamesAndNamespaces(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) {
		o.Installation.ManagementPlaneName, o.Installation.ManagementPlaneNamespace = "tsbmgmtplane", "tse"
		o.Installation.ControlPlaneName, o.Installation.ControlPlaneNamespace = "control-plane", "tis-plus-system"
		o.Installation.CABundle = true
	})
	f.patch("hub", managementPlanes, "tse", "tsbmgmtplane",
		`{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":true,"mutualTls":true}}}}}`)
	f.await("MPC on JWT", func() error { return f.presents("edge-1=mtls mpc=jwt") })
	f.patch("edge-1", controlPlanes, "tis-plus-system", "control-plane",
		`{"spec":{"components":{"xcp":{"centralAuthMode":"JWT"}}}}`)
	f.await("the edge on JWT", func() error { return f.presents("edge-1=jwt mpc=jwt") })
	f.noRefusals()
}

func TestTwoControlPlanesInOneClusterAreTwoEdges(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) {
		second := o.Edges[0]
		second.Name, second.Cluster, second.Namespace = "edge-2", "edge-1", "istio-system-2"
		o.Edges = append(o.Edges, second)
		o.Installation.CABundle = true
	})
	f.hubModes(`{"jwt":true,"mutualTls":true}`)
	f.await("MPC on JWT", func() error { return f.presents("edge-1=mtls edge-2=mtls mpc=jwt") })
	f.patch("edge-1", controlPlanes, "istio-system-2", "controlplane",
		`{"spec":{"components":{"xcp":{"centralAuthMode":"JWT"}}}}`)
	f.await("one of them on JWT", func() error { return f.presents("edge-1=mtls edge-2=jwt mpc=jwt") })
	f.SetEdge("edge-2", xcpsim.EdgeSwitches{Asleep: true})
	f.await("that one asleep", func() error { return f.presents("edge-1=mtls mpc=jwt") })
	f.noRefusals()
}

// TestAnActiveAndAStandbyManagementPlaneShareTheirEdges has the hub fail over to a standby, here in the edge's own
// cluster: the edges go there once their sessions end, and are accepted with what they have.
func TestAnActiveAndAStandbyManagementPlaneShareTheirEdges(t *testing.T) {
	for mode, credential := range map[string]string{"MUTUAL_TLS": "mtls", "JWT": "jwt"} {
		t.Run(mode, func(t *testing.T) {
			f := start(t, func(o *xcpsim.Options) {
				o.Standby = o.Edges[0]
				o.Installation.CABundle = true
			})
			if got, want := f.hubs(), "edge-1=hub mpc=edge-1 mpc=hub"; got != want {
				t.Fatalf("sessions are with %q, want %q", got, want)
			}
			for _, hub := range []string{"hub", "edge-1"} {
				f.patch(hub, managementPlanes, "tsb", "managementplane",
					`{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":true,"mutualTls":true}}}}}`)
			}
			f.await("both hubs with both modes", func() error { return f.presents("edge-1=mtls mpc=jwt mpc=jwt") })
			f.edgeMode(mode)
			f.await("the edge's mode", func() error { return f.presents("edge-1=" + credential + " mpc=jwt mpc=jwt") })
			f.FailOver("edge-1")
			if got, want := f.hubs(), "edge-1=hub mpc=edge-1 mpc=hub"; got != want {
				t.Errorf("an open session moved: %q, want %q", got, want)
			}
			central := f.session("edge-1").Central
			if err := f.kube("hub").CoreV1().Pods("tsb").Delete(t.Context(), central, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
			f.await("the edge at the standby", func() error {
				if got, want := f.hubs(), "edge-1=edge-1 mpc=edge-1 mpc=hub"; got != want {
					return fmt.Errorf("sessions are with %q, want %q", got, want)
				}
				return f.presents("edge-1=" + credential + " mpc=jwt mpc=jwt")
			})
			f.noRefusals()
		})
	}
}

// hubs says with whose Central each member has a session.
func (f *fleet) hubs() string {
	var out []string
	for _, s := range f.Sessions() {
		out = append(out, s.Member+"="+s.Hub)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
