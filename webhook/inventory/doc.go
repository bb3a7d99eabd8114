// Package inventory reads, at the moment of a decision, who the members of a hub are: the roster, the ControlPlanes of
// the hub's own cluster, and the clusters that the hub knows. Every answer comes from the API server; nothing is cached.
// It must not know what is decided from it, nor controller-runtime.
package inventory
