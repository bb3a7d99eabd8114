// Package install makes, from the manifests that are shipped, what one cluster is given: the webhook, the roles, the
// fence of an edge, the roster's kind. It returns objects; who prints or applies them is elsewhere.
package install
