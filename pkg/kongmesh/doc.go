// Package kongmesh is the face of Kong Mesh, and of Kuma, on which it is built: its name and its providers. Its rooms
// hold the rest: zonetoken knows the formats, state reads, migration decides, inspect looks at more for check. A room
// may import the ones before it alone. All of it is pure: no client, clock, environment or randomness.
package kongmesh
