// Package kubelet is the node of a test cluster, for a stand-in that plays its pods: the Node and its lease, the
// scheduler that binds pods to it, and the server that an API server asks for `kubectl logs` and `kubectl
// port-forward`. What a pod runs is the caller's.
package kubelet
