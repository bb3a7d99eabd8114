package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/manifests"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Object is one object of a manifest, as it is decoded.
type Object = map[string]any

// Certificates says who makes the webhook's certificate.
type Certificates string

// The sources of a certificate.
const (
	SelfSigned  Certificates = "self-signed"  // the webhook itself
	CertManager Certificates = "cert-manager" // the cluster's cert-manager
)

// AllCertificates are the values, the default first.
var AllCertificates = []Certificates{SelfSigned, CertManager}

// ShippedImage is the image that the manifests name, which no release publishes.
const ShippedImage = "ghcr.io/xcpauth/xcpauth-webhook:devel"

// Webhook is what is chosen of the webhook's installation.
type Webhook struct {
	Image        string // with a tag or a digest
	Replicas     int    // of the webhook; the auditor has one
	Certificates Certificates
}

// Objects are the webhook, its auditor, the roster's kind and the roles of the hub's own namespaces, in the order in
// which they are applied. An image or a number that cannot be meant is an error.
func (w Webhook) Objects() ([]Object, error) {
	if w.Replicas < 1 {
		return nil, fmt.Errorf("%d replicas: at least 1 must run, or every guarded edit is refused", w.Replicas)
	}
	if err := checkImage(w.Image); err != nil {
		return nil, err
	}
	text, known := map[Certificates][]byte{SelfSigned: manifests.SelfSigned,
		CertManager: manifests.CertManager}[w.Certificates]
	if !known {
		return nil, fmt.Errorf("the source of certificates %q is not known", w.Certificates)
	}
	objects, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest of the webhook: %w", err)
	}
	for _, o := range objects {
		if o["kind"] != "Deployment" {
			continue
		}
		spec := o["spec"].(Object)
		if name(o) == "xcpauth-webhook" {
			spec["replicas"] = int64(w.Replicas)
		}
		pod := spec["template"].(Object)["spec"].(Object)
		for _, c := range pod["containers"].([]any) {
			c.(Object)["image"] = w.Image
		}
	}
	return objects, nil
}

// checkImage refuses what is no reference to an image with a tag or a digest.
func checkImage(image string) error {
	last := image[strings.LastIndex(image, "/")+1:]
	switch {
	case image == "":
		return errors.New("this build is of no release, so it names no image; name one with --image (make " +
			"release-snapshot lists those that it builds in dist/images.txt)")
	case strings.ContainsAny(image, " \t\n\"'"):
		return fmt.Errorf("image %q is not a reference to an image", image)
	case !strings.ContainsAny(last, ":@"):
		return fmt.Errorf("image %q has neither a tag nor a digest, so what runs would change by itself", image)
	}
	return nil
}

// Place is the kind of cluster that roles are for.
type Place string

// The kinds of clusters.
const (
	Hub  Place = "hub"  // of TSB
	Edge Place = "edge" // of TSB
	Mesh Place = "mesh" // of Kong Mesh or Kuma: the global's, and each zone's
)

// Places are the values.
var Places = []Place{Hub, Edge, Mesh}

// places says of each kind of cluster where its roles are, and the namespace that they name for the control plane.
var places = map[Place]struct {
	at        []string
	namespace string
}{
	Hub:  {[]string{"rbac/hub"}, "tsb"},
	Edge: {[]string{"rbac/edge"}, "istio-system"},
	Mesh: {[]string{"rbac/mesh.yaml", "rbac/cluster/limits.yaml"}, "kong-mesh-system"},
}

// Roles is what is chosen of the roles for a cluster's users.
type Roles struct {
	Place     Place
	Namespace string   // of the control plane; "" = the usual one
	Bind      []string // what of the roles the subjects get, such as read and migrate
	Users     []string
	Groups    []string
}

// Objects are the roles, with the bindings of those that were named.
func (r Roles) Objects() ([]Object, error) {
	at, known := places[r.Place]
	if !known {
		return nil, fmt.Errorf("%q is no kind of cluster; there are: %s", r.Place, list(Places))
	}
	var objects []Object
	for _, from := range at.at {
		more, err := resources(from)
		if err != nil {
			return nil, err
		}
		objects = append(objects, more...)
	}
	if r.Namespace != "" {
		for _, o := range objects {
			if metadata := o["metadata"].(Object); metadata["namespace"] == at.namespace {
				metadata["namespace"] = r.Namespace
			}
		}
	}
	bindings, err := r.bindings(objects)
	if err != nil {
		return nil, err
	}
	return append(objects, bindings...), nil
}

// bindings bind each Role and ClusterRole of the names that were chosen.
func (r Roles) bindings(objects []Object) ([]Object, error) {
	var subjects []any
	for kind, names := range map[string][]string{"User": r.Users, "Group": r.Groups} {
		for _, n := range names {
			subjects = append(subjects, Object{"apiGroup": rbacGroup, "kind": kind, "name": n})
		}
	}
	slices.SortFunc(subjects, func(a, b any) int {
		return strings.Compare(fmt.Sprint(a.(Object)["kind"], a.(Object)["name"]),
			fmt.Sprint(b.(Object)["kind"], b.(Object)["name"]))
	})
	switch {
	case len(subjects) == 0 && len(r.Bind) > 0:
		return nil, errors.New("nobody is named who gets the roles; name them with --user or --group")
	case len(subjects) > 0 && len(r.Bind) == 0:
		return nil, errors.New("no role is named; name what they may do with --role")
	}
	var all []Object
	for _, what := range r.Bind {
		found := false
		for _, o := range objects {
			kind, _ := o["kind"].(string)
			if n := name(o); (kind != "Role" && kind != "ClusterRole") || short(n) != what {
				continue
			}
			found = true
			all = append(all, binding(o, subjects))
		}
		if !found {
			return nil, fmt.Errorf("there is no role %q for a cluster of kind %s; there are: %s", what, r.Place,
				strings.Join(roleNames(objects), ", "))
		}
	}
	return all, nil
}

