// Package fleet plays a global control plane of Kong Mesh or Kuma and its zones on real clusters: the objects as the
// chart makes them, the node and kubelet of their pods, and in each pod a control plane of kumasim with the
// environment that the pod had at its start. It must not know the product under test (nothing of pkg/); how tokens
// are judged is kumasim's business.
package fleet
