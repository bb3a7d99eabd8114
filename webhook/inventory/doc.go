// Package inventory reads, at the moment of a decision, who the members of a hub are: the roster, the ControlPlanes
// of the hub's own cluster, the clusters that the hub knows, the layer below them, and the metrics of Central's pods.
// Nothing is cached. It must not know what is decided from it, nor controller-runtime.
package inventory
