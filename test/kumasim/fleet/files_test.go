package fleet_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

func TestAGlobalAuthenticatesAsItsConfigurationFileSaysAtItsStart(t *testing.T) {
	p := start(t, nil)
	p.connected("west", nil)
	patch := `{"data":{"config.yaml":"kmesh:\n  multizone:\n    global:\n      kds:\n        auth:\n          type: cpToken\n"}}`
	_, err := p.kube("global").CoreV1().ConfigMaps(namespace).Patch(t.Context(), deployment+"-config",
		types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Verdict("west", "x"); err != nil {
		t.Errorf("a running process authenticates by a file that it has read before: %v", err)
	}
	p.restart("global")
	p.refused(0, kumasim.TokenMissing)
	p.setEnv("global", authType, `"value":"none"`) // goes before the file
	p.rolledOut("global")
	p.connected("west", nil)
}

func TestATokenInAFileIsReadAsTheVersionReadsIt(t *testing.T) {
	for _, c := range []struct {
		version, variable string
		again             bool // whether a file that changed counts in a process that runs
	}{
		{"2.13.5", "KMESH_MULTIZONE_ZONE_KDS_AUTH_CP_TOKEN_PATH", false},
		{"3.0.0", "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_PATH", true},
	} {
		t.Run(c.version, func(t *testing.T) {
			p := start(t, func(o *fleet.Options) {
				o.Version, o.StoredElsewhere = c.version, c.version == "3.0.0"
				name, value := authType, "cpToken"
				if c.version == "3.0.0" {
					name, value = "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", "zoneToken"
				}
				o.GlobalEnv = []corev1.EnvVar{{Name: name, Value: value}}
			})
			p.refused(0, kumasim.TokenMissing)
			patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"volumes":[{"name":"token","secret":{"secretName":"cp-token"}}],"containers":[{"name":"control-plane",
				"env":[{"name":%q,"value":"/var/run/token/token"}],"volumeMounts":[{"name":"token","mountPath":"/var/run/token"}]}]}}}}`, c.variable)
			k := p.kube("west")
			if _, err := k.AppsV1().Deployments(namespace).Patch(t.Context(), deployment, types.StrategicMergePatchType,
				[]byte(patch), metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			const want = `MountVolume.SetUp failed for volume "token" : secret "cp-token" not found`
			p.await("an Event of the volume", func() error {
				events, err := k.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
				if err != nil {
					return err
				}
				for _, e := range events.Items {
					if e.Reason == "FailedMount" && e.Message == want {
						return nil
					}
				}
				return fmt.Errorf("%d events", len(events.Items))
			})
			p.put("west", "cp-token", corev1.SecretTypeOpaque, "token", p.issued("west"))
			p.rolledOut("west")
			s := p.connected("west", func(s fleet.Stream) bool { return s.AuthTokenProvided })
			change := fmt.Sprintf(`{"stringData":{"token":%q}}`, p.issued("east"))
			if _, err := k.CoreV1().Secrets(namespace).Patch(t.Context(), "cp-token", types.MergePatchType, []byte(change),
				metav1.PatchOptions{}); err != nil {
				t.Fatal(err)
			}
			if c.again {
				p.await("the new token in the same pod", func() error {
					p.Set("west", fleet.Switches{Asleep: true}) // ends the stream
					p.Set("west", fleet.Switches{})
					for _, call := range p.Refused() {
						if call.Reason == kumasim.WrongZone && call.Pod == s.Pod {
							return nil
						}
					}
					return fmt.Errorf("refused are %v", p.Refused())
				})
				return
			}
			p.restart("west")
			if call := p.refused(0, kumasim.WrongZone); call.Pod == s.Pod {
				t.Errorf("the old pod presented the new token: %+v", call)
			}
		})
	}
}
