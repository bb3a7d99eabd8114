// Package kongmesh is the dialect of Kong Mesh, and of Kuma which it is built on: names, formats and algorithms of zone tokens, signing
// keys and revocations, as the product has them, its laxness included; and what a careful reader says to each.
// It must not know a client, a clock, the environment or randomness; what its sources leave open is said with every verdict that rests on it.
package kongmesh
