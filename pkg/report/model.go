package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/check"
	"github.com/xcpauth/kubectl-xcpauth/pkg/estimate"
	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	"github.com/xcpauth/kubectl-xcpauth/pkg/sorting"
)

// Input is what a report is made of.
type Input struct {
	State    plan.State
	Plan     plan.Plan
	Rules    []finding.Rule    // those that were looked at
	Findings []finding.Finding // worst first
	By       string            // who makes it, as the hub's cluster knows them
	Tool     string            // the version of the plugin
	// Again makes a verb the command line of the same selection.
	Again  func(verb string) string
	Limits estimate.Limits // how a run looks while it verifies, for how long the plan takes
}

// Model is a report, whatever its format.
type Model struct {
	Product, Version string // of the hub; Version is "" when it is not known
	Hub, Context     string // the hub's object and its context
	Noun             string // what its members are called
	At               time.Time
	By, Tool         string
	Verdict          Verdict
	Members          []Member // the hub first; each member and each other selected context once
	Past             []Past   // oldest first
	InFlight         string
	Roster           string
	Plan             render.Plan
	Rules            []Rule // with findings first, worst first
	Counts           map[finding.Severity]int
	Next             string

	// Status, Check and History are the reports of those verbs, for the archive.
	Status  render.Status
	Check   render.Check
	History render.History
}

// Verdict is the whole report in one line.
type Verdict struct {
	Level Level
	Text  string
}

// Level says how a fleet is.
type Level string

// The levels, worst first.
const (
	Bad  Level = "bad"  // something is blocked, refused or wrong
	Open Level = "open" // something is left to do, or is not known
	Good Level = "good" // nothing is left to do
)

// Rule is a rule of check that was looked at, with what it found.
type Rule struct {
	ID, Name, Title string
	Severity        finding.Severity // the worst that was found; "" when nothing was
	Docs            string
	Found           []Found
}

// Found is what a rule found, once for all of whom the same is found.
type Found struct {
	Severity                           finding.Severity
	Who                                []string
	Object, Saw, Do, Command, Manifest string
}

// New makes the report.
func New(in Input) Model {
	f := in.State
	kept, ignored := check.Split(in.Findings, nil)
	m := Model{Product: f.Product, Version: f.Hub.Version, Context: f.Hub.Context, Noun: cmp.Or(f.Words.Member, "member"),
		At: f.At.UTC().Truncate(time.Second), By: in.By, Tool: in.Tool,
		Status:  render.NewStatus(f, in.Plan, in.Again),
		Plan:    render.NewPlan(f, in.Plan, render.Details{Diff: true, Limits: in.Limits}, in.Again),
		Check:   render.NewCheck(f, kept, ignored, finding.Error, in.Again),
		History: render.NewHistory(f),
		Rules:   rules(in.Rules, kept)}
	switch {
	case f.Hub.Found:
		m.Hub = f.Hub.Object.String()
	case in.Plan.Goal.NoHub:
		m.Hub = "not looked at, and no rule of check was applied to it"
	}
	m.Members = members(f, m.Status)
	if slices.ContainsFunc(f.Members, func(x plan.Member) bool { return x.Role != plan.RoleEdge }) {
		m.Noun = "member" // of several roles
	}
	m.Past = past(f, m.History)
	m.InFlight, m.Roster, m.Next = m.Status.InFlight, m.Status.Roster, m.Status.Next
	m.Counts = m.Check.Counts()
	m.Verdict = m.verdict(f, in.Plan.Goal.NoHub)
	return m
}

// rules groups findings by their rule: those with the worst findings first, then by ID.
func rules(looked []finding.Rule, found []finding.Finding) []Rule {
	var all []Rule
	place := map[string]int{}
	for _, r := range looked {
		place[r.ID] = len(all)
		all = append(all, Rule{ID: r.ID, Name: r.Name, Title: r.Title})
	}
	for _, x := range found {
		i, known := place[x.Rule]
		if !known {
			i = len(all)
			place[x.Rule] = i
			all = append(all, Rule{ID: x.Rule, Name: x.Name, Title: x.Title})
		}
		all[i].add(x)
	}
	sorting.Stable(all, func(a, b *Rule) int {
		return cmp.Or(cmp.Compare(rank(a.Severity), rank(b.Severity)), strings.Compare(a.ID, b.ID))
	})
	return all
}

