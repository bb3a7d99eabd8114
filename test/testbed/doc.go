// Package testbed runs N real Kubernetes clusters on loopback: one etcd, and per cluster an API server and a
// controller manager with a CA of its own, cert-manager too where asked. It knows how clusters start, fail and stop,
// and the shape of the vendor's CRDs. It must not know the product's code, what a migration is, or what plays the
// pods; it needs Linux (127.0.0.0/8).
package testbed
