// Package bench measures the built plugin over many clusters: a thousand API servers of one process, with objects as
// large as they are in life and the delay of a network, beside what one would write in a shell, and beside a bare
// HTTP client that does the same reads. Counts are asserted; times and sizes are printed, for they depend on the
// machine.
package bench
