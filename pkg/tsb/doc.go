// Package tsb is the face of Tetrate Service Bridge: its name and its providers. Its rooms hold the rest:
// state reads, migration decides, inspect looks at more for check. A room may import the ones before it alone.
// Only code below this directory knows the product's kinds, fields and secrets. All of it is pure: no client, clock,
// environment or randomness.
package tsb
