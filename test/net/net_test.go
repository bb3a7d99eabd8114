package net

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kongmesh"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/inspect"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

var (
	update = flag.Bool("update", false, "write down what is said of the fleets")
	remake = flag.Bool("remake", false, "make the fleets again")
)

// each is how many fleets there are of each product.
const each = 14

// look reads a fleet as it is kept, by what a provider asks for.
func look(d plan.Provider, f fleet) plan.State {
	var snaps []plan.Snapshot
	for _, context := range slices.Sorted(maps.Keys(f.Contexts)) {
		s := plan.Snapshot{Context: context, At: noon, Reads: map[plan.Read]plan.Result{}}
		if slices.Contains(f.Down, context) {
			s.Err = "the API server did not answer in time"
			snaps = append(snaps, s)
			continue
		}
		for next := d.Reads(s.Reads, false); len(next) > 0; next = d.Reads(s.Reads, false) {
			for _, r := range next {
				s.Reads[r] = answer(f.Contexts[context], r)
			}
		}
		snaps = append(snaps, s)
	}
	return d.ReadState(snaps, plan.Selection{}, noon)
}

func answer(objects []object, r plan.Read) plan.Result {
	if r.Port != 0 {
		return plan.Result{Err: "no counters are kept"}
	}
	at := r.Path()
	if r.Labels != "" {
		at += "?labelSelector=" + url.QueryEscape(r.Labels)
	}
	switch code, body := apifake.Get(objects, at); {
	case code == http.StatusNotFound:
		return plan.Result{Missing: true}
	case code == http.StatusOK:
		return plan.Result{Body: ordered(body)}
	default:
		return plan.Result{Err: fmt.Sprintf("the answer is %d", code)}
	}
}

// ordered sorts the items of a list by name: apifake has them by chance.
func ordered(body []byte) []byte {
	var list map[string]any
	if err := json.Unmarshal(body, &list); err != nil {
		return body
	}
	items, ok := list["items"].([]any)
	if !ok {
		return body
	}
	slices.SortFunc(items, func(a, b any) int { return strings.Compare(text(a), text(b)) })
	b, err := json.Marshal(list)
	if err != nil {
		return body
	}
	return b
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// says is all that is said of a fleet, as the commands print it as JSON.
func says(t *testing.T, f fleet) []byte {
	t.Helper()
	again := func(verb string) string { return "kubectl xcpauth " + verb }
	d := plan.Detect(tsb.Provider(), kongmesh.Provider())
	facts := look(d, f)
	goal := plan.Goal{To: state.JWT, Pace: plan.Pace{Within: 15 * time.Minute}}
	if facts.Product != state.Name {
		goal.To = ""
	}
	p := plan.Build(d, facts, goal)
	inspected := look(plan.Detect(tsb.CheckProvider(), kongmesh.CheckProvider()), f)
	rules := check.Rules()
	if inspected.Product != kongmesh.Name {
		rules = append(rules, inspect.Rules()...)
	}
	findings := check.Run(rules, inspected, check.Options{WarnWithin: 30 * 24 * time.Hour})
	back := goal
	back.Back, back.Stage = true, plan.Edges
	var all bytes.Buffer
	for _, v := range []any{render.NewStatus(facts, p, again), render.NewPlan(facts, p, render.Details{Diff: true}, again),
		render.NewPlan(facts, plan.Build(d, facts, back), render.Details{}, again),
		render.NewCheck(inspected, findings, nil, finding.Error, again)} {
		b, err := json.MarshalIndent(v, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		all.Write(append(b, '\n'))
	}
	return all.Bytes()
}

// What status, plan, the plan of the way back and check say of each fleet is what it was. Where it changes, and that
// is meant, write it down with -update in a commit that says why.
func TestWhatIsSaidOfEachFleetIsWhatItWas(t *testing.T) {
	for product, make := range map[string]func(maker) fleet{"tsb": tsbFleet, "kongmesh": meshFleet} {
		for i := range each {
			name := fmt.Sprintf("%s-%02d", product, i+1)
			t.Run(name, func(t *testing.T) {
				file := filepath.Join("testdata", name+".json")
				if *remake {
					b, err := json.Marshal(make(newMaker(uint64(i + 1))))
					if err == nil {
						err = os.WriteFile(file, append(b, '\n'), 0o644)
					}
					if err != nil {
						t.Fatal(err)
					}
				}
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				var f fleet
				if err := json.Unmarshal(b, &f); err != nil {
					t.Fatal(err)
				}
				got, golden := says(t, f), filepath.Join("testdata", name+".golden")
				if *update {
					if err := os.WriteFile(golden, got, 0o644); err != nil {
						t.Fatal(err)
					}
					return
				}
				want, err := os.ReadFile(golden)
				if err != nil {
					t.Fatal(err)
				}
				if d := cmp.Diff(string(want), string(got)); d != "" {
					t.Errorf("what is said has changed (-was +is):\n%s", d)
				}
			})
		}
	}
}
