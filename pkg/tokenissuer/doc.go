// Package tokenissuer gets what zones of Kong Mesh authenticate with, at the moment when it is written: signing keys,
// made here, and tokens, from the global's own API or signed with its key. The format is pkg/kongmesh's. It must not
// know steps or a terminal, and lets nothing secret out but into the object that is to hold it.
package tokenissuer
