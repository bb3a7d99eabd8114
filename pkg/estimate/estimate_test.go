package estimate_test

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

const within = 15 * time.Minute

// condition is one that is met, or not, in every state.
func condition(met bool, wait *plan.Wait) plan.Condition {
	return plan.Condition{Wait: wait, Met: func(_, _ plan.State) plan.Evaluation { return plan.Evaluation{Met: met} }}
}

func step(conditions ...plan.Condition) plan.Step {
	return plan.Step{ID: "move/edge-1", Timeout: within, Writes: []plan.Write{{}}, Conditions: conditions}
}

func TestAWaveTakesWhatIsKnownOfItAndItsLimitsAtMost(t *testing.T) {
	unknown := condition(false, nil)
	soak := condition(false, &plan.Wait{For: time.Hour, AtMost: time.Hour})
	reads := step(condition(true, nil))
	reads.Writes = nil
	records := step(condition(true, nil), condition(false, &plan.Wait{For: 40 * time.Second, Within: true}))
	records.RecordOnly = true
	supplied := plan.Step{ID: "supply/edge-1", Timeout: within, Supply: &plan.Supply{}}
	withdraws := step(unknown)
	withdraws.Withdraws = &guard.Hub{}
	limit := func(d time.Duration) estimate.Time {
		return estimate.Time{AtMost: d, Limited: true}
	}
	known := func(d, most time.Duration) estimate.Time {
		return estimate.Time{Known: d, Complete: true, AtMost: most, Limited: true}
	}
	for _, tc := range []struct {
		name  string
		steps []plan.Step
		want  estimate.Time
	}{
		{"nothing is verified", []plan.Step{{ID: "register/hub", Timeout: within, Writes: []plan.Write{{}}}}, known(0, 0)},
		{"others make what it needs", []plan.Step{supplied}, limit(0)},
		{"a proof of which nothing is known", []plan.Step{step(unknown)}, limit(within)},
		{"what is met already, and nothing is changed", []plan.Step{reads}, known(0, within)},
		{"what is met already, and may not be after the writes", []plan.Step{step(condition(true, nil))}, limit(within)},
		{"a fence, within the timeout", []plan.Step{records}, known(40*time.Second, within)},
		{"a soak alone, after and before a timeout", []plan.Step{step(soak)}, known(time.Hour, time.Hour+2*within)},
		{"a proof and a soak", []plan.Step{step(unknown, soak)},
			estimate.Time{Known: time.Hour, AtMost: time.Hour + 2*within, Limited: true}},
		{"a moment that is known", []plan.Step{step(condition(false, &plan.Wait{First: true, Until: noon.Add(time.Hour),
			AtMost: time.Hour}))}, known(time.Hour, time.Hour+within)},
		{"a moment that has passed", []plan.Step{step(condition(false, &plan.Wait{First: true, Until: noon.Add(-time.Hour),
			AtMost: time.Second}))}, known(0, within+time.Second)},
		{"a wait that nothing limits", []plan.Step{step(condition(false, &plan.Wait{First: true, For: time.Hour}))},
			estimate.Time{Known: time.Hour, Complete: true}},
		{"a wait of which nothing is known", []plan.Step{step(condition(false, &plan.Wait{First: true, AtMost: time.Hour}))},
			limit(time.Hour + within)},
		{"steps side by side", []plan.Step{step(soak), records}, known(time.Hour, time.Hour+2*within)},
		{"one of them is not known", []plan.Step{records, step(unknown)},
			estimate.Time{Known: 40 * time.Second, AtMost: within, Limited: true}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, wave := plan.State{At: noon}, plan.Wave{Steps: tc.steps}
			if got := estimate.Wave(f, wave, estimate.Limits{}); got != tc.want {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
			looks := estimate.Wave(f, wave, estimate.Limits{Look: time.Minute, Poll: time.Second})
			if want := tc.want.AtMost + 4*time.Minute + 10*time.Second; tc.want.Limited && looks.AtMost != want {
				t.Errorf("with looks at most %s, want %s", looks.AtMost, want)
			}
		})
	}
	if got := estimate.Wave(plan.State{At: noon}, plan.Wave{Steps: []plan.Step{withdraws}},
		estimate.Limits{Look: time.Minute}); got != limit(within+5*time.Minute) {
		t.Errorf("a withdrawal looks once more, and takes %+v", got)
	}
}

