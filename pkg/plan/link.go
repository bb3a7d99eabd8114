package plan

import "github.com/xcpauth/kubectl-xcpauth/pkg/guard"

// Link says whether a member is connected to its hub now, as far as that is told. It is for people to see: no decision
// rests on it.
type Link struct {
	Connected guard.Tri
	Why       string // one clause: what tells it, or why it is not known
}
