// Package plan holds the words of a migration: what to read, the facts made of it, steps, claims, and the dialect that decides.
// A plan is the dialect's Next, unfolded on predicted facts; it is a value, and so is everything in it.
// It must not know a product's field names, a client, a clock, the environment or randomness.
package plan
