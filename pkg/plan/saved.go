package plan

import (
	"fmt"
	"reflect"
	"slices"
	"time"
)

// SavedKind is the kind of a plan in a file.
const SavedKind = "SavedPlan"

// Saved is a plan in a file: its goal, its steps that write, and its basis, which is each cluster's UID and the
// values of the fields that it replaces. Resource versions and credentials are no part of it: they move by
// themselves.
type Saved struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	At         time.Time   `json:"at"`
	By         string      `json:"by"`
	Goal       Goal        `json:"goal"`
	HubUID     string      `json:"hubClusterUID"`
	Steps      []savedStep `json:"steps"`
	// What follows is shown again and never carried out: see shown.go. A file of an earlier release has none of it.
	Hub     *Ref        `json:"hub,omitempty"`
	Context string      `json:"context,omitempty"`
	Waves   []savedWave `json:"waves,omitempty"`
	Blocked []Obstacle  `json:"blocked,omitempty"`
	Notes   []Obstacle  `json:"notes,omitempty"`
}

// savedStep is one step that writes.
type savedStep struct {
	ID     string  `json:"id"`
	Writes []Write `json:"writes"`
}

// Save makes a file's worth of a plan. Secrets are never in a patch, so there are none in it.
func Save(f State, p Plan, by string) Saved {
	s := Saved{APIVersion: "xcpauth.io/v1alpha1", Kind: SavedKind, At: f.At.UTC().Truncate(time.Second), By: by,
		Goal: p.Goal, HubUID: f.Hub.ClusterUID, Steps: []savedStep{}, Context: f.Hub.Context, Waves: showing(p),
		Blocked: p.Obstacles, Notes: p.Notes}
	if f.Hub.Found {
		s.Hub = &f.Hub.Object
	}
	for _, w := range p.Waves {
		for _, step := range w.Steps {
			if step.Changes() {
				s.Steps = append(s.Steps, savedStep{ID: step.ID, Writes: step.Writes})
			}
		}
	}
	return s
}

// StaleError says that what is to be done is not what a saved plan shows.
type StaleError struct {
	Why  string
	Back bool // it is of a rollback
}

func (e *StaleError) Error() string {
	again := "; make it again with kubectl xcpauth plan --out FILE"
	if e.Back {
		again = "; make it again with kubectl xcpauth plan --rollback --out FILE"
	}
	return "the saved plan is stale: " + e.Why + again
}

// Fits refuses a fleet with another hub than the plan's: what is written there before anything of the plan is, a lock
// and what an interrupted run left, is no part of it either. A nil plan fits every fleet.
func (s *Saved) Fits(f State) error {
	if s == nil || s.HubUID == f.Hub.ClusterUID {
		return nil
	}
	return &StaleError{Back: s.Goal.Back, Why: fmt.Sprintf("it is of the hub in cluster %q, and the hub that is "+
		"found here (context %s) is in cluster %q", s.HubUID, f.Hub.Context, f.Hub.ClusterUID)}
}

// Allows refuses a wave in which a step writes what the saved plan does not show. A nil plan allows everything. What
// an earlier run of the same plan has done already is not missed.
func (s *Saved) Allows(w Wave) error {
	if s == nil {
		return nil
	}
	shown := map[string]savedStep{}
	for _, step := range s.Steps {
		shown[step.ID] = step
	}
	for _, step := range w.Steps {
		if !step.Changes() {
			continue
		}
		was, ok := shown[step.ID]
		if !ok {
			return &StaleError{Back: s.Goal.Back,
				Why: fmt.Sprintf("%s (%s) would come now, and is not in it", step.ID, step.Title)}
		}
		if why := differs(was.Writes, step.Writes); why != "" {
			return &StaleError{Back: s.Goal.Back, Why: fmt.Sprintf("%s would now %s", step.ID, why)}
		}
	}
	return nil
}

// differs says what a step would now write that the plan does not show, "" when it is shown: of the same object, from
// the same values to the same values. A write that was shown and is not made any more is done already.
func differs(was, now []Write) string {
	if len(now) > len(was) {
		return fmt.Sprintf("make %d writes instead of %d", len(now), len(was))
	}
	left := was
	for _, b := range now {
		at := slices.IndexFunc(left, func(a Write) bool { return differ(a, b) == "" })
		switch {
		case len(left) == 0:
			return fmt.Sprintf("write %s at a place where it does not show that", b.Object)
		case at < 0:
			return differ(left[0], b)
		}
		left = left[at+1:]
	}
	return ""
}

// differ says in what two writes differ.
func differ(a, b Write) string {
	switch {
	case a.Object.String() != b.Object.String() || a.Cluster != b.Cluster || (a.Object.UID != b.Object.UID):
		return fmt.Sprintf("write %s of cluster %s (UID %s) instead of %s of cluster %s (UID %s)", b.Object, b.Cluster,
			b.Object.UID, a.Object, a.Cluster, a.Object.UID)
	case a.Op == OpRestart && b.Op == OpRestart:
	case a.Op != b.Op || !reflect.DeepEqual(a.After, b.After):
		return fmt.Sprintf("write something else to %s", b.Object)
	case !reflect.DeepEqual(a.Before, b.Before):
		return fmt.Sprintf("replace other values of %s than it showed", b.Object)
	}
	return ""
}
