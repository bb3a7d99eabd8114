package edgereader

import (
	"cmp"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// ReaderName is the name of the reader's service account, role and binding in an edge's cluster.
const ReaderName = "xcpauth-reader"

// KubeconfigKey is the key of an edge's Secret in the hub that holds its kubeconfig.
const KubeconfigKey = "kubeconfig"

// When the token in a Secret was issued, and when it ends: RFC 3339.
const (
	issuedAnnotation  = "xcpauth.io/token-issued"
	expiresAnnotation = "xcpauth.io/token-expires"
)

// tokenLife is how long a token is asked for; an API server may give less. It is renewed at two thirds, so that a
// webhook that is away for two days still finds one that is good.
const tokenLife = 7 * 24 * time.Hour

// Object is one object in a cluster, and where it is.
type Object struct {
	Ref  plan.Ref
	Body map[string]any
}

// Objects are the reader in an edge's cluster, all in one namespace: a service account, and the right to do the reads
// and to renew its own token. The order is the one in which to make them.
func Objects(namespace string, reads []plan.Read) []Object {
	rules := []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"serviceaccounts/token"},
		"resourceNames": []any{ReaderName}, "verbs": []any{"create"}}}
	for _, r := range reads {
		rule := map[string]any{"apiGroups": []any{r.Group}, "resources": []any{r.Resource}, "verbs": []any{"list"}}
		if r.Name != "" {
			rule["resourceNames"], rule["verbs"] = []any{r.Name}, []any{"get"}
		}
		rules = append(rules, rule)
	}
	const rbac = "rbac.authorization.k8s.io"
	object := func(group, resource, kind string, more map[string]any) Object {
		version := "v1"
		if group != "" {
			version = group + "/v1"
		}
		body := map[string]any{"apiVersion": version, "kind": kind,
			"metadata": map[string]any{"name": ReaderName, "namespace": namespace,
				"labels": map[string]any{"app.kubernetes.io/part-of": "xcpauth"}}}
		for k, v := range more {
			body[k] = v
		}
		return Object{plan.Ref{Group: group, Version: "v1", Resource: resource, Kind: kind, Namespace: namespace,
			Name: ReaderName}, body}
	}
	return []Object{
		object("", "serviceaccounts", "ServiceAccount", map[string]any{"automountServiceAccountToken": false}),
		object(rbac, "roles", "Role", map[string]any{"rules": rules}),
		object(rbac, "rolebindings", "RoleBinding", map[string]any{
			"roleRef":  map[string]any{"apiGroup": rbac, "kind": "Role", "name": ReaderName},
			"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": ReaderName, "namespace": namespace}}}),
	}
}

// SecretRef names the Secret in the hub that holds the kubeconfig of a roster entry. namespace is the roster's.
func SecretRef(namespace, entry string) plan.Ref {
	return plan.Ref{Version: "v1", Resource: "secrets", Kind: "Secret",
		Namespace: api.EdgesNamespace(cmp.Or(namespace, api.Namespace)), Name: entry}
}

// Token is a token, and when it begins and ends by the clock of the API server that issued it.
type Token struct {
	Secret          plan.Secret
	Issued, Expires time.Time
}

// Annotations say when a token begins and ends.
func (t Token) Annotations() map[string]string {
	return map[string]string{issuedAnnotation: t.Issued.UTC().Format(time.RFC3339),
		expiresAnnotation: t.Expires.UTC().Format(time.RFC3339)}
}

// RenewAt is when a token with these annotations is to be renewed: at two thirds of its life. The zero time, which is
// at once, when they do not say.
func RenewAt(annotations map[string]string) time.Time {
	issued, err1 := time.Parse(time.RFC3339, annotations[issuedAnnotation])
	expires, err2 := time.Parse(time.RFC3339, annotations[expiresAnnotation])
	if err1 != nil || err2 != nil || !issued.Before(expires) {
		return time.Time{}
	}
	return issued.Add(expires.Sub(issued) / 3 * 2)
}

// kindFits says whether a kind is that of a resource: "Pod" of "pods".
func kindFits(kind, resource string) bool { return strings.EqualFold(kind+"s", resource) }
