package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
)

// pageSize is how many entries are in memory as JSON at once: a roster of a thousand must fit into a small container.
const pageSize = 200

// Roster reads every entry, page by page, as of one moment: the pages of one list are of one revision.
func (r *Reader) Roster(ctx context.Context) ([]api.EdgeCluster, error) {
	var all []api.EdgeCluster
	for next := ""; ; {
		entries, after, err := r.page(ctx, pageSize, next)
		if err != nil {
			return nil, err
		}
		all = append(all, entries...)
		if after == "" {
			return all, nil
		}
		next = after
	}
}

// page reads up to limit entries after those of an earlier page, and says where the next begins, "" at the end. Of
// their metadata only what names them, their revision and when their statement was written is kept.
func (r *Reader) page(ctx context.Context, limit int, from string) (entries []api.EdgeCluster, next string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("reading the roster (%s in namespace %s): %w", api.EdgeClusters.GroupResource(), r.namespace, err)
		}
	}()
	req := r.entries.Get().Namespace(r.namespace).Resource(api.EdgeClusters.Resource).SetHeader("Accept",
		"application/json").Param("limit", strconv.Itoa(limit))
	if from != "" {
		req = req.Param("continue", from)
	}
	answer := req.Do(ctx)
	body, err := answer.Raw()
	if err != nil {
		return nil, "", answer.Error() // in the API server's own words
	}
	var list struct {
		metav1.TypeMeta `json:",inline"`
		Metadata        metav1.ListMeta `json:"metadata"`
		Items           []struct {
			Metadata struct {
				Name            string    `json:"name"`
				UID             types.UID `json:"uid"`
				ResourceVersion string    `json:"resourceVersion"`
				Generation      int64     `json:"generation"`

				ManagedFields []metav1.ManagedFieldsEntry `json:"managedFields"`
			} `json:"metadata"`
			Spec   api.EdgeClusterSpec   `json:"spec"`
			Status api.EdgeClusterStatus `json:"status"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, "", fmt.Errorf("it is not as its kind says: %w", err)
	}
	if list.Kind != "EdgeClusterList" {
		return nil, "", fmt.Errorf("the answer is a %q, and no list of entries", list.Kind)
	}
	entries = make([]api.EdgeCluster, len(list.Items))
	for i, item := range list.Items {
		at := item.Metadata
		entries[i] = api.EdgeCluster{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: at.Name, UID: at.UID,
			ResourceVersion: at.ResourceVersion, Generation: at.Generation,
			ManagedFields: roster.Writer(at.ManagedFields)},
			Spec: item.Spec, Status: item.Status}
	}
	return entries, list.Metadata.Continue, nil
}
