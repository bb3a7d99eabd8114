package execute

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// journalRef is the ConfigMap in the hub that holds the wave in flight, and nothing when none is.
var journalRef = plan.Ref{Version: "v1", Resource: "configmaps", Kind: "ConfigMap", Namespace: api.Namespace, Name: api.JournalName}

// Entry is a wave that is being carried out: everything that is needed to take it back. It holds no secret: the patches of
// a wave carry modes and public certificates.
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
	Undo   []plan.Patch `json:"undo"`
}

// entryOf writes down the way back of a wave. Steps that leave the safest state there is have none.
func entryOf(w plan.Wave, by string, now time.Time) Entry {
	e := Entry{Wave: w.Title, Began: now.UTC(), By: by}
	for _, s := range w.Steps {
		if undo := undoOf(s); len(undo) > 0 {
			e.Steps = append(e.Steps, EntryStep{ID: s.ID, Member: s.Member, From: s.From, Undo: undo})
		}
	}
	return e
}

// undoOf is the way back of a step: its writes inverted, last first.
func undoOf(s plan.Step) []plan.Patch {
	var undo []plan.Patch
	if s.Keep {
		return nil
	}
	for i := len(s.Writes) - 1; i >= 0; i-- {
		if u, ok := s.Writes[i].Undo(); ok {
			undo = append(undo, u)
		}
	}
	return undo
}

// ReadJournal implements Clusters.
func (l *Live) ReadJournal(ctx context.Context, hub string) (*Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	c, err := l.Fleet.Cluster(hub)
	if err != nil {
		return nil, err
	}
	o, err := get(ctx, c, journalRef)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the journal (%s in %s): %s", journalRef, hub, observe.Explain(err))
	}
	data, _ := o["data"].(map[string]any)
	text, _ := data[api.JournalKey].(string)
	if text == "" {
		return nil, nil
	}
	var e Entry
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		return nil, fmt.Errorf("reading the journal (%s in %s): %w; it says what an interrupted run was changing, so look at it before removing the key %s", journalRef, hub, err, api.JournalKey)
	}
	return &e, nil
}

// WriteJournal implements Clusters. It is a server-side apply of one key, so that it needs no read and makes the ConfigMap
// when it is not there.
func (l *Live) WriteJournal(ctx context.Context, hub string, e *Entry) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	c, err := l.Fleet.Cluster(hub)
	if err != nil {
		return err
	}
	data := map[string]string{}
	if e != nil {
		b, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("encoding the journal: %w", err)
		}
		data[api.JournalKey] = string(b)
	}
	doc, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": journalRef.Name, "namespace": journalRef.Namespace}, "data": data})
	if err != nil {
		return fmt.Errorf("encoding the journal: %w", err)
	}
	err = c.REST.Patch(types.ApplyPatchType).AbsPath(objectPath(journalRef)).Param("fieldManager", FieldManager).Param("force", "true").Body(doc).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("writing the journal (%s in %s): %s", journalRef, hub, observe.Explain(err))
	}
	return nil
}
