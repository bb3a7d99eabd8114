package plan

import (
	"fmt"
	"slices"
)

// Canary is the member to change first, the one that the goal names or else the first of those that can be changed;
// or why the one that is named cannot be.
func (f State) Canary(movable []*Member, blocked []Obstacle, goal Goal) (canary Member, why string) {
	if goal.Canary == "" {
		return *movable[0], ""
	}
	var could []string
	for _, m := range movable {
		if m.Name == goal.Canary {
			return *m, ""
		}
		could = append(could, m.Name)
	}
	why = "it is named as the canary, but it cannot be moved now"
	m, called := f.Member(goal.Canary), f.AliasOf(goal.Canary)
	switch i := slices.IndexFunc(blocked, func(b Obstacle) bool { return b.Member == goal.Canary }); {
	case m == nil && called != "":
		why = fmt.Sprintf("no %s is called %q, which is named as the canary: %s", f.Words.Member, goal.Canary, called)
	case m == nil:
		why = fmt.Sprintf(
			"no %s is called %q, which is named as the canary; kubectl xcpauth status lists them",
			f.Words.Member,
			goal.Canary,
		)
	case m.Role != RoleEdge:
		why = fmt.Sprintf("it is named as the canary, and it is no %s", f.Words.Member)
	case i >= 0:
		why += ": " + blocked[i].Why
	}
	return Member{}, why + "; name one that can be moved with --canary: " + Few(could, fewNames)
}
