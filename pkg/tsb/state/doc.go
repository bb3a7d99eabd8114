// Package state says what to read of Tetrate Service Bridge and makes a plan.State of what was read.
// Reading is strict: what is unclear is unknown.
// It must not know goals or steps, nor a client, a clock, the environment or randomness.
package state
