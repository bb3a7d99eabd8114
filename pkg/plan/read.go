package plan

import "time"

// Read is one thing to look at in a cluster, as data: an object (Name set), a list (Name empty; all namespaces when
// Namespace is empty too), or the metrics page of a pod (Port set).
type Read struct {
	Group, Version, Resource string
	Namespace, Name          string
	Labels                   string // of a list: the label selector that its items match
	Port                     int    // of a pod: GET /metrics there, through the API server's port-forward
	// of a pod's Port: the certificates that it presents in a TLS handshake, as PEM, instead
	Served bool
	// the path of the hub's own API that is read instead: at Port of a pod of the workload that Name is, or at the
	// address that Name is where the hub is outside of clusters; of a list all its pages, as one
	Asked string
	TLS   bool // of Asked: the port speaks TLS
}

// Path is the API server's path of the read.
func (r Read) Path() string {
	p := "/apis/" + r.Group + "/" + r.Version
	if r.Group == "" {
		p = "/api/" + r.Version
	}
	if r.Namespace != "" {
		p += "/namespaces/" + r.Namespace
	}
	p += "/" + r.Resource
	if r.Name != "" {
		p += "/" + r.Name
	}
	return p
}

// Accept is what the API server is asked to answer with: JSON, and of ReplicaSets the metadata, which is all that is
// read of them: the rest is most of what a cluster sends.
func (r Read) Accept() string {
	if r.Resource == "replicasets" && r.Name == "" {
		return "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"
	}
	return "application/json"
}

// Result is what came of a Read. The zero Result means that it was not tried.
type Result struct {
	Body    []byte // the object or list as JSON, or the metrics page as text
	Missing bool   // the API server said that it is not there (404), which is a fact
	NoKind  bool   // of what is missing: the API server does not serve its kind in that version
	Err     string // why it could not be read, which is not
	Denied  bool   // of Err: the API server was reached, and says that the right is missing (403)

	cache *cache // nil when what is made of it is not kept
}

// OK says whether there is a body.
func (r Result) OK() bool { return r.Err == "" && !r.Missing && r.Body != nil }

// Snapshot is all that was read of one kubeconfig context.
type Snapshot struct {
	Context string
	// Endpoint tells the API server from another's by what the kubeconfig says of it; "" when that is not known.
	Endpoint string
	At       time.Time // when reading ended
	// Err says in one sentence why the cluster could not be looked at; Reads may then hold a part.
	Err string
	// Denied says of Err that the cluster was reached, and that what is missing is the right to look.
	Denied bool
	Reads  map[Read]Result
	// Skew is how far the API server's clock is ahead of ours at the least, by the Date of its answers; nil when none
	// told.
	Skew *time.Duration
	// AccessReviews is what the API server says of the rights that were asked for.
	AccessReviews map[Permission]AccessReview
}

// Clock is the time at by the clock of the cluster's API server, as far as its answers tell: the machines around it
// keep the same time. Where nothing tells, it is our own.
func (s Snapshot) Clock(at time.Time) time.Time {
	if s.Skew == nil {
		return at
	}
	return at.Add(*s.Skew)
}
