package mesh

import (
	"encoding/json"
	"fmt"
	"regexp"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim/fleet"
)

// sessions are what the global's objects tell of a zone: whether each of its subscriptions is open, oldest first.
func (m *mesh) sessions(zone string) []bool {
	m.Helper()
	var insight struct {
		Spec struct {
			Subscriptions []struct{ DisconnectTime string }
		}
	}
	text := m.kubectl("--context", "global", "get", "zoneinsights.kuma.io", zone, "-o", "json").Stdout
	if err := json.Unmarshal([]byte(text), &insight); err != nil {
		m.Fatal(err)
	}
	var open []bool
	for _, s := range insight.Spec.Subscriptions {
		open = append(open, s.DisconnectTime == "")
	}
	return open
}

// A global whose process is killed leaves its sessions open in the objects, though no zone is connected; one that ends
// by SIGTERM closes them. Either way status tells of no session, and a migration goes on once the zones are back.
func TestSessionsThatAGlobalLeftOpen(t *testing.T) {
	m := start(t, nil)
	globals := func() string {
		return m.kubectl("--context", "global", "-n", namespace, "get", "pods",
			"-o", "jsonpath={.items[0].metadata.name}").Stdout
	}
	all := func(to fleet.Switches) {
		for _, z := range zones {
			m.Set(z, to)
		}
	}
	ready := func() {
		m.Helper()
		m.kubectl("--context", "global", "-n", namespace, "rollout", "status", deployment, "--timeout="+limit.String())
	}
	for _, c := range []struct {
		how  string
		ends func()
		open bool
	}{
		{"killed", func() {
			if err := m.Kill(globals()); err != nil {
				t.Fatal(err)
			}
		}, true},
		{"terminated", func() {
			m.kubectl("--context", "global", "-n", namespace, "delete", "pod", globals(), "--wait=false")
		}, false},
	} {
		m.await("an open session of every zone", func() error {
			for _, z := range zones {
				if s := m.sessions(z); len(s) == 0 || !s[len(s)-1] {
					return fmt.Errorf("%s: open are %v", z, s)
				}
			}
			return nil
		})
		c.ends()
		all(fleet.Switches{Asleep: true}) // before any of them dials again
		m.await("the process to be gone, and the next one there", func() error {
			if live := m.Live(); len(live) > 0 {
				return fmt.Errorf("live are %v", live)
			}
			ready()
			return nil
		})
		told := func() error {
			for _, z := range zones {
				if s := m.sessions(z); s[len(s)-1] != c.open {
					return fmt.Errorf("the global was %s, and of %s open are %v", c.how, z, s)
				}
			}
			return nil
		}
		if m.await("the objects to tell of it", told); c.open {
			ready() // and the next process leaves them as they are
			if err := told(); err != nil {
				t.Error(err)
			}
		}
		said := m.Xcpauth(4, "status").Stdout // none of them is connected
		for _, z := range zones {
			if !regexp.MustCompile(`(?m)^` + z + ` +not connected `).MatchString(said) {
				t.Errorf("the global was %s, %s is not connected, and status says\n%s", c.how, z, said)
			}
		}
		all(fleet.Switches{})
		m.await("every zone to be connected again", func() error {
			if live := m.Live(); len(live) != len(zones) {
				return fmt.Errorf("live are %v", live)
			}
			return nil
		})
	}
	m.run(0, "migrate")
	m.withTokens(true)
}
