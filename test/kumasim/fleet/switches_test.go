package fleet_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

func TestAZoneThatIsCutAfterItsNextPodKeepsItsStreamUntilThen(t *testing.T) {
	p := start(t, nil)
	s := p.connected("west", nil)
	p.Set("west", fleet.Switches{CutAfterNext: true})
	if now := p.Live()["west"]; now.Pod != s.Pod {
		t.Errorf("the stream is %+v before the next pod", now)
	}
	n := len(p.Calls())
	p.restart("west")
	p.rolledOut("west")
	p.await("no stream", func() error {
		if live := p.Live(); len(live) > 0 {
			return fmt.Errorf("live are %v", live)
		}
		return nil
	})
	for _, c := range p.Calls()[n:] {
		t.Errorf("a zone that reaches no global called: %+v", c)
	}
	p.Set("west", fleet.Switches{})
	p.connected("west", func(now fleet.Stream) bool { return now.Pod != s.Pod })
}

func TestOnlyTheOldestPodOfAZoneConnectsToOneOfTheGlobals(t *testing.T) {
	p := start(t, func(o *fleet.Options) { o.GlobalReplicas, o.ZoneReplicas = 2, 3 })
	p.rolledOut("global")
	p.rolledOut("west")
	first := p.connected("west", nil)
	served := map[string]bool{}
	p.await("both globals have served", func() error {
		served[p.connected("west", nil).Global] = true
		if len(served) < 2 {
			p.Set("west", fleet.Switches{Asleep: true})
			p.Set("west", fleet.Switches{})
			return fmt.Errorf("served by %v", served)
		}
		return nil
	})
	for _, c := range p.Calls() {
		if c.Pod != first.Pod {
			t.Errorf("a pod that does not lead called: %+v, the leader is %s", c, first.Pod)
		}
	}
	if err := p.kube("west").CoreV1().Pods(namespace).Delete(t.Context(), first.Pod, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.connected("west", func(s fleet.Stream) bool { return s.Pod != first.Pod })
}

func TestAZoneOutsideOfClustersConnectsWithTheTokenThatItIsGiven(t *testing.T) {
	p := start(t, func(o *fleet.Options) {
		o.Universal = []string{"vm-1"}
		o.GlobalEnv = []corev1.EnvVar{{Name: authType, Value: "cpToken"}}
	})
	p.rolledOut("global")
	p.await("a refusal of vm-1", func() error {
		for _, c := range p.Refused() {
			if c.Zone == "vm-1" && c.Reason == kumasim.TokenMissing && c.Pod == "" {
				return nil
			}
		}
		return fmt.Errorf("refused are %v", p.Refused())
	})
	p.SetUniversalToken("vm-1", p.token("west"))
	p.refused(0, kumasim.WrongZone)
	p.SetUniversalToken("vm-1", p.token("vm-1"))
	if s := p.connected("vm-1", nil); !s.AuthTokenProvided || s.Pod != "" {
		t.Errorf("the stream is %+v", s)
	}
}

func TestVersionThreeCrashesWhileAnOldVariableIsSet(t *testing.T) {
	p := start(t, func(o *fleet.Options) {
		o.Version, o.StoredElsewhere = "3.0.0", true
		o.GlobalEnv = []corev1.EnvVar{{Name: "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", Value: "zoneToken"}}
		o.ZoneEnv = map[string][]corev1.EnvVar{"west": {{Name: inline, Value: "x"}}}
	})
	k := p.kube("west")
	p.await("a pod that crashes", func() error {
		pods, err := k.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, pod := range pods.Items {
			for _, c := range pod.Status.ContainerStatuses {
				w, last := c.State.Waiting, c.LastTerminationState.Terminated
				if w != nil && w.Reason == "CrashLoopBackOff" && c.RestartCount > 1 && last != nil &&
					strings.Contains(last.Message, inline) {
					return nil
				}
			}
		}
		return fmt.Errorf("%d pods", len(pods.Items))
	})
	if len(p.Calls()) > 0 {
		t.Errorf("a process that ended at its start called: %v", p.Calls())
	}
	p.setEnv("west", inline, `"$patch":"delete"`)
	p.rolledOut("west")
	p.refused(0, kumasim.TokenMissing)
	p.put("west", "cp-token", corev1.SecretTypeOpaque, "token", p.issued("west"))
	p.setEnv("west", "KUMA_MULTIZONE_ZONE_KDS_AUTH_TOKEN_INLINE",
		`"valueFrom":{"secretKeyRef":{"name":"cp-token","key":"token"}}`)
	p.connected("west", func(s fleet.Stream) bool { return s.AuthTokenProvided })
}

func TestAnotherNamespaceAndOwnersAreAsAsked(t *testing.T) {
	p := start(t, func(o *fleet.Options) {
		o.Product, o.Name, o.Namespace, o.Version = fleet.KongMesh, "mesh", "mesh-of-ours", "2.14.6"
		o.HelmOwned, o.Argo = true, true
		o.GlobalEnv = []corev1.EnvVar{{Name: "KUMA_MULTIZONE_GLOBAL_KDS_AUTH_TYPE", Value: "zoneToken"}}
	})
	p.refused(0, kumasim.TokenMissing)
	k := p.kube("global")
	d, err := k.AppsV1().Deployments("mesh-of-ours").Get(t.Context(), "mesh-control-plane", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"meta.helm.sh/release-name": "mesh", "meta.helm.sh/release-namespace": "mesh-of-ours",
		"argocd.argoproj.io/tracking-id": "mesh:apps/Deployment:mesh-of-ours/mesh-control-plane",
	} {
		if got := d.Annotations[name]; got != want {
			t.Errorf("annotation %s is %q, want %q", name, got, want)
		}
	}
	if _, err := k.CoreV1().Secrets("mesh-of-ours").Get(t.Context(), key1, metav1.GetOptions{}); err != nil {
		t.Errorf("the key that the global makes: %v", err)
	}
	if err := p.Verdict("west", "x"); err == nil || strings.Contains(err.Error(), "no global") {
		t.Errorf("a token that is none gets %v", err)
	}
}

func TestStreamsOutliveAnAPIServerThatIsAway(t *testing.T) {
	p := start(t, nil)
	s := p.connected("west", nil)
	token := p.token("west")
	bed.Cluster("west").KillAPIServer()
	bed.Cluster("global").KillAPIServer()
	if err := p.Verdict("west", token); err != nil {
		t.Errorf("the global forgot its keys: %v", err)
	}
	p.Set("west", fleet.Switches{Asleep: true})
	p.await("no stream", func() error {
		if live := p.Live(); len(live) > 0 {
			return fmt.Errorf("live are %v", live)
		}
		return nil
	})
	p.Set("west", fleet.Switches{})
	if again := p.connected("west", nil); again.Pod != s.Pod {
		t.Errorf("the stream is of %s, want %s", again.Pod, s.Pod)
	}
	for _, name := range []string{"west", "global"} {
		if err := bed.Cluster(name).RestartAPIServer(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	p.giveToken("west", token)
	p.connected("west", func(now fleet.Stream) bool { return now.AuthTokenProvided && now.Pod != s.Pod })
}
