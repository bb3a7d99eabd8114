package plan

import (
	"strings"
	"testing"
)

func TestWhatASavedPlanAllows(t *testing.T) {
	step := func(change func(*Step)) Wave {
		s := Step{ID: "move/a", Title: "a: move", Writes: []Write{{Context: "a", Cluster: "1",
			Object: Ref{Kind: "ControlPlane", Name: "a", UID: "u"},
			Before: map[string]any{"mode": "MUTUAL_TLS"}, After: map[string]any{"mode": "JWT"}}}}
		if change != nil {
			change(&s)
		}
		return Wave{Steps: []Step{s}}
	}
	restart := func(why string) func(*Step) {
		return func(s *Step) {
			s.Writes = []Write{{Cluster: "1", Object: Ref{Kind: "Deployment", Name: "central"}, Op: OpRestart,
				After: map[string]any{"why": why}}}
		}
	}
	for _, tc := range []struct {
		name        string
		saved, then func(*Step)
		refused     string // "" when it is allowed
	}{
		{"the same", nil, nil, ""},
		{"another name of the context", nil, func(s *Step) { s.Writes[0].Context = "b" }, ""},
		{"another value before", nil, func(s *Step) { s.Writes[0].Before = map[string]any{"mode": "OTHER"} },
			"replace other values"},
		{"another value after", nil, func(s *Step) { s.Writes[0].After = map[string]any{"mode": "OTHER"} },
			"write something else"},
		{"an object that was re-created", nil, func(s *Step) { s.Writes[0].Object.UID = "v" }, "(UID v) instead of"},
		{"another cluster", nil, func(s *Step) { s.Writes[0].Cluster = "2" }, "of cluster 2"},
		{"one write more", nil, func(s *Step) { s.Writes = append(s.Writes, s.Writes[0]) }, "make 2 writes instead of 1"},
		{"a write less: it is done already", func(s *Step) { s.Writes = append([]Write{{Cluster: "1"}}, s.Writes...) },
			nil, ""},
		{"a write less, and another one", func(s *Step) { s.Writes = append([]Write{{Cluster: "1"}}, s.Writes...) },
			func(s *Step) { s.Writes[0].Object.UID = "v" }, "(UID v) instead of"},
		{"the same in another order", func(s *Step) { s.Writes = append([]Write{{Cluster: "1"}}, s.Writes...) },
			func(s *Step) { s.Writes = append(s.Writes, Write{Cluster: "1"}) }, "does not show that"},
		{"one write twice, and the other not", func(s *Step) { s.Writes = append([]Write{{Cluster: "1"}}, s.Writes...) },
			func(s *Step) { s.Writes = append(s.Writes, s.Writes[0]) }, "does not show that"},
		{"a write where none was shown", func(s *Step) { s.Writes = nil }, nil, "is not in it"},
		{"a step that is not in it", nil, func(s *Step) { s.ID = "close" }, "close (a: move) would come now"},
		{"a step that writes nothing", nil, func(s *Step) { s.ID, s.Writes = "prove/a", nil }, ""},
		{"a restart for pods that were not there yet", restart("redial-1"), restart("redial-2"), ""},
		{"a restart that is another write now", restart("redial-1"), func(s *Step) {
			restart("redial-1")(s)
			s.Writes[0].Op = OpUpdate
		}, "write something else"},
		{"a restart of something else", restart("redial-1"), func(s *Step) {
			restart("redial-1")(s)
			s.Writes[0].Object.Name = "mpc"
		}, "instead of Deployment central"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			saved := Save(State{}, Plan{Waves: []Wave{step(tc.saved)}}, "me")
			err := saved.Allows(step(tc.then))
			if (err != nil) != (tc.refused != "") || err != nil && !strings.Contains(err.Error(), tc.refused) {
				t.Errorf("%v, want it refused with %q (allowed when that is empty)", err, tc.refused)
			}
		})
	}
	if err := (*Saved)(nil).Allows(step(nil)); err != nil {
		t.Errorf("without a saved plan: %v", err)
	}
}
