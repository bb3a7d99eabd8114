package mesh

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// environments are the environments of all control planes' Deployments, as their API servers have them, by cluster.
func (m *mesh) environments() map[string]string {
	m.Helper()
	all := map[string]string{}
	for _, c := range m.bed.Clusters() {
		kube, err := kubernetes.NewForConfig(c.Config)
		if err != nil {
			m.Fatal(err)
		}
		_, name, _ := strings.Cut(deployment, "/")
		d, err := kube.AppsV1().Deployments(namespace).Get(m.Context(), name, metav1.GetOptions{})
		if err != nil {
			m.Fatal(err)
		}
		text, err := json.MarshalIndent(d.Spec.Template.Spec.Containers[0].Env, "", " ")
		if err != nil {
			m.Fatal(err)
		}
		all[c.Name] = string(text)
	}
	return all
}

// After each stage the way back leads to where it began: to the environments, and to the sessions, of before. One
// zone had a token already that the global would refuse, and gets that back.
func TestRollbackAfterEachStage(t *testing.T) {
	m := start(t, nil)
	m.give("west", m.issue("west", "1s")) // it has expired by the time that anybody asks
	m.keepKeyOut()
	before := m.environments()
	asItWas := func(clusters ...string) {
		t.Helper()
		m.await("every stream to have a token as before", func() error {
			for _, z := range clusters {
				if s, live := m.Live()[z]; z != "global" && (!live || s.AuthTokenProvided != (z == "west")) {
					return fmt.Errorf("%s: live %v, %+v", z, live, s)
				}
			}
			return nil
		})
		now := m.environments()
		for _, c := range clusters {
			if now[c] != before[c] {
				t.Errorf("%s is set to\n%s\nand was to\n%s", c, now[c], before[c])
			}
		}
		if err := m.Verdict("east", ""); err != nil && slices.Contains(clusters, "global") {
			t.Errorf("the global authenticates: %v", err)
		}
		m.promiseKept()
	}
	everywhere := slices.Sorted(maps.Keys(before))

	m.run(0, "migrate", "--to=dual")
	if keys := m.secretNames("global", "zone-token-signing-key-"); !slices.Equal(keys,
		[]string{"zone-token-signing-key-1"}) {
		t.Errorf("the keys are %v", keys)
	}
	m.run(0, "rollback")
	asItWas(everywhere...)

	m.run(0, "migrate", "--to=edges")
	m.withTokens(true)
	moved := m.environments()
	m.run(0, "rollback", "--edge", "north")
	asItWas("global", "north")
	for _, z := range []string{"east", "west"} {
		if now := m.environments()[z]; now != moved[z] || now == before[z] {
			t.Errorf("one zone was to go back, and %s is set to\n%s", z, now)
		}
	}
	m.run(0, "rollback")
	asItWas(everywhere...)

	m.run(0, "migrate")
	m.withTokens(true)
	if err := m.Verdict("east", ""); err == nil {
		t.Error("the global authenticates nobody")
	}
	moved = m.environments()
	if r := m.run(5, "rollback", "--edge", "north"); !strings.Contains(strings.Join(strings.Fields(r.Stdout), " "),
		"the global would refuse what it presented before") {
		t.Errorf("it is refused with\n%s", r.Stdout)
	}
	if now := m.environments(); !maps.Equal(now, moved) {
		t.Errorf("a rollback that was refused wrote something:\n%v", now)
	}
	m.WereKilled(m.killedAtEachKindOfWrite("rollback", "--wave-size", "1"), "PUT leases/xcpauth in global",
		"PATCH deployments/kong-mesh-control-plane in global", "PATCH deployments/kong-mesh-control-plane in east",
		"PATCH deployments/kong-mesh-control-plane in north", "PATCH deployments/kong-mesh-control-plane in west")
	for _, z := range zones { // the run that ended well has seen it
		if s, live := m.Live()[z]; !live || s.AuthTokenProvided != (z == "west") {
			t.Errorf("the rollback has ended, and %s: live %v, %+v", z, live, s)
		}
	}
	asItWas(everywhere...)
}
