// Package apifake serves the reads of a Kubernetes API from objects in memory, over real TLS on loopback, and counts
// them. It is for what real API servers cannot show cheaply: a thousand clusters, one that stalls, one that answers
// 401, exact request counts. It stores nothing and must not know the plugin.
package apifake
