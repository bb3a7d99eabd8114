// Package fleet turns a kubeconfig into clusters that can be talked to: which contexts were selected, and one client for each.
// The kubeconfig is loaded once and used as clientcmd gives it; only selected contexts are ever touched.
// It must not know what is read from a cluster or written to it.
package fleet
