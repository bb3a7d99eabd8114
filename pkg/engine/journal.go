package engine

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Journal is what a home keeps of its runs. It holds no secret: the patches of a wave carry modes, names and public
// certificates.
type Journal struct {
	InFlight *Entry // the wave in flight; nil when none is
	// Originals is what each object said, at our paths, before a migration first changed it, by UID.
	Originals map[string]map[string]any
	History   []plan.WaveRecord // the waves that were carried out, oldest first
}

// Entry is a wave that is being carried out: everything that is needed to take it back.
type Entry struct {
	Wave  string      `json:"wave"`
	Began time.Time   `json:"began"`
	By    string      `json:"by"`
	Steps []EntryStep `json:"steps"`
}

// EntryStep is what takes one step back, in the order in which it is to be written.
type EntryStep struct {
	ID     string       `json:"id"`
	Member string       `json:"member"`
	From   guard.Cred   `json:"from,omitempty"` // what the member presents again, see plan.Step
	Undo   []plan.Write `json:"undo"`
	// Left says which earlier run left the step, when that is not the run of the entry: a later one might not restore
	// it, and went on.
	Left string `json:"left,omitempty"`
}

// members are the names of the members that a step may change back: the one that it names, and those that the run that
// reads it calls otherwise, since a name may come from a context's.
func (s EntryStep) members(f plan.State) []string {
	names := []string{s.Member}
	for _, m := range f.Members {
		its := slices.ContainsFunc(s.Undo, func(p plan.Write) bool {
			return p.Object.UID != "" && p.Object.UID == m.Object.UID ||
				p.Cluster != "" && p.Cluster == m.ClusterUID && p.Object.Namespace == m.Object.Namespace
		})
		if its && m.Name != s.Member {
			names = append(names, m.Name)
		}
	}
	return names
}

// with adds to an entry, which may be nil, the steps of an earlier one that its run may not restore.
func (e *Entry) with(kept *Entry) *Entry {
	switch {
	case kept == nil:
		return e
	case e == nil:
		return kept
	}
	both := *e
	both.Steps = slices.Clone(e.Steps)
	for _, s := range kept.Steps {
		if s.Left == "" {
			s.Left = kept.origin()
		}
		both.Steps = append(both.Steps, s)
	}
	return &both
}

// holds says whether a step is one of the entry, which may be nil.
func (e *Entry) holds(id string) bool {
	return e != nil && slices.ContainsFunc(e.Steps, func(s EntryStep) bool { return s.ID == id })
}

// Holds says which wave in flight has hold of a member, or of another one of its cluster, with which it may share a
// fence: what is seen of it may be taken back at any moment. "" when none has.
func (j Journal) Holds(member, clusterUID string) string {
	if j.InFlight == nil {
		return ""
	}
	for _, s := range j.InFlight.Steps {
		here := slices.ContainsFunc(s.Undo, func(p plan.Write) bool { return p.Cluster != "" && p.Cluster == clusterUID })
		if s.Member == member || here {
			return cmp.Or(s.Left, j.InFlight.origin())
		}
	}
	return ""
}

// origin says in which wave of whom the entry was begun.
func (e Entry) origin() string {
	return fmt.Sprintf("the wave %q of %s, begun %s", e.Wave, e.By, e.Began.Format(time.RFC3339))
}

// historyKept is how many waves the history keeps.
const historyKept = 100

// EntryOf writes down the way back of steps. Steps that leave the safest state there is have none, nor those of
// members that are left as they are when the run is interrupted.
func EntryOf(title string, steps []plan.Step, by string, now time.Time) *Entry {
	e := Entry{Wave: title, Began: now.UTC(), By: by}
	for _, s := range steps {
		if undo := undoOf(s); len(undo) > 0 && !s.KeepOnInterrupt {
			e.Steps = append(e.Steps, EntryStep{ID: s.ID, Member: s.Member, From: s.RevertsTo, Undo: undo})
		}
	}
	if len(e.Steps) == 0 {
		return nil
	}
	return &e
}

// undoOf is the way back of a step: the one that it names, else its writes inverted, last first.
func undoOf(s plan.Step) []plan.Write {
	if s.NoUndo || s.Irreversible {
		return nil
	}
	undo := slices.Clone(s.Undo)
	if undo != nil {
		return undo
	}
	for i := len(s.Writes) - 1; i >= 0; i-- {
		if u, ok := s.Writes[i].Undo(); ok {
			undo = append(undo, u)
		}
	}
	return undo
}

// remember keeps what the objects that a step changes say now, unless something older is kept of them already.
func (j *Journal) remember(s plan.Step) {
	if !s.KeepsOriginal {
		return
	}
	for _, w := range slices.Concat(s.Writes, s.ByHand) {
		if w.Op == plan.OpCreate || w.Op == plan.OpDelete || w.Object.UID == "" || w.Before == nil ||
			j.Originals[w.Object.UID] != nil {
			continue
		}
		if j.Originals == nil {
			j.Originals = map[string]map[string]any{}
		}
		j.Originals[w.Object.UID] = w.Before
	}
}

// Record adds a wave to the history, or what became of it to the wave that was added when it began. Two waves of one
// moment are told apart by their steps.
func (j *Journal) Record(p plan.WaveRecord) {
	same := func(h plan.WaveRecord) bool {
		shared := slices.ContainsFunc(h.Steps, func(id string) bool { return slices.Contains(p.Steps, id) })
		return h.Began.Equal(p.Began) && h.Wave == p.Wave && (shared || len(h.Steps) == 0 || len(p.Steps) == 0)
	}
	for i := len(j.History) - 1; i >= 0; i-- {
		if same(j.History[i]) {
			j.History[i] = p
			return
		}
	}
	j.History = append(j.History, p)
	if over := len(j.History) - historyKept; over > 0 {
		j.History = slices.Delete(j.History, 0, over)
	}
}

// JournalRef is the ConfigMap that holds the journal, in a namespace of the hub, "" for the usual one, or of the edge's
// own cluster in a run without a hub.
func JournalRef(namespace string) plan.Ref {
	return plan.Ref{Version: "v1", Resource: "configmaps", Kind: "ConfigMap",
		Namespace: cmp.Or(namespace, api.Namespace), Name: api.JournalName}
}
