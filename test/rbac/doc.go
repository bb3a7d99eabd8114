// Package rbac judges roles as an API server does: which rights they grant.
// It reads the roles that are shipped, and those that the plugin prints. It must not know what a product needs.
package rbac
