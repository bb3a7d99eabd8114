// Package xcpsim stands in for Tetrate Service Bridge on real clusters: its operators, Central, MPC and the edges,
// and the kubelet of their pods. It is strict where the product is: real TLS and gRPC on sockets, one session per
// pod, every refused dial with its reason. It must not know the product under test (nothing of pkg/); whatever the
// vendor leaves open is a switch with both values.
package xcpsim