func rank(s finding.Severity) int {
	if i := slices.Index(finding.Severities, s); i >= 0 {
		return i
	}
	return len(finding.Severities)
}

// add adds a finding: to the one that says the same of others, where there is one.
func (r *Rule) add(x finding.Finding) {
	r.Docs = x.Docs
	if r.Severity == "" || !r.Severity.AtLeast(x.Severity) {
		r.Severity = x.Severity
	}
	who := x.Member
	if who == "-" {
		who = cmp.Or(x.Context, "here")
	}
	for i := range r.Found {
		if s := &r.Found[i]; s.Object == x.Object && s.Saw == x.Found && s.Do == x.Remedy && s.Severity == x.Severity {
			s.Who = append(s.Who, who)
			return
		}
	}
	r.Found = append(r.Found, Found{Severity: x.Severity, Who: []string{who}, Object: x.Object, Saw: x.Found, Do: x.Remedy,
		Command: x.Command, Manifest: x.Manifest})
}

// verdict says in one line how the fleet is.
func (m Model) verdict(f plan.State, noHub bool) Verdict {
	n := m.marks()
	all := 0
	for _, r := range m.Members {
		if r.IsMember() {
			all++
		}
	}
	if !f.Hub.Found && !noHub {
		return Verdict{Bad, "The hub was not read: " + f.Hub.Err + "."}
	}
	v := Verdict{Good, fmt.Sprintf("%d of %s done", all-n[Unknown]-n[Blocked]-n[Apart]-n[Moving]-n[Pending],
		check.Count(all, m.Noun))}
	add := func(count int, level Level, text string) {
		if count > 0 {
			v.Text += ", " + fmt.Sprintf(text, count)
			v.Level = worst(v.Level, level)
		}
	}
	add(n[Moving], Open, "%d moving")
	add(n[Pending], Open, "%d with steps left")
	add(n[Blocked], Bad, "%d blocked")
	add(n[Apart], Bad, "%d not connected")
	add(n[Unknown], Open, "%d unknown")
	add(m.unseen(), Open, "%d more not looked at")
	v.Text += ". "
	switch waves, obstacles := len(m.Plan.Waves), len(m.Plan.Blocked); {
	case waves > 0:
		v.Text += check.Count(waves, "wave") + " left. "
		v.Level = worst(v.Level, Open)
	case obstacles > 0:
		v.Text += check.Count(obstacles, "obstacle") + " to remove before anything can be done. "
		v.Level = Bad
	case m.InFlight != "":
		v.Text += "A wave is in flight. "
		v.Level = worst(v.Level, Open)
	default:
		v.Text += "No wave left. "
	}
	if m.Counts[finding.Error] > 0 {
		v.Level = Bad
	}
	v.Text += fmt.Sprintf("Check found %s and %s.", check.Count(m.Counts[finding.Error], "error"),
		check.Count(m.Counts[finding.Warning], "warning"))
	return v
}

// unseen counts the contexts that may hold a member and could not be looked at.
func (m Model) unseen() int {
	n := 0
	for _, r := range m.Members {
		if r.Role == roleContext && r.Counts() {
			n++
		}
	}
	return n
}

// worst is the worse of two levels.
func worst(a, b Level) Level {
	if a == Bad || b == Bad {
		return Bad
	}
	return max(a, b) // "open" is above "good"
}

// marks counts the members of each mark.
func (m Model) marks() map[Mark]int {
	n := map[Mark]int{}
	for _, r := range m.Members {
		if r.IsMember() {
			n[r.Mark]++
		}
	}
	return n
}
