// Package apply is the clusters of a kubeconfig, as a run needs them: Live reads and writes objects, keeps the journal
// and holds the lock. It also sends a plan as a dry run.
//
// A write carries the UID and the resourceVersion of what was read, and is not sent where the object says something
// else by now, or where something else keeps it as it is. A secret that is replaced or deleted has a copy first.
//
// It must not decide what is written: that comes with the call.
package apply
