package migration

import (
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// needsRegister says whether the roster, or the entry of a member that was seen, is missing or of an older object.
func needsRegister(f plan.State) bool {
	if !f.Hub.Roster.Namespace || !f.Hub.Roster.Kind {
		return true
	}
	for _, m := range f.Members {
		if m.Err == "" && (!m.Registered || m.EntryStale) {
			return true
		}
	}
	return false
}

// registerWave makes the roster, and an entry for each member that was seen.
func registerWave(f plan.State) plan.Wave {
	return plan.Wave{Title: "register", Steps: []plan.Step{registerStep(f)}}
}

func registerStep(f plan.State) plan.Step {
	s := plan.Step{ID: "register", Kind: "register", Member: "hub", Verb: "register",
		Title:   "hub: list the members in the roster",
		Why:     "what the hub is not told of cannot be denied: the admission webhook decides from this list",
		WayBack: "none needed: it only adds a record", NoUndo: true, RecordOnly: true,
		Effect: func(f *plan.State) {
			f.Hub.Roster = plan.RosterState{In: f.Hub.Roster.In, Namespace: true, Kind: true}
			for i := range f.Members {
				m := &f.Members[i]
				m.Registered, m.EntryStale = m.Registered || m.Err == "", false
			}
		}}
	at := f.Hub.Roster.In
	write := func(op plan.Op, object plan.Ref, after map[string]any) {
		s.Writes = append(s.Writes, plan.Write{Context: f.Hub.Context, Op: op, Object: object, After: after})
	}
	if !f.Hub.Roster.Namespace {
		write(plan.OpCreate, roster.NamespaceRef(at), roster.NamespaceObject(at))
	}
	if !f.Hub.Roster.Kind {
		write(plan.OpCreate, roster.CRDRef(), roster.CRDObject())
	}
	for _, m := range f.Members {
		switch {
		case m.Err != "":
		case !m.Registered:
			write(plan.OpCreate, roster.Ref(at, m.Name), roster.EntryObject(at, m))
		case m.EntryStale:
			write(plan.OpUpdate, roster.Ref(at, m.Name), roster.Renewal(m))
		}
	}
	return s
}
