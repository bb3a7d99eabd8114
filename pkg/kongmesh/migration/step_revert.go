package migration

import (
	"fmt"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// revertStep has a zone present again what it did before a migration first changed it.
func revertStep(m plan.Member, goal plan.Goal, want guard.Cred) plan.Step {
	original := m.Original
	return plan.Step{ID: "return/" + m.Name, Kind: "return", Member: m.Name, Verb: "go back",
		Title:   fmt.Sprintf("%s: present %s again", m.Name, describe(want)),
		Why:     "it did before the migration",
		WayBack: "none needed: the step is the way back, and it stays when it is not verified",
		Writes: []plan.Write{{Context: m.Context, Cluster: m.ClusterUID, Object: m.Object, ListsByName: true,
			Before: m.DeclaredFields, After: original}},
		RevertsTo: m.Declared, Timeout: goal.Within, NoUndo: true, KeepsOriginal: true,
		Conditions: zoneConditions(m, want, "it connected again"), Effect: onZone(m.Name, reverted(want, original))}
}

// presentPreviousStep has a zone present a token that is next to it.
func presentPreviousStep(m plan.Member, goal plan.Goal, at string) plan.Step {
	name, key, _ := strings.Cut(at, "/")
	write := presentWrite(m, map[string]any{"secretKeyRef": map[string]any{"name": name, "key": key}})
	return plan.Step{ID: "return/" + m.Name, Kind: "return", Member: m.Name, Verb: "go back",
		Title:  fmt.Sprintf("%s: present %s again", m.Name, describe(goal.To)),
		Why:    "the rotation to a newer key is taken back",
		Writes: []plan.Write{write}, RevertsTo: m.Declared, Timeout: goal.Within, KeepsOriginal: true,
		Conditions: zoneConditions(m, goal.To, "it connected again, with that token"),
		Effect:     onZone(m.Name, reverted(goal.To, write.After))}
}

// reverted predicts a zone that presents a credential again.
func reverted(want guard.Cred, declared map[string]any) func(m *plan.Member, f *plan.State) {
	return func(m *plan.Member, f *plan.State) {
		predictPresents(m, f, want)
		m.DeclaredFields = declared
	}
}
