// Package kumasim stands in for a global control plane of Kong Mesh or Kuma and its zones, as far as tokens go: TLS
// gRPC on loopback, the product's checks in its order and words, keys and revocations read to the letter, the sync of
// secrets, and the API that issues tokens. It must not know the product under test (nothing of pkg/); what versions
// do differently is a switch.
package kumasim
