package bench

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh/zonetoken"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// The Helm releases in the namespace of a control plane, which lie there as secrets among those that are read.
const (
	releases    = 3
	releaseSize = 40 << 10
)

// mesh is a global of Kong Mesh that authenticates its zones, and zones with a token each, which are called as their
// contexts.
func mesh(names []string) (hub []apifake.Object, zone func(name string) ([]apifake.Object, error), err error) {
	const version, ns, kid = "2.13.10", "kong-mesh-system", "1"
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, nil, err
	}
	connected := map[string]bool{}
	for _, n := range names {
		connected[n] = true
	}
	hub = append(apifake.Global(version, connected, apifake.Variable("KMESH_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "cpToken")),
		apifake.GlobalSecret(zonetoken.KeyName(kid), string(zonetoken.EncodeKey(key))))
	return released(sized(hub, ns), ns), func(name string) ([]apifake.Object, error) {
		var id [16]byte
		if _, err := rand.Read(id[:]); err != nil {
			return nil, err
		}
		token, _, err := zonetoken.Issue(zonetoken.Grant{Zone: name, ValidFor: 720 * time.Hour, ID: zonetoken.TokenID(id),
			KeyID: kid}, key, time.Now())
		if err != nil {
			return nil, fmt.Errorf("making a token for %s: %w", name, err)
		}
		objects := append(apifake.Zone(version, name, apifake.SecretVariable("KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_INLINE",
			"cp-token", "token")), apifake.TokenSecret("cp-token", string(token.Reveal())))
		return released(sized(objects, ns), ns), nil
	}, nil
}

// release is the data of one, shared by all.
var release = base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", releaseSize)))

// released adds the Helm releases.
func released(objects []apifake.Object, ns string) []apifake.Object {
	for i := range releases {
		objects = append(objects, apifake.Object{"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
			"metadata": apifake.Object{"name": fmt.Sprintf("sh.helm.release.v1.kong-mesh.v%d", i+1), "namespace": ns},
			"data":     apifake.Object{"release": release}})
	}
	return objects
}

// readsPerZone is what is asked of a zone: 2 to find its control plane, 3 those of the other product; Pods,
// secrets, and the configuration file.
const readsPerZone = 8

func TestStatusAndTokensOfAThousandZones(t *testing.T) {
	const zones = 1000
	f := start(t, "kong-mesh", zones)
	kubeconfig, err := f.kubeconfig(t.TempDir(), zones, nil)
	if err != nil {
		t.Fatal(err)
	}
	xcpauth := plugin(t)
	for _, tc := range []struct {
		args []string
		list string // of the report
		want string // the state of each zone
	}{
		{[]string{"status"}, "members", "ok"},
		{[]string{"token", "list"}, "tokens", "accepted"},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			if _, err := f.counts(); err != nil {
				t.Fatal(err)
			}
			c, out := measure(t, exec.CommandContext(t.Context(), xcpauth, append(tc.args, "--kubeconfig", kubeconfig,
				"-o", "json")...), 0)
			var report map[string]json.RawMessage
			var rows []struct{ Member, State string }
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(report[tc.list], &rows); err != nil {
				t.Fatal(err)
			}
			states := map[string]string{}
			for _, r := range rows {
				if _, twice := states[r.Member]; twice {
					t.Errorf("%s has two rows", r.Member)
				}
				states[r.Member] = r.State
			}
			counts, err := f.counts()
			if err != nil {
				t.Fatal(err)
			}
			var reads, connections int
			for i := range zones {
				if got := states[name(i)]; got != tc.want {
					t.Errorf("%s is %q, want %q", name(i), got, tc.want)
				}
				got := counts[i+1]
				if got.Reads != readsPerZone || got.Forwards != 0 || got.Connections != 1 {
					t.Errorf("%s: %+v, want %d reads over one connection", name(i), got, readsPerZone)
				}
				reads, connections = reads+got.Reads, connections+got.Connections
			}
			c.fits(t)
			t.Logf("%s of %d zones: %s", strings.Join(tc.args, " "), zones, c)
			t.Logf("requests per zone: %.1f reads over %.1f connections; of the global: %d reads", float64(reads)/zones,
				float64(connections)/zones, counts[0].Reads)
		})
	}
}
