// Package deploy puts the objects of a manifest into one cluster, waits until what they run is ready, and takes them
// out again. It must not decide what the objects are.
package deploy
