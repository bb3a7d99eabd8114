// Package migration decides what a fleet of Kong Mesh needs next. Read next.go first: it holds the procedure. A file
// step_KIND.go holds everything about one kind of step: its writes, its conditions, its effect on a predicted state and
// its way back.
// It must not know a client, a clock, the environment or randomness.
package migration
