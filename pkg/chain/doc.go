// Package chain reads certificates as PEM, and judges whether a CA verifies them.
// It must not know whose certificates they are, nor the clock: it is told at which time to judge.
package chain
