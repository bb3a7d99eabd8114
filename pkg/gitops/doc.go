// Package gitops says what Git must say, where Argo CD, Flux or the like keeps a control plane as it is and would put a
// change by anybody else back: for each wave of a plan a patch of each such object, for kustomize and for the values of
// a Helm release. It returns files and writes none.
package gitops