// How long the last wave of the same steps took says how long the next takes; one that failed says nothing.
func TestAWaveTakesAsLongAsTheLastOfItsKind(t *testing.T) {
	record := func(minutes int, took time.Duration, result string, steps ...string) plan.WaveRecord {
		began := noon.Add(time.Duration(20*minutes-1000) * time.Minute)
		return plan.WaveRecord{Began: began, Ended: began.Add(took), Steps: steps, Result: result}
	}
	wave := plan.Wave{Steps: []plan.Step{step(condition(false, nil))}}
	f := plan.State{At: noon, Hub: plan.Hub{HubRecords: plan.HubRecords{History: []plan.WaveRecord{
		record(1, 9*time.Minute, plan.ResultVerified, "move/edge-2"),
		record(2, 2*time.Minute, plan.ResultVerified, "move/edge-3", "move/edge-4"),
		record(3, 5*time.Minute, "edge-5: not verified", "move/edge-5"),
		record(4, 7*time.Minute, plan.ResultVerified, "move/edge-6", "fence/edge-6"),
	}}}}
	if got := estimate.Wave(f, wave, estimate.Limits{}); !got.Complete || got.Known != 2*time.Minute {
		t.Errorf("%+v", got)
	}
	f.Members = []plan.Member{{Past: plan.Past{History: []plan.WaveRecord{
		record(5, 3*time.Minute, plan.ResultVerified, "move/edge-7")}}}}
	if got := estimate.Wave(f, wave, estimate.Limits{}); !got.Complete || got.Known != 3*time.Minute {
		t.Errorf("with a run without the hub: %+v", got)
	}
	wave.Steps[0].Conditions = append(wave.Steps[0].Conditions,
		condition(false, &plan.Wait{For: time.Hour, AtMost: time.Hour}))
	if got := estimate.Wave(f, wave, estimate.Limits{}); !got.Complete || got.Known != time.Hour {
		t.Errorf("with a soak that is longer: %+v", got)
	}
	wave.Steps[0].Conditions[1].Wait = &plan.Wait{First: true, AtMost: time.Hour}
	if got := estimate.Wave(f, wave, estimate.Limits{}); got.Complete {
		t.Errorf("of a moment that is its own: %+v", got)
	}
}

// The time until a moment that is known runs while the waves before it are carried out.
func TestAPlanTakesTheSumOfItsWaves(t *testing.T) {
	soak := step(condition(false, &plan.Wait{For: 20 * time.Minute, AtMost: 20 * time.Minute}))
	rotation := step(condition(false, &plan.Wait{First: true, Until: noon.Add(50 * time.Minute),
		AtMost: 50 * time.Minute}))
	rotation.Writes = nil
	p := plan.Plan{Waves: []plan.Wave{{Steps: []plan.Step{soak}}, {Steps: []plan.Step{rotation}}}}
	waves, all := estimate.Plan(plan.State{At: noon}, p, estimate.Limits{})
	if len(waves) != 2 || waves[1].Known != 30*time.Minute || all.Known != 50*time.Minute || !all.Complete ||
		all.AtMost != waves[0].AtMost+waves[1].AtMost || all.AtMost != 20*time.Minute+50*time.Minute+3*within {
		t.Errorf("%+v, together %+v", waves, all)
	}
	_, none := estimate.Plan(plan.State{At: noon}, plan.Plan{}, estimate.Limits{Look: time.Hour})
	if none.Known+none.AtMost != 0 {
		t.Errorf("no waves take %+v", none)
	}
}
