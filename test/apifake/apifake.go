package apifake

import (
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// Object is one object; its apiVersion, kind and metadata say where it is served.
type Object = map[string]any

// Server is one API server.
type Server struct {
	*httptest.Server
	// Answer, when set, answers instead of the objects: a status, or false to go on.
	Answer func(w http.ResponseWriter, r *http.Request) bool
	// Allows, when set, answers access reviews; else everything is allowed.
	Allows func(verb, resource, namespace, name string) bool

	connections atomic.Int64

	mu       sync.Mutex
	objects  map[string]Object // by path
	requests []string
}

func newServer(objects []Object) *Server {
	s := &Server{objects: map[string]Object{}}
	for _, o := range objects {
		s.objects[path(o)] = o
	}
	return s
}

// Handler serves the objects without a server of its own.
func Handler(objects ...Object) http.Handler { return http.HandlerFunc(newServer(objects).serve) }

// Certificate is the certificate with its key that every server here has, for 127.0.0.1, and the CA to trust it by,
// in PEM.
func Certificate() (tls.Certificate, []byte) {
	s := httptest.NewTLSServer(nil)
	defer s.Close()
	return s.TLS.Certificates[0], pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// Start serves the objects.
func Start(objects ...Object) *Server {
	s := newServer(objects)
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.EnableHTTP2 = true
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			s.connections.Add(1)
		}
	}
	s.StartTLS()
	return s
}

// Requests are the method and path of every request so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.requests...)
}

// Connections is how many connections were made to the server so far.
func (s *Server) Connections() int { return int(s.connections.Load()) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	s.mu.Unlock()
	if s.Answer != nil && s.Answer(w, r) {
		return
	}
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
		s.review(w, r)
		return
	}
	if o, ok := s.objects[r.URL.Path]; ok {
		write(w, http.StatusOK, o)
		return
	}
	if items, isList := s.list(r.URL.Path, r.URL.Query().Get("labelSelector")); isList {
		list := Object{"apiVersion": versionOf(r.URL.Path), "kind": kindOf(r.URL.Path) + "List",
			"metadata": Object{"resourceVersion": "1"}, "items": items}
		if strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadataList") {
			list = metadataOf(list)
		}
		write(w, http.StatusOK, list)
		return
	}
	at := strings.Split(r.URL.Path, "/")
	name := at[len(at)-1]
	write(w, http.StatusNotFound, Object{"apiVersion": "v1", "kind": "Status", "status": "Failure",
		"code": http.StatusNotFound, "reason": "NotFound",
		"message": name + " not found", "details": Object{"name": name, "kind": at[len(at)-2]}})
}

