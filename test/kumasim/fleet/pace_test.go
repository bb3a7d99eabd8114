package fleet_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// What a global knows of a stream is written when the next flush is due, and at the stream's end at once.
func TestInsightsAreWrittenAtTheNextFlushOrAtTheStreamsEnd(t *testing.T) {
	p := start(t, func(o *fleet.Options) { o.Pace.FlushEvery = time.Hour })
	p.connected("west", nil)
	if all := p.subscriptions("west"); len(all) > 0 {
		t.Errorf("before a flush is due there are %v", all)
	}
	p.Set("west", fleet.Switches{Asleep: true})
	p.await("the subscription that ended", func() error {
		if all := p.subscriptions("west"); len(all) != 1 || all[0]["connectTime"] == nil || all[0]["disconnectTime"] == nil {
			return fmt.Errorf("subscriptions are %v", all)
		}
		return nil
	})
}

// A global that ends by SIGTERM closes the sessions in ZoneInsight; one that is killed leaves them open, until the
// leader of the globals has seen twice that they do not move.
func TestAGlobalThatIsKilledLeavesItsSessionsOpen(t *testing.T) {
	for _, c := range []struct {
		name   string
		ends   func(p *played, pod string)
		idle   time.Duration
		closed bool
	}{
		{"SIGTERM", func(p *played, pod string) {
			if err := p.kube("global").CoreV1().Pods(namespace).Delete(p.t.Context(), pod, metav1.DeleteOptions{}); err != nil {
				p.t.Fatal(err)
			}
		}, 0, true},
		{"SIGKILL of the process", killed, 0, false},
		{"SIGKILL, and a while passes", killed, time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := start(t, func(o *fleet.Options) {
				o.Pace.IdleAfter = c.idle
				o.Pace.Retry, o.Pace.RetryMost = time.Hour, 2*time.Hour // the zone stays away
			})
			p.connected("west", nil)
			p.await("an open session", func() error {
				if all := p.subscriptions("west"); len(all) != 1 || all[0]["disconnectTime"] != nil {
					return fmt.Errorf("subscriptions are %v", all)
				}
				return nil
			})
			c.ends(p, p.pods("global")[0].Name)
			p.await("the stream's end", func() error {
				if live := p.Live(); len(live) > 0 {
					return fmt.Errorf("live are %v", live)
				}
				return nil
			})
			if c.closed {
				p.await("a closed session", func() error {
					if all := p.subscriptions("west"); len(all) != 1 || all[0]["disconnectTime"] == nil {
						return fmt.Errorf("subscriptions are %v", all)
					}
					return nil
				})
				return
			}
			p.rolledOut("global") // the next process runs
			if all := p.subscriptions("west"); len(all) != 1 || all[0]["disconnectTime"] != nil {
				t.Errorf("subscriptions are %v", all)
			}
		})
	}
}

func killed(p *played, pod string) {
	p.t.Helper()
	if err := p.Kill(pod); err != nil {
		p.t.Fatal(err)
	}
}

// A zone whose leader is gone, by force or not, is away until the lease has ended.
func TestTheNextLeaderOfAZoneWaitsForTheLeaseToEnd(t *testing.T) {
	for _, grace := range []int64{0, 30} {
		t.Run(fmt.Sprint("grace ", grace), func(t *testing.T) {
			p := start(t, func(o *fleet.Options) { o.Pace.LeaseFor = time.Hour })
			s := p.connected("west", nil)
			n := len(p.Calls())
			by := metav1.DeleteOptions{GracePeriodSeconds: &grace}
			err := p.kube("west").CoreV1().Pods(namespace).Delete(t.Context(), s.Pod, by)
			if err != nil {
				t.Fatal(err)
			}
			p.await("its stream's end", func() error {
				if live := p.Live(); len(live) > 0 {
					return fmt.Errorf("live are %v", live)
				}
				return nil
			})
			p.rolledOut("west")
			for _, c := range p.Calls()[n:] {
				t.Errorf("a pod called that does not lead: %+v", c)
			}
		})
	}
}

