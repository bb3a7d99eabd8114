package migration

import (
	"slices"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
	"github.com/xcpauth/kubectl-xcpauth/test/tsbfleet"
)

// A name is asked for as a CA takes it and a certificate has it, however the ControlPlane or a flag writes it.
func TestNamesAreAskedForAsACertificateHasThem(t *testing.T) {
	for host, want := range map[string]struct{ name, dials, host string }{
		"tsb.example.test":  {"tsb.example.test", "tsb.example.test:9443", "tsb.example.test"},
		"tsb.example.test.": {"tsb.example.test", "tsb.example.test:9443", "tsb.example.test"},
		"[2001:db8::1]":     {"2001:db8::1", "[2001:db8::1]:9443", "2001:db8::1"},
		"2001:DB8:0::1":     {"2001:db8::1", "[2001:db8::1]:9443", "2001:db8::1"},
		"192.0.2.1":         {"192.0.2.1", "192.0.2.1:9443", "192.0.2.1"},
		"[no-address]":      {"[no-address]", "[no-address]:9443", "[no-address]"},
	} {
		s := tsbfleet.NewStage(t)
		s.Edge["ControlPlane controlplane"]["spec"].(apifake.Object)["managementPlane"].(apifake.Object)["host"] = host
		f := s.State(tsbfleet.PlainProvider)
		m := f.Member("eu")
		if m == nil || m.ServerName != want.name || m.Dials != want.dials {
			t.Errorf("%s: %+v, want %+v", host, m, want)
			continue
		}
		for _, names := range [][]string{classify(f, plan.Goal{Sources: plan.Sources{Names: []string{host}}}).dialled,
			Dialled(f, []string{host})} {
			if !slices.Equal(names, []string{want.name}) {
				t.Errorf("%s: asked for %q, want %q alone", host, names, want.name)
			}
		}
		if hosts := state.SupplyOf(f, *m).Hosts; !slices.Equal(hosts, []string{want.host}) {
			t.Errorf("%s: the hosts are %q", host, hosts)
		}
		if w := Wanted(f, []string{host}); !slices.Contains(w.Names, want.name) || host != want.name &&
			slices.Contains(w.Names, host) {
			t.Errorf("%s: wanted %q", host, w.Names)
		}
		s.Xcp()["kubeSpec"] = apifake.Object{"overlays": []any{apifake.Object{"apiVersion": "install.xcp.tetrate.io/v1alpha1",
			"kind": "EdgeXcp", "name": "edge-xcp", "patches": []any{
				apifake.Object{"path": "spec.centralAuthJwt.centralSni", "value": host}}}}}
		if m := s.State(tsbfleet.PlainProvider).Member("eu"); m == nil || m.ServerName != want.name {
			t.Errorf("%s by an overlay: %+v", host, m)
		}
	}
}
