// Package rights asks the API server whether a user has the right to override a denial: a virtual verb that RBAC
// grants like any other. It must not know what is denied, nor why; every answer is fresh, nothing is cached.
package rights
