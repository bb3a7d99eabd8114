package apply

import (
	"context"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
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
	o, err := Get(ctx, c, at)
	if apierrors.IsNotFound(err) {
		return j, nil
	}
	if err != nil {
		return j, fmt.Errorf("reading the journal (%s in %s): %s", at, home, observe.Explain(err))
	}
	data, _ := o["data"].(map[string]any)
	for key, to := range map[string]any{api.JournalKey: &j.InFlight, api.OriginalsKey: &j.Originals,
		api.HistoryKey: &j.History} {
		text, _ := data[key].(string)
		if text == "" {
			continue
		}
		if err := json.Unmarshal([]byte(text), to); err != nil {
			return j, fmt.Errorf("reading the journal (%s in %s): %w; it says what a run was changing, so look at it before removing the key %s", at, home, err, key)
		}
	}
	return j, nil
}

// WriteJournal implements Clusters. It is a server-side apply, so that it needs no read and makes the ConfigMap when
// it is not there.
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
	data := map[string]string{}
	put := func(key string, v any) {
		b, marshalErr := json.Marshal(v)
		if marshalErr != nil && err == nil {
			err = fmt.Errorf("encoding the journal: %w", marshalErr)
		}
		data[key] = string(b)
	}
	if j.InFlight != nil {
		put(api.JournalKey, j.InFlight)
	}
	if len(j.Originals) > 0 {
		put(api.OriginalsKey, j.Originals)
	}
	if len(j.History) > 0 {
		put(api.HistoryKey, j.History)
	}
	if err != nil {
		return err
	}
	doc, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": at.Name, "namespace": at.Namespace}, "data": data})
	if err != nil {
		return fmt.Errorf("encoding the journal: %w", err)
	}
	err = c.REST.Patch(types.ApplyPatchType).AbsPath(ObjectPath(at)).Param("fieldManager",
		FieldManager).Param("force", "true").Body(doc).Do(ctx).Error()
	if err != nil {
		return fmt.Errorf("writing the journal (%s in %s): %s", at, home, observe.Explain(err))
	}
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
