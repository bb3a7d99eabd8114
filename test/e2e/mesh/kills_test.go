package mesh

import (
	"slices"
	"sync"

	"github.com/xcpauth/kubectl-xcpauth/test/e2e/runs"
	"github.com/xcpauth/kubectl-xcpauth/test/fault"
)

// through has runs reach clusters by relays before their API servers, until the returned function is called.
func (m *mesh) through(relays map[string]fault.Relay) (stop func()) {
	m.Helper()
	var fronts []*fault.Front
	to := map[string]runs.Server{}
	for name, r := range relays {
		f, err := r.Start(m.bed.Cluster(name).Config)
		if err != nil {
			m.Fatal(err)
		}
		fronts, to[name] = append(fronts, f), runs.Server{URL: f.URL, CA: f.CA}
	}
	was := m.kubeconfig
	m.kubeconfig = m.Reroute(was, to)
	return sync.OnceFunc(func() {
		m.kubeconfig = was
		for _, f := range fronts {
			f.Close()
		}
	})
}

// killedAtEachKindOfWrite runs a verb that is killed at each kind of write, and resumed each time. In the midst of it
// nobody may have been refused. It returns the kinds.
func (m *mesh) killedAtEachKindOfWrite(verb ...string) []string {
	m.Helper()
	k := m.NewKiller(m.kubeconfig, m.bed.Clusters())
	k.Listen = m.owner
	m.killer.Store(k)
	defer m.killer.Store(nil)
	return k.AtEachKind(func() {
		m.gatherSecrets()
		m.promiseKept()
	}, slices.Concat(verb, quick)...)
}

// keepKeyOut deletes the key that the global made at its start; it makes none while it runs.
func (m *mesh) keepKeyOut() {
	m.Helper()
	m.gatherSecrets()
	if m.elsewhere {
		m.Store().Delete("zone-token-signing-key-1")
		return
	}
	m.kubectl("--context", "global", "-n", namespace, "delete", "secret", "zone-token-signing-key-1")
}
