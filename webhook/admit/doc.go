// Package admit carries an admission review to webhook/verdict and the answer back: bound, decode, read the inventory
// within the API server's deadline, answer, count, log one line. It never admits what it cannot read, and never logs
// an object. It must not decide anything.
package admit