// A zone with a token that was revoked is cut off by its next health check, without a restart of anything.
func TestAHealthCheckEndsTheSessionOfARevokedToken(t *testing.T) {
	p := start(t, func(o *fleet.Options) { o.Pace.HealthEvery = 200 * time.Millisecond })
	p.rolledOut("global")
	token := p.token("west")
	p.giveToken("west", token)
	p.requireAuth()
	s := p.connected("west", func(s fleet.Stream) bool { return s.AuthTokenProvided })
	n := len(p.Calls())
	p.put("global", "zone-token-revocations", "system.kuma.io/global-secret", "value", jti(t, token))
	if c := p.refused(n, kumasim.TokenRevoked); !c.Health || c.Pod != s.Pod {
		t.Errorf("refused first is %+v", c)
	}
	p.await("the stream's end", func() error {
		if live := p.Live(); len(live) > 0 {
			return fmt.Errorf("live are %v", live)
		}
		return nil
	})
}

// A pod whose process takes its time after SIGTERM is Terminating until then, and its sessions are closed.
func TestAPodIsTerminatingWhileItsProcessEnds(t *testing.T) {
	p := start(t, func(o *fleet.Options) { o.DrainFor = time.Hour })
	p.connected("west", nil)
	old := p.pods("global")[0].Name
	k := p.kube("global").CoreV1().Pods(namespace)
	long := int64(3600)
	if err := k.Delete(t.Context(), old, metav1.DeleteOptions{GracePeriodSeconds: &long}); err != nil {
		t.Fatal(err)
	}
	p.connected("west", func(s fleet.Stream) bool { return s.Global != old })
	p.await("the closed session", func() error {
		all := p.subscriptions("west")
		if len(all) != 2 || all[0]["disconnectTime"] == nil || all[1]["disconnectTime"] != nil {
			return fmt.Errorf("subscriptions are %v", all)
		}
		return nil
	})
	if pod, err := k.Get(t.Context(), old, metav1.GetOptions{}); err != nil || pod.DeletionTimestamp == nil {
		t.Errorf("the pod that drains is %+v, %v", pod, err)
	}
	now := int64(0)
	if err := k.Delete(t.Context(), old, metav1.DeleteOptions{GracePeriodSeconds: &now}); err != nil {
		t.Fatal(err)
	}
	p.rolledOut("global")
}

// The subscription has the zone's configuration, with its token hidden.
func TestASubscriptionHasTheZonesConfiguration(t *testing.T) {
	p := start(t, nil)
	p.rolledOut("global")
	token := p.token("west")
	p.giveToken("west", token)
	p.connected("west", func(s fleet.Stream) bool { return s.AuthTokenProvided })
	p.await("the configuration", func() error {
		all := p.subscriptions("west")
		if len(all) == 0 || all[len(all)-1]["authTokenProvided"] != true {
			return fmt.Errorf("subscriptions are %v", all)
		}
		text, _ := all[len(all)-1]["config"].(string)
		var config struct {
			Mode      string
			Multizone struct{ Zone struct{ Name string } }
			KMesh     struct {
				Multizone struct {
					Zone struct {
						KDS struct {
							Auth struct{ CPTokenInline string }
						}
					}
				}
			}
		}
		if err := json.Unmarshal([]byte(text), &config); err != nil {
			return err
		}
		auth := config.KMesh.Multizone.Zone.KDS.Auth
		if config.Mode != "zone" || config.Multizone.Zone.Name != "west" || auth.CPTokenInline != "*****" {
			t.Errorf("the configuration is %s", text)
		}
		if strings.Contains(fmt.Sprint(all), token) {
			t.Error("the token is in the insight")
		}
		return nil
	})
}

// From 3.0 on a global's process ends where it is to have anything of Kubernetes.
func TestAGlobalOfVersionThreeIsUniversalAlone(t *testing.T) {
	for _, c := range []struct{ variable, value, want string }{
		{"KUMA_ENVIRONMENT", "kubernetes", "mode=global cannot be combined with environment=kubernetes"},
		{"KUMA_ENVIRONMENT", "universal", "mode=global cannot be combined with store.type=kubernetes"},
	} {
		t.Run(c.variable+"="+c.value, func(t *testing.T) {
			p := start(t, func(o *fleet.Options) {
				o.Version, o.GlobalEnv = "3.0.0", []corev1.EnvVar{{Name: c.variable, Value: c.value}}
			})
			p.await("a pod that crashes", func() error {
				for _, pod := range p.pods("global") {
					for _, s := range pod.Status.ContainerStatuses {
						if last := s.LastTerminationState.Terminated; last != nil && strings.Contains(last.Message, c.want) {
							return nil
						}
					}
				}
				return fmt.Errorf("none has")
			})
			if len(p.Calls()) > 0 {
				t.Errorf("a process that ended at its start was called: %v", p.Calls())
			}
		})
	}
}
