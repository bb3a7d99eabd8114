// Package tsb is the dialect of Tetrate Service Bridge: the only code that knows the product's kinds, fields and secrets.
// It says what to read, turns what was read into facts, and decides the next wave of a migration, all in pure functions.
// It must not know a client, a clock, the environment or randomness; reading is strict, and what is unclear is unknown.
package tsb
