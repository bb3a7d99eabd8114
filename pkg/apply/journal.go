package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/observe"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// ReadJournal implements Clusters.
func (l *Live) ReadJournal(ctx context.Context, home string) (engine.Journal, error) {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	var j engine.Journal
	c, err := l.Fleet.Cluster(home)
	if err != nil {
		return j, err
	}
	at, err := l.journal(ctx, c)
	if err != nil {
		return j, err
	}
	k, err := readKept(ctx, c, at)
	if err != nil {
		return j, fmt.Errorf("reading the journal (%s in %s): %s", at, home, observe.Explain(err))
	}
	l.journals.Store(home, k)
	for key, to := range map[string]any{api.JournalKey: &j.InFlight, api.OriginalsKey: &j.Originals,
		api.HistoryKey: &j.History} {
		text := k.data[key]
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), to); err != nil {
			return j, fmt.Errorf("reading the journal (%s in %s): %w; it says what a run was changing, so look at it before removing the key %s", at, home, err, key)
		}
	}
	return j, nil
}

// kept is a journal as it was read or written last; the zero value is one that is not there.
type kept struct {
	resourceVersion string
	data            map[string]string
	tried           map[string]string // what was written since, and may have been stored
}

// WriteJournal implements Clusters. It is a server-side apply, which makes the ConfigMap when it is not there, of what
// this run has read: a journal that another run has written since stays as it is.
func (l *Live) WriteJournal(ctx context.Context, home string, j engine.Journal) error {
	ctx, cancel := context.WithTimeout(ctx, WriteTimeout)
	defer cancel()
	c, err := l.Fleet.Cluster(home)
	if err != nil {
		return err
	}
	at, err := l.journal(ctx, c)
	if err != nil {
		return err
	}
	data, err := contents(j)
	if err != nil {
		return err
	}
	last, _ := l.journals.Load(home)
	k, _ := last.(kept)
	stored, err := writeKept(ctx, c, at, k, data)
	if reason := apierrors.ReasonForError(err); err != nil && reason != metav1.StatusReasonUnknown {
		now, unread := readKept(ctx, c, at)
		switch {
		case unread == nil && k.stands(now):
			stored, err = writeKept(ctx, c, at, now, data)
		case reason == metav1.StatusReasonConflict:
			return fmt.Errorf("writing the journal (%s in %s): another run has written it since, so nothing was changed; "+
				"look at kubectl xcpauth status, and run the command again", at, home)
		}
	}
	if err != nil {
		k.tried = data
		l.journals.Store(home, k)
		return fmt.Errorf("writing the journal (%s in %s): %s", at, home, observe.Explain(err))
	}
	l.journals.Store(home, stored)
	return nil
}

// journal is where a cluster keeps the journal.
func (l *Live) journal(ctx context.Context, c *kubeconfig.Cluster) (plan.Ref, error) {
	namespace, err := l.StateNamespace(ctx, c)
	if err != nil {
		return plan.Ref{}, fmt.Errorf("looking for the journal in %s: %w", c.Context, err)
	}
	return engine.JournalRef(namespace), nil
}

// readKept reads the ConfigMap of a journal.
func readKept(ctx context.Context, c *kubeconfig.Cluster, at plan.Ref) (kept, error) {
	o, err := Get(ctx, c, at)
	if apierrors.IsNotFound(err) {
		return kept{}, nil
	}
	if err != nil {
		return kept{}, err
	}
	return keptOf(o), nil
}

// contents is what the ConfigMap of a journal holds.
func contents(j engine.Journal) (map[string]string, error) {
	parts := map[string]any{}
	if j.InFlight != nil {
		parts[api.JournalKey] = j.InFlight
	}
	if len(j.Originals) > 0 {
		parts[api.OriginalsKey] = j.Originals
	}
	if len(j.History) > 0 {
		parts[api.HistoryKey] = j.History
	}
	data := map[string]string{}
	for key, part := range parts {
		b, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("encoding the journal: %w", err)
		}
		data[key] = string(b)
	}
	return data, nil
}

// writeKept writes the ConfigMap of a journal on top of what is known of it, and returns it as it is then.
func writeKept(ctx context.Context, c *kubeconfig.Cluster, at plan.Ref, known kept,
	data map[string]string) (kept, error) {
	meta := map[string]any{"name": at.Name, "namespace": at.Namespace}
	if known.resourceVersion != "" {
		meta["resourceVersion"] = known.resourceVersion
	}
	doc, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": data})
	if err != nil {
		return kept{}, fmt.Errorf("encoding the journal: %w", err)
	}
	body, err := Send(ctx, c.REST.Patch(types.ApplyPatchType).AbsPath(ObjectPath(at)).Param("fieldManager",
		FieldManager).Param("force", "true").Body(doc), at, "")
	if err != nil {
		return kept{}, err
	}
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		return kept{}, fmt.Errorf("decoding the journal: %w", err)
	}
	now := keptOf(o)
	for _, key := range []string{api.JournalKey, api.OriginalsKey, api.HistoryKey} {
		if now.data[key] != data[key] {
			return kept{}, &observe.AnswerError{Why: fmt.Sprintf(
				"the API server's answer is not the journal (%s) that was written; %s", at, inFront)}
		}
	}
	return now, nil
}

func keptOf(o map[string]any) kept {
	meta, _ := o["metadata"].(map[string]any)
	version, _ := meta["resourceVersion"].(string)
	k := kept{resourceVersion: version, data: map[string]string{}}
	data, _ := o["data"].(map[string]any)
	for key, value := range data {
		k.data[key], _ = value.(string)
	}
	return k
}

// stands says whether no other run has written a journal since it was known: it is as it was but for a label, say, or
// as this run wrote it without an answer; or somebody has deleted it.
func (k kept) stands(now kept) bool {
	return now.resourceVersion == "" || maps.Equal(now.data, k.data) || k.tried != nil && maps.Equal(now.data, k.tried)
}
