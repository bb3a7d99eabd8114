// Package kubeconfig turns a kubeconfig into clusters that can be talked to: which contexts were selected, one client
// for each, and the credential plugins that they name. The kubeconfig is loaded once and means what it means to
// kubectl; only selected contexts are touched. It must not know what is read from a cluster or written to it.
package kubeconfig
