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

func TestAZoneWithoutATokenIsRefusedOnceTheGlobalAuthenticates(t *testing.T) {
	p := start(t, nil)
	s := p.connected("west", nil)
	if s.AuthTokenProvided || s.Pod == "" || s.Global == "" {
		t.Errorf("the first stream is %+v", s)
	}
	n := len(p.Calls())
	p.requireAuth()
	if c := p.refused(n, kumasim.TokenMissing); c.Pod != s.Pod || c.Zone != "west" {
		t.Errorf("refused is %+v, want pod %s", c, s.Pod)
	}
	if live := p.Live(); len(live) > 0 {
		t.Errorf("live are %v", live)
	}
	p.giveToken("west", p.token("west"))
	again := p.connected("west", func(s fleet.Stream) bool { return s.AuthTokenProvided })
	if again.Pod == s.Pod {
		t.Errorf("the pod without the variable, %s, connected with a token", s.Pod)
	}
}

func TestAPodWaitsForASecretThatIsMissing(t *testing.T) {
	p := start(t, nil)
	first := p.connected("west", nil)
	p.setEnv("west", inline, `"valueFrom":{"secretKeyRef":{"name":"cp-token","key":"token"}}`)
	k := p.kube("west")
	waiting := func(message string) {
		t.Helper()
		p.await("a pod that waits: "+message, func() error {
			pods, err := k.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return err
			}
			for _, pod := range pods.Items {
				for _, c := range pod.Status.ContainerStatuses {
					if w := c.State.Waiting; w != nil && w.Reason == "CreateContainerConfigError" && w.Message == message {
						return nil
					}
				}
			}
			return fmt.Errorf("%d pods", len(pods.Items))
		})
	}
	waiting(`secret "cp-token" not found`)
	p.await("an Event", func() error {
		events, err := k.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, e := range events.Items {
			if e.Reason == "Failed" && strings.Contains(e.Message, `secret "cp-token" not found`) {
				return nil
			}
		}
		return fmt.Errorf("%d events", len(events.Items))
	})
	p.put("west", "cp-token", corev1.SecretTypeOpaque, "other", "x")
	waiting("couldn't find key token in Secret " + namespace + "/cp-token")
	if now := p.Live()["west"]; now.Pod != first.Pod {
		t.Errorf("the stream is of pod %q, want the old one, %s", now.Pod, first.Pod)
	}
	if err := k.CoreV1().Secrets(namespace).Delete(t.Context(), "cp-token", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.put("west", "cp-token", corev1.SecretTypeOpaque, "token", p.token("west"))
	p.rolledOut("west")
	p.connected("west", func(s fleet.Stream) bool { return s.AuthTokenProvided && s.Pod != first.Pod })
}

func TestARevokedTokenAndADeletedKeyCountAtTheNextAuthentication(t *testing.T) {
	for _, c := range []struct {
		name string
		does func(p *played, jti string)
		want kumasim.Reason
	}{
		{"revoked", func(p *played, jti string) {
			p.put("global", "zone-token-revocations", "system.kuma.io/global-secret", "value", jti)
		}, kumasim.TokenRevoked},
		{"its key deleted", func(p *played, _ string) {
			if err := p.kube("global").CoreV1().Secrets(namespace).Delete(p.t.Context(), key1,
				metav1.DeleteOptions{}); err != nil {
				p.t.Fatal(err)
			}
		}, kumasim.KeyUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, nil)
			p.connected("west", nil)
			token := p.token("west")
			p.giveToken("west", token)
			p.requireAuth()
			s := p.connected("west", func(s fleet.Stream) bool { return s.AuthTokenProvided })
			c.does(p, jti(t, token))
			p.await("the global sees it", func() error {
				if p.Verdict("west", token) == nil {
					return fmt.Errorf("the token is still accepted")
				}
				return nil
			})
			if now := p.Live()["west"]; !now.Since.Equal(s.Since) {
				t.Errorf("the stream of %s became %+v", s.Since, now)
			}
			n := len(p.Calls())
			p.restart("west")
			if call := p.refused(n, c.want); call.Pod == s.Pod {
				t.Errorf("refused is the old pod: %+v", call)
			}
			if live := p.Live(); len(live) > 0 {
				t.Errorf("live are %v", live)
			}
		})
	}
}

func TestInsightsSayWhoBroughtATokenAndKeepTheLastTen(t *testing.T) {
	p := start(t, nil)
	p.connected("west", nil)
	subscriptions := func() []map[string]any { return p.subscriptions("west") }
	last := func(is func(map[string]any) bool) {
		t.Helper()
		p.await("the last subscription", func() error {
			all := subscriptions()
			if len(all) == 0 || !is(all[len(all)-1]) {
				return fmt.Errorf("subscriptions are %v", all)
			}
			for _, s := range all[:len(all)-1] {
				if s["disconnectTime"] == nil {
					return fmt.Errorf("one that is not the last is open: %v", all)
				}
			}
			return nil
		})
	}
	last(func(s map[string]any) bool {
		return s["authTokenProvided"] == nil && s["disconnectTime"] == nil && s["connectTime"] != nil &&
			s["globalInstanceId"] != nil && s["zoneInstanceId"] != nil
	})
	p.giveToken("west", p.token("west"))
	last(func(s map[string]any) bool { return s["authTokenProvided"] == true && s["disconnectTime"] == nil })
	for range 12 {
		p.Set("west", fleet.Switches{Asleep: true})
		last(func(s map[string]any) bool { return s["disconnectTime"] != nil })
		p.Set("west", fleet.Switches{})
		last(func(s map[string]any) bool { return s["authTokenProvided"] == true && s["disconnectTime"] == nil })
	}
	if n := len(subscriptions()); n != 10 {
		t.Errorf("%d subscriptions are kept, want 10", n)
	}
	p.Set("west", fleet.Switches{InsightsLate: true})
	before := subscriptions()
	p.restart("west")
	p.rolledOut("west")
	p.connected("west", func(s fleet.Stream) bool { return true })
	if now := subscriptions(); fmt.Sprint(now) != fmt.Sprint(before) {
		t.Errorf("insights were to be late: %v became %v", before, now)
	}
	p.Set("west", fleet.Switches{})
	p.await("the insights that were late", func() error {
		if now := subscriptions(); now[len(now)-1]["id"] == before[len(before)-1]["id"] {
			return fmt.Errorf("subscriptions are %v", now)
		}
		return nil
	})
}
