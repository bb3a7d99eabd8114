// Package issuer makes what zones of Kong Mesh authenticate with, at the moment when it is written: signing keys, and tokens that are signed
// with the global's own key. The format is pkg/kongmesh's.
// It must not know steps or a terminal, and lets nothing secret out but into the object that is to hold it.
package issuer
