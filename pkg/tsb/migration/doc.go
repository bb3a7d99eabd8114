// Package migration decides what a fleet of Tetrate Service Bridge needs next. Read next.go first: each procedure is a
// list of phases. A file step_KIND.go holds everything about one kind of step: when it is due, its writes, its
// conditions, its effect on a predicted state and its way back.
// It must not know a client, a clock, the environment or randomness.
package migration
