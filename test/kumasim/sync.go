package kumasim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Snapshot is what a global syncs to each of its zones: secrets by name, and resources of another kind to tell that
// the sync goes on.
type Snapshot struct {
	Secrets map[string][]byte
	Meshes  []string
}

// PutMesh adds a Mesh, to be synced.
func (g *Global) PutMesh(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.meshes = append(g.meshes, name)
}

// SyncError is why nothing is synced now, "" when it is.
func (g *Global) SyncError() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.syncErr
}

// snapshot makes what zones get. Of a signing key it is the public half; one that cannot be made fails the whole of
// it, for all zones and all kinds. Everything else goes in clear, but for a list of names, and what the label keeps
// back.
func (g *Global) snapshot() (_ []byte, err error) {
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.syncErr = ""; err != nil {
			g.syncErr = err.Error()
			g.opts.Log("kds-delta-global OnTick() failed: %v", err)
		}
	}()
	all, err := visible(g.opts.Source)
	if err != nil {
		return nil, err
	}
	s := Snapshot{Secrets: map[string][]byte{}}
	for _, secret := range all {
		switch {
		case slices.Contains([]string{"envoy-admin-ca", "admin-user-token", "inter-cp-ca", "user-token-revocations"},
			secret.Name), strings.HasPrefix(secret.Name, "user-token-signing-key"):
		case secret.Labels[syncLabel] == "disabled" && !g.opts.Switches.SyncsLabels:
		case strings.HasPrefix(secret.Name, keyPrefix):
			public, err := publicHalf(secret.Data[valueKey])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", secret.Name, err)
			}
			s.Secrets[strings.ReplaceAll(secret.Name, keyPrefix, publicKeyPrefix)] = public
		default:
			s.Secrets[secret.Name] = secret.Data[valueKey]
		}
	}
	g.mu.Lock()
	s.Meshes = slices.Clone(g.meshes)
	g.mu.Unlock()
	return json.Marshal(s)
}
