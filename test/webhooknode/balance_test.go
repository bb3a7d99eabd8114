package webhooknode

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// What Balance promises of who gets connections, over two nodes.
func TestWhoGetsConnections(t *testing.T) {
	long, just := time.Now().Add(-time.Minute), time.Now().Add(time.Hour) // "just" stays so however long the test takes
	at := func(told, gone *time.Time) *process {
		p := &process{}
		p.told.Store(told)
		p.gone.Store(gone)
		return p
	}
	for name, c := range map[string]struct {
		first, second *process // as their kubelets call ready
		want          [3]int   // the nodes of three connections, -1 for none
	}{
		"each in turn":                         {at(nil, nil), at(nil, nil), [3]int{1, 0, 1}},
		"only who is ready":                    {nil, at(nil, nil), [3]int{1, 1, 1}},
		"nobody":                               {nil, nil, [3]int{-1, -1, -1}},
		"nobody has heard yet of the deletion": {at(&just, nil), at(nil, nil), [3]int{1, 0, 1}},
		"none to one that is deleted while another serves": {at(&long, nil), at(nil, nil), [3]int{1, 1, 1}},
		"one that is deleted while no other serves":        {at(&long, nil), nil, [3]int{0, 0, 0}},
		"nobody has looked yet after the loss":             {at(nil, &just), at(nil, nil), [3]int{1, 0, 1}},
		"none to one that is gone":                         {at(nil, &long), at(nil, nil), [3]int{1, 1, 1}},
		"nor where no other serves":                        {at(&long, &long), nil, [3]int{-1, -1, -1}},
	} {
		t.Run(name, func(t *testing.T) {
			b := &Balancer{nodes: []*Node{{ip: "0"}, {ip: "1"}}, ready: []*process{c.first, c.second}}
			for i, want := range c.want {
				n, p := b.next()
				if got := map[*Node]int{b.nodes[0]: 0, b.nodes[1]: 1, nil: -1}[n]; got != want || (p == nil) != (want < 0) {
					t.Errorf("connection %d goes to %d, want %d", i+1, got, want)
				}
			}
		})
	}
}

// A process is ready from its first answer to as many failures in a row as the Deployment says.
func TestWhenAKubeletCallsAProcessReady(t *testing.T) {
	b := &Balancer{nodes: []*Node{{readiness: corev1.Probe{FailureThreshold: 3}}}, ready: make([]*process, 1)}
	p, failures := &process{}, 0
	for i, step := range []struct{ passed, ready bool }{
		{false, false}, {false, false}, {false, false}, {true, true}, {false, true}, {false, true}, {true, true},
		{false, true}, {false, true}, {false, false}, {false, false}, {true, true},
	} {
		if got := b.judge(0, p, step.passed, &failures); got != step.ready {
			t.Errorf("probe %d passes: %t; then ready: %t", i+1, step.passed, got)
		}
	}
	if b.judge(0, &process{}, false, new(int)) {
		t.Error("a process that was started just now is ready by what another one answered")
	}
}
