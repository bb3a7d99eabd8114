package fleet

import (
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/test/kumasim"
)

// Site is one cluster, and of a zone the zone's name.
type Site struct {
	Name      string
	Config    *rest.Config
	KubeletIP string // the address of the cluster's node
}

// Product is whose control planes they are.
type Product string

const (
	KongMesh Product = "kong-mesh"
	Kuma     Product = "kuma"
)

// Options say what to install and play.
type Options struct {
	Global    Site
	Zones     []Site
	Universal []string // zones whose process is in no cluster; see SetUniversalToken

	Product         Product // KongMesh
	Version         string  // 2.13.5; a running pod goes by the tag of its own image
	Name, Namespace string  // of the chart's objects (nameOverride) and of their namespace: kong-mesh and kong-mesh-system, or kuma and kuma-system
	GlobalReplicas  int     // 1
	ZoneReplicas    int     // 1
	GlobalEnv       []corev1.EnvVar
	// StoredElsewhere has the global keep its state in a store that is not its cluster's: environment universal, store postgres. Its zones
	// connect, and the objects of its cluster tell of none.
	StoredElsewhere bool
	ZoneEnv         map[string][]corev1.EnvVar // by zone
	HelmOwned       bool                       // the objects carry Helm's annotations, as of a release
	Argo            bool                       // the objects carry Argo CD's tracking annotation
	Users           map[string]kumasim.User    // whom the API knows besides the administrator, by their bearer tokens

	Retry       time.Duration // how soon a zone dials again: 100 ms
	HealthEvery time.Duration // how often a zone's stream is accompanied by a health check: never when 0
	Log         io.Writer     // what Fleet.Log returns, as it is said
}

// filled returns the options with their defaults.
func (o Options) filled() Options {
	if o.Product == "" {
		o.Product = KongMesh
	}
	if o.Version == "" {
		o.Version = "2.13.5"
	}
	if o.Name == "" {
		o.Name = string(o.Product)
	}
	if o.Namespace == "" {
		o.Namespace = string(o.Product) + "-system"
	}
	if o.GlobalReplicas == 0 {
		o.GlobalReplicas = 1
	}
	if o.ZoneReplicas == 0 {
		o.ZoneReplicas = 1
	}
	if o.Retry == 0 {
		o.Retry = 100 * time.Millisecond
	}
	return o
}

// deployment is the name of the control plane's Deployment, of its ServiceAccount, and of its pods' label app.
func (o Options) deployment() string { return o.Name + "-control-plane" }

// image is the control plane's image of a version.
func (o Options) image(version string) string {
	if o.Product == Kuma {
		return "docker.io/kumahq/kuma-cp:" + version
	}
	return "docker.io/kong/kuma-cp:" + version
}
