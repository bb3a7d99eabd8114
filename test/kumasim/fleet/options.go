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

	Product Product // KongMesh
	Version string  // 2.13.5; a running pod goes by the tag of its own image
	// of the chart's objects (nameOverride) and of their namespace: kong-mesh and kong-mesh-system, or kuma and
	// kuma-system
	Name, Namespace string
	GlobalReplicas  int // 1
	ZoneReplicas    int // 1
	GlobalEnv       []corev1.EnvVar
	// StoredElsewhere has the global keep its state in a store that is not its cluster's: environment universal, store
	// postgres. Its zones connect, and its own API tells of them and of its secrets, and no object of its cluster. A
	// global of 3.0 knows no other way.
	StoredElsewhere bool
	// Outside has the global be a process of no cluster, with a store of its own; see GlobalURL and SetGlobalEnv. The
	// cluster of Global has none then.
	Outside bool
	// APIAnswered is told of each change by that API once it is stored, before it is answered; nil for nobody.
	APIAnswered func(method, path string)
	ZoneEnv     map[string][]corev1.EnvVar // by zone
	HelmOwned   bool                       // the objects carry Helm's annotations, as of a release
	Argo        bool                       // the objects carry Argo CD's tracking annotation
	Users       map[string]kumasim.User    // whom the API knows besides the administrator, by their bearer tokens

	// Program has every pod run the product itself, and the chart be its own; nil plays the stand-in. Product, Version,
	// Name and Namespace are then the program's. Universal, Users, HelmOwned, Argo, Pace, DrainFor and
	// the switch InsightsLate are of the stand-in alone.
	Program  *Program
	Pace     Pace
	DrainFor time.Duration // how long a process takes to end after SIGTERM, its sessions closed: 0
	Log      io.Writer     // what Fleet.Log returns, as it is said
}

// Pace is how fast things go. Where a test would wait, the default is about 60 times faster than RealPace.
type Pace struct {
	// FlushEvery is how often a global writes what it knows of a stream to its ZoneInsight: first when that time has
	// passed since the stream began, and besides at its end (multizone.global.kds.zoneInsightFlushInterval). 150 ms.
	FlushEvery time.Duration
	// IdleAfter is when a subscription that nobody writes any more is ended: the global's leader looks that often, and
	// ends what has not moved since it looked before (metrics.zone.idleTimeout). 5 min.
	IdleAfter time.Duration
	// LeaseFor is how long a zone's next leader waits for one that is gone, whichever way: the lease is not released
	// (runtime.kubernetes.leaderElection.leaseDuration). 250 ms.
	LeaseFor time.Duration
	// Retry and RetryMost are the first and the longest wait before a zone dials again
	// (general.resilientComponentBaseBackoff and MaxBackoff). 100 ms and 400 ms.
	Retry, RetryMost time.Duration
	// HealthEvery is how often a zone checks its health, with its token (pkg/kds/mux/client.go). 5 min.
	HealthEvery time.Duration
}

// RealPace is the product's, by default (Kuma v2.14.3).
var RealPace = Pace{
	FlushEvery: 10 * time.Second, IdleAfter: 5 * time.Minute, LeaseFor: 15 * time.Second,
	Retry: 5 * time.Second, RetryMost: time.Minute, HealthEvery: 5 * time.Minute,
}

// filled returns the pace with its defaults.
func (p Pace) filled() Pace {
	for d, otherwise := range map[*time.Duration]time.Duration{
		&p.FlushEvery: 150 * time.Millisecond, &p.IdleAfter: RealPace.IdleAfter, &p.LeaseFor: 250 * time.Millisecond,
		&p.Retry: 100 * time.Millisecond, &p.RetryMost: 400 * time.Millisecond, &p.HealthEvery: RealPace.HealthEvery,
	} {
		if *d == 0 {
			*d = otherwise
		}
	}
	return p
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
	o.Pace = o.Pace.filled()
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
