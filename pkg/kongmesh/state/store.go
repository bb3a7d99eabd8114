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
	{"KUMA_ENVIRONMENT", "environment", "universal"},
	{"KUMA_STORE_TYPE", "store.type", "memory"},
}

// inKubernetes is the value of both that keeps the state in Kubernetes objects.
const inKubernetes = "kubernetes"

// storedElsewhere says why the state of a global is not known to be in the Kubernetes objects of its cluster; "" when
// it is there. It is there only where its template and each of its pods say so: the chart installs the kinds whatever
// is set, so an empty list of zones or keys shows nothing.
func (cp ControlPlane) storedElsewhere(pods []kube.PodSpec) string {
	const so = "so the objects in this cluster do not tell which keys, zones and sessions it has"
	for _, spec := range append([]kube.PodSpec{cp.Spec}, pods...) {
		for _, s := range stores {
			set := cp.set(spec, s.variable, s.file)
			switch text := cmp.Or(set.text, s.otherwise); {
			case !set.known || set.secret != nil:
				return fmt.Sprintf("where it keeps its state is not known, since %s comes from %s; set it as a plain value",
					s.variable, set.where)
			case set.text == "" && text != inKubernetes:
				return fmt.Sprintf("nothing sets %s, which is %s then, %s", s.variable, text, so)
			case text != inKubernetes:
				return fmt.Sprintf("%s is %s, %s", s.variable, text, so)
			}
		}
	}
	if cp.Version.Known() && !cp.Version.RunsOnKubernetesStore() {
		return fmt.Sprintf("%s does not start as a global that keeps its state in Kubernetes (%s, %s), %s",
			cp.Version, stores[0].variable, stores[1].variable, so)
	}
	return ""
}