// Written answers a write as an API server does that stores it: with the object of the body, which has the name of the
// path where it has none, and the UID of what is served there; a deletion with a Status.
func (s *Server) Written(w http.ResponseWriter, r *http.Request, body []byte) {
	var o Object
	if r.Method == http.MethodDelete {
		write(w, http.StatusOK, Object{"apiVersion": "v1", "kind": "Status", "status": "Success"})
		return
	}
	if err := json.Unmarshal(body, &o); err != nil {
		Status(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	at := strings.TrimSuffix(r.URL.Path, "/status")
	meta, _ := o["metadata"].(Object)
	if meta == nil {
		meta = Object{}
	}
	if o["metadata"] = meta; meta["name"] == nil {
		meta["name"] = at[strings.LastIndex(at, "/")+1:]
	}
	if meta["uid"] == nil {
		meta["uid"] = "uid-of-" + at
		if served, _ := s.objects[at]["metadata"].(Object); served["uid"] != nil {
			meta["uid"] = served["uid"]
		}
	}
	meta["resourceVersion"] = "9000000"
	write(w, http.StatusOK, o)
}

// review answers a SelfSubjectAccessReview. A resource comes with its subresource and group: "pods/portforward",
// "clusters.xcp.tetrate.io".
func (s *Server) review(w http.ResponseWriter, r *http.Request) {
	var review struct {
		Spec struct {
			ResourceAttributes struct{ Verb, Group, Resource, Subresource, Namespace, Name string }
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
		Status(w, http.StatusBadRequest, "BadRequest", err.Error())
		return
	}
	a := review.Spec.ResourceAttributes
	resource := a.Resource
	if a.Group != "" {
		resource += "." + a.Group
	}
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	write(w, http.StatusCreated, Object{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"status": Object{"allowed": s.Allows == nil || s.Allows(a.Verb, resource, a.Namespace, a.Name)}})
}

// list returns the objects of a collection, of one namespace or of all. A path that ends in a collection's name is one.
func (s *Server) list(at, selector string) ([]any, bool) {
	parts := strings.Split(strings.Trim(at, "/"), "/")
	resource := parts[len(parts)-1]
	if !plurals[resource] {
		return nil, false
	}
	prefix := strings.TrimSuffix(at, resource)
	items := []any{}
	for p, o := range s.objects {
		if !strings.HasPrefix(p, prefix) {
			continue
		}
		rest := strings.Split(strings.TrimPrefix(p, prefix), "/")
		if (len(rest) == 2 && rest[0] == resource) || (len(rest) == 4 && rest[0] == "namespaces" && rest[2] == resource) {
			if selected(o, selector) {
				items = append(items, o)
			}
		}
	}
	return items, true
}

// selected says whether an object has the labels that a selector asks for; one that cannot be read selects nothing.
func selected(o Object, selector string) bool {
	s, err := labels.Parse(selector)
	if err != nil {
		return false
	}
	set := labels.Set{}
	meta, _ := o["metadata"].(map[string]any)
	all, _ := meta["labels"].(map[string]any)
	for k, v := range all {
		set[k], _ = v.(string)
	}
	return s.Matches(set)
}

// plurals are the resources that are served; kinds maps a kind to its resource.
var (
	kinds = map[string]string{"CustomResourceDefinition": "customresourcedefinitions",
		"Namespace": "namespaces", "ConfigMap": "configmaps", "Secret": "secrets", "Pod": "pods",
		"Deployment": "deployments", "ReplicaSet": "replicasets",
		"ManagementPlane": "managementplanes", "ControlPlane": "controlplanes", "EdgeXcp": "edgexcps",
		"CentralXcp": "centralxcps", "Cluster": "clusters", "EdgeCluster": "edgeclusters",
		"ValidatingWebhookConfiguration": "validatingwebhookconfigurations", "Lease": "leases", "Zone": "zones",
		"ZoneInsight": "zoneinsights"}
	plurals = func() map[string]bool {
		all := map[string]bool{}
		for _, p := range kinds {
			all[p] = true
		}
		return all
	}()
)

func path(o Object) string {
	version := o["apiVersion"].(string)
	meta := o["metadata"].(Object)
	p := "/apis/" + version
	if !strings.Contains(version, "/") {
		p = "/api/" + version
	}
	if ns, _ := meta["namespace"].(string); ns != "" {
		p += "/namespaces/" + ns
	}
	return p + "/" + kinds[o["kind"].(string)] + "/" + meta["name"].(string)
}

// versionOf is the apiVersion that a path serves, kindOf the kind of the collection that it ends in.
func versionOf(at string) string {
	parts := strings.Split(strings.Trim(at, "/"), "/")
	if parts[0] == "api" {
		return parts[1]
	}
	return parts[1] + "/" + parts[2]
}

func kindOf(at string) string {
	for kind, resource := range kinds {
		if strings.HasSuffix(at, "/"+resource) {
			return kind
		}
	}
	return ""
}

// Status answers with a Kubernetes status.
func Status(w http.ResponseWriter, code int, reason, message string) {
	write(w, code, Object{"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
		"message": message})
}

// metadataOf is a list as an API server answers who asks for its metadata alone.
func metadataOf(list Object) Object {
	items := []any{}
	for _, o := range list["items"].([]any) {
		items = append(items, Object{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata",
			"metadata": o.(Object)["metadata"]})
	}
	return Object{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "metadata": list["metadata"],
		"items": items}
}

func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(v)
}

// Kubeconfig writes a kubeconfig with one context for each server, into a directory, and returns its path. user, when
// not nil, gives a context's user entry; else the context has a token.
func Kubeconfig(dir string, servers map[string]*Server, user func(context string) Object) (string, error) {
	var clusters, contexts, users []any
	for name, s := range servers {
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		clusters = append(clusters, Object{"name": name, "cluster": Object{"server": s.URL,
			"certificate-authority-data": ca}})
		contexts = append(contexts, Object{"name": name, "context": Object{"cluster": name, "user": name}})
		u := Object{"token": "t"}
		if user != nil {
			if given := user(name); given != nil {
				u = given
			}
		}
		users = append(users, Object{"name": name, "user": u})
	}
	b, err := yaml.Marshal(Object{"apiVersion": "v1", "kind": "Config", "clusters": clusters, "contexts": contexts,
		"users": users})
	if err != nil {
		return "", err
	}
	to := filepath.Join(dir, "kubeconfig")
	return to, os.WriteFile(to, b, 0o600)
}

// Get is what a server of the objects would answer at a path, without a server: the status code and the body.
func Get(objects []Object, at string) (int, []byte) {
	w := httptest.NewRecorder()
	newServer(objects).serve(w, httptest.NewRequest(http.MethodGet, at, nil))
	return w.Code, w.Body.Bytes()
}
