package kumasim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// The product's names.
const (
	keyPrefix       = "zone-token-signing-key"
	publicKeyPrefix = "zone-token-signing-public-key"
	revocationsName = "zone-token-revocations"
	globalSecret    = "system.kuma.io/global-secret"
	valueKey        = "value"
	meshLabel       = "kuma.io/mesh"
	syncLabel       = "kuma.io/kds-sync"
	namespace       = "kong-mesh-system" // of every control plane here
)

// Secret is a Secret of Kubernetes, as far as it matters.
type Secret struct {
	Namespace, Name, Type string
	Labels                map[string]string
	Data                  map[string][]byte
}

// GlobalSecret is a secret that the control plane sees, in its own namespace.
func GlobalSecret(name string, value []byte) Secret {
	return Secret{Namespace: namespace, Name: name, Type: globalSecret, Data: map[string][]byte{valueKey: value}}
}

// Source is where a control plane reads secrets: all of all namespaces and types.
type Source interface {
	Secrets() ([]Secret, error)
}

// Memory is a Source of plain values, which refuses what the product's webhook refuses. The zero value is empty.
type Memory struct {
	mu  sync.Mutex
	all map[string]Secret
}

// Put creates or replaces a secret.
func (m *Memory) Put(s Secret) error {
	if s.Type == globalSecret && s.Namespace == namespace { // the webhook is asked about these alone
		if s.Labels[meshLabel] != "" {
			return errors.New("mesh cannot be set on global secret")
		}
		if len(s.Data[valueKey]) == 0 {
			return fmt.Errorf("%s: cannot be empty", valueKey)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[string]Secret{}
	}
	if old, there := m.all[s.Namespace+"/"+s.Name]; there && old.Type != s.Type {
		return errors.New("type: field is immutable")
	}
	m.all[s.Namespace+"/"+s.Name] = s
	return nil
}

// Delete deletes a global secret; nothing keeps the last key from it.
func (m *Memory) Delete(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.all, namespace+"/"+name)
}

// Secrets implements Source, by name.
func (m *Memory) Secrets() ([]Secret, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Secret
	for _, name := range slices.Sorted(maps.Keys(m.all)) {
		all = append(all, m.all[name])
	}
	return all, nil
}

// cached is a Source that is believed for a while, as the product's cached manager is (store.cache.expirationTime, 1
// s).
type cached struct {
	from Source
	ttl  time.Duration
	now  func() time.Time

	mu  sync.Mutex
	at  time.Time
	all []Secret
}

// Secrets implements Source.
func (c *cached) Secrets() ([]Secret, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.at.IsZero() || !now.Before(c.at.Add(c.ttl)) {
		all, err := c.from.Secrets()
		if err != nil {
			return nil, err
		}
		c.at, c.all = now, all
	}
	return slices.Clone(c.all), nil // callers take out of it
}

// visible are the global secrets that a control plane sees.
func visible(from Source) ([]Secret, error) {
	all, err := from.Secrets()
	if err != nil {
		return nil, fmt.Errorf("could not list secrets: %w", err)
	}
	return slices.DeleteFunc(all, func(s Secret) bool { return s.Namespace != namespace || s.Type != globalSecret }), nil
}

// get finds a global secret by its name.
func get(from Source, name string) ([]byte, bool, error) {
	all, err := visible(from)
	for _, s := range all {
		if s.Name == name {
			return s.Data[valueKey], true, nil
		}
	}
	return nil, false, err
}

// isRevoked reads the list to the letter: one newline at its end is taken away, the rest split at commas.
func isRevoked(from Source, jti string) (bool, error) {
	data, _, err := get(from, revocationsName)
	if err != nil || len(data) == 0 {
		return false, err
	}
	return slices.Contains(strings.Split(strings.TrimSuffix(string(data), "\n"), ","), jti), nil
}
