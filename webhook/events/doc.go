// Package events writes Events about ManagementPlanes: at once, or beside the decisions, which never wait for one,
// through a bounded queue whose overflow is dropped and counted. A repeat is the series of the Event that is there
// already.
// It must not know what is decided.
//
// client-go has recorders, which do not serve. That of tools/events takes two Events for one that differ in their
// note alone, and the note says who was denied. That of tools/record drops what comes too often. Neither says what
// was written, which the metric and the auditor's conditions need, nor writes what still waits when the process ends.
package events
