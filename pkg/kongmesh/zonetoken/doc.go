// Package zonetoken holds the formats and algorithms of zone tokens, signing keys and revocations as Kong Mesh and
// Kuma have them, with their laxness. It says of a token whether a global control plane would accept it, and issues
// one. What the product's sources leave open is said with every verdict that depends on it. It must not know how
// objects are read, a client, a clock or the environment.
package zonetoken
