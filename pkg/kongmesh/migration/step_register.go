package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// registerStep makes the namespace in which a run keeps its lock and its journal.
func registerStep(f plan.State) plan.Step {
	return plan.Step{ID: "register", Kind: "register", Member: "hub", Verb: "register",
		Title:   "hub: make a namespace for the journal",
		Why:     "the way back of each wave is written down there before its first write",
		WayBack: "none needed: it only adds a record",
		Writes: []plan.Write{{Context: f.Hub.Context, Cluster: f.Hub.ClusterUID, Op: plan.OpCreate,
			Object: roster.NamespaceRef(f.Hub.Roster.In), After: roster.NamespaceObject(f.Hub.Roster.In)}},
		NoUndo: true, RecordOnly: true, Effect: func(f *plan.State) { f.Hub.Roster.Namespace = true }}
}
