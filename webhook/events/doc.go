// Package events writes Events about ManagementPlanes beside the decisions, which never wait for one: through a bounded queue, whose
// overflow is dropped and counted, and repeats as the series of the Event that is there already.
// It must not know what is decided.
package events
