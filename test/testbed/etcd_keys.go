package testbed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
)

// keyValue is one key of etcd as its JSON gateway writes it: bytes in base64, and numbers in quotes.
type keyValue struct {
	Key         []byte `json:"key"`
	Value       []byte `json:"value,omitempty"`
	ModRevision string `json:"mod_revision,omitempty"`
}

// keyRange asks for the keys from Key up to RangeEnd, or for one key.
type keyRange struct {
	Key      []byte `json:"key"`
	RangeEnd []byte `json:"range_end,omitempty"`
	KeysOnly bool   `json:"keys_only,omitempty"`
}

// change is one write of a transaction: one of both is set.
type change struct {
	Put    *keyValue `json:"requestPut,omitempty"`
	Delete *keyRange `json:"requestDeleteRange,omitempty"`
}

// maxChanges is how many writes etcd takes in one transaction, by default, less a few.
const maxChanges = 100

// keys returns all keys of a cluster, by name; only their revisions, or their values too.
func (c *Cluster) keys(ctx context.Context, values bool) (map[string]keyValue, error) {
	var out struct{ Kvs []keyValue }
	prefix := "/" + c.id + "/"
	asked := keyRange{Key: []byte(prefix), RangeEnd: []byte("/" + c.id + "0"), KeysOnly: !values}
	if err := c.bed.ask(ctx, "range", asked, &out); err != nil {
		return nil, err
	}
	all := make(map[string]keyValue, len(out.Kvs))
	for _, kv := range out.Kvs {
		all[string(kv.Key[len(prefix)-1:])] = kv
	}
	return all, nil
}

// write does changes in etcd, as another API server of the same cluster would: those that run learn of them by their
// watches. It returns at which revision each was done.
func (c *Cluster) write(ctx context.Context, changes []change) (revisions []string, err error) {
	for part := range slices.Chunk(changes, maxChanges) {
		var out struct{ Header struct{ Revision string } }
		if err := c.bed.ask(ctx, "txn", map[string]any{"success": part}, &out); err != nil {
			return nil, err
		}
		revisions = append(revisions, slices.Repeat([]string{out.Header.Revision}, len(part))...)
	}
	return revisions, nil
}

// ask calls etcd's JSON gateway.
func (b *Bed) ask(ctx context.Context, what string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("asking etcd (%s): %w", what, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.etcdURL()+"/v3/kv/"+what, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking etcd (%s): %w", what, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking etcd (%s): %w", what, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("asking etcd (%s): %w", what, err)
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("asking etcd (%s): %s: %s", what, res.Status, text)
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("reading what etcd answers (%s): %w", what, err)
	}
	return nil
}
