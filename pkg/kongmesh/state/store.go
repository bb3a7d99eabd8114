package state

import (
	"cmp"
	"fmt"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
)

// The settings that say where a control plane keeps its state: signing keys, zones, sessions, revocations. Sources:
// Kuma pkg/config/app/kuma-cp/config.go and pkg/config/core/resources/store/config.go, the same from 2.7.29 to 3.0;
// the chart sets both (deployments/charts/kuma/templates/_helpers.tpl: kubernetes with kubernetes, universal with
// postgres).
var stores = []struct{ variable, file, otherwise string }{
	{"KUMA_ENVIRONMENT", "environment", inMemoryOrPostgres},
	{"KUMA_STORE_TYPE", "store.type", inMemory},
}

// The values of both that go together: the state is in Kubernetes objects, or in a store that only the control plane's
// own API shows.
const (
	inKubernetes       = "kubernetes"
	inMemoryOrPostgres = "universal"
	inMemory           = "memory"
	inPostgres         = "postgres"
)

// keepsState says where a global keeps its state: inKubernetes, inPostgres, inMemory; or why that is not known. Its
// template and each of its pods must say the same: the chart installs the kinds whatever is set, so an empty list of
// zones or keys shows nothing, and a global that moves from one store to the other has two.
func (cp ControlPlane) keepsState(pods []kube.PodSpec) (at, why string) {
	for _, spec := range append([]kube.PodSpec{cp.Spec}, pods...) {
		one, why := cp.storeOf(spec)
		switch {
		case why != "":
			return "", why
		case at != "" && one != at:
			return "", fmt.Sprintf("its template and its pods keep it in different stores (%s and %s); wait until its "+
				"rollout is over", at, one)
		}
		at = one
	}
	if at == inKubernetes && cp.Version.Known() && !cp.Version.RunsOnKubernetesStore() {
		return "", fmt.Sprintf("%s does not start as a global that keeps its state in Kubernetes (%s, %s)",
			cp.Version, stores[0].variable, stores[1].variable)
	}
	return at, ""
}

// storeOf is where a pod, or the template, keeps its state.
func (cp ControlPlane) storeOf(spec kube.PodSpec) (at, why string) {
	var values []string
	for _, s := range stores {
		set := cp.set(spec, s.variable, s.file)
		if !set.known || set.secret != nil {
			return "", fmt.Sprintf("where it keeps its state is not known, since %s comes from %s; set it as a plain value",
				s.variable, set.where)
		}
		values = append(values, cmp.Or(set.text, s.otherwise))
	}
	environment, store := values[0], values[1]
	switch {
	case environment == inKubernetes && store == inKubernetes,
		environment == inMemoryOrPostgres && (store == inPostgres || store == inMemory):
		return store, ""
	}
	return "", fmt.Sprintf("where it keeps its state is not known, since %s is %s and %s is %s", stores[0].variable,
		environment, stores[1].variable, store)
}
