// Package state says what to read of Kong Mesh and makes a plan.State of what was read: the global control plane, the
// zones, their sessions, and the tokens and keys of both.
// Reading is strict: what is unclear is unknown.
// It must not know goals or steps, nor a client, a clock, the environment or randomness.
package state