// binding binds a role, by its own name.
func binding(role Object, subjects []any) Object {
	metadata := Object{"name": name(role), "labels": Object{"app.kubernetes.io/part-of": "xcpauth"}}
	if ns := role["metadata"].(Object)["namespace"]; ns != nil {
		metadata["namespace"] = ns
	}
	kind, _ := role["kind"].(string)
	return Object{"apiVersion": rbacGroup + "/v1", "kind": kind + "Binding", "metadata": metadata,
		"roleRef": Object{"apiGroup": rbacGroup, "kind": kind, "name": name(role)}, "subjects": subjects}
}

const rbacGroup = "rbac.authorization.k8s.io"

// short is what a role is called here: xcpauth-mesh-read is read.
func short(role string) string {
	return strings.TrimPrefix(strings.TrimPrefix(role, "xcpauth-"), "mesh-")
}

// roleNames are the roles of a manifest as --role takes them.
func roleNames(objects []Object) []string {
	var names []string
	for _, o := range objects {
		if kind := o["kind"]; kind == "Role" || kind == "ClusterRole" {
			names = append(names, short(name(o)))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Fence are the policy of an edge's cluster and its binding.
func Fence() ([]Object, error) { return decode(manifests.EdgeFence) }

// Kinds is the roster's kind.
func Kinds() ([]Object, error) { return decode(manifests.EdgeClusterCRD) }

// resources are the objects of a file of the manifests, or of a directory with a kustomization that lists files and
// directories and does nothing else.
func resources(at string) ([]Object, error) {
	if path.Ext(at) == ".yaml" {
		text, err := fs.ReadFile(manifests.Files, at)
		if err != nil {
			return nil, fmt.Errorf("reading the manifest %s: %w", at, err)
		}
		return decode(text)
	}
	text, err := fs.ReadFile(manifests.Files, path.Join(at, "kustomization.yaml"))
	if err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", at, err)
	}
	var kustomization struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Resources  []string `json:"resources"`
	}
	if err := yaml.UnmarshalStrict(text, &kustomization); err != nil {
		return nil, fmt.Errorf("reading the manifest %s: %w", at, err)
	}
	var all []Object
	for _, r := range kustomization.Resources {
		more, err := resources(path.Join(at, r))
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// decode reads the documents of a manifest.
func decode(text []byte) ([]Object, error) {
	var all []Object
	for doc := range bytes.SplitSeq(text, []byte("\n---\n")) {
		var o Object
		if err := yaml.Unmarshal(doc, &o); err != nil {
			return nil, err
		}
		if o != nil {
			all = append(all, o)
		}
	}
	return all, nil
}

func name(o Object) string {
	n, _ := o["metadata"].(Object)["name"].(string)
	return n
}

func list[T ~string](values []T) string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return strings.Join(all, ", ")
}

// kinds are the resources of the kinds that are shipped.
var kinds = map[string]string{
	"Namespace": "namespaces", "CustomResourceDefinition": "customresourcedefinitions",
	"ServiceAccount": "serviceaccounts",
	"Role":           "roles", "ClusterRole": "clusterroles", "RoleBinding": "rolebindings",
	"ClusterRoleBinding": "clusterrolebindings", "Secret": "secrets", "Service": "services", "Deployment": "deployments",
	"PodDisruptionBudget": "poddisruptionbudgets", "NetworkPolicy": "networkpolicies",
	"ValidatingAdmissionPolicy":        "validatingadmissionpolicies",
	"ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
	"ValidatingWebhookConfiguration":   "validatingwebhookconfigurations",
	"Issuer":                           "issuers", "Certificate": "certificates",
}

// Ref names an object of a manifest. A kind that is not shipped is an error.
func Ref(o Object) (plan.Ref, error) {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	resource, known := kinds[kind]
	if !known {
		return plan.Ref{}, fmt.Errorf("kind %q of %q is none that is shipped", kind, name(o))
	}
	group, v, grouped := strings.Cut(version, "/")
	if !grouped {
		group, v = "", version
	}
	namespace, _ := o["metadata"].(Object)["namespace"].(string)
	return plan.Ref{Group: group, Version: v, Resource: resource, Kind: kind, Namespace: namespace, Name: name(o)}, nil
}

// YAML are the objects as documents that kubectl apply takes.
func YAML(objects []Object) ([]byte, error) {
	var out bytes.Buffer
	for i, o := range objects {
		if i > 0 {
			out.WriteString("---\n")
		}
		text, err := yaml.Marshal(o)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", name(o), err)
		}
		out.Write(text)
	}
	return out.Bytes(), nil
}
