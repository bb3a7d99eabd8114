// Package server runs the webhook: certificates, the TLS listener, readiness, metrics and an orderly end.
// It knows how a process is operated in a cluster.
// It must not know what is decided, nor about whom.
package server
