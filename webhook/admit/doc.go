// Package admit carries an admission review to webhook/verdict and the answer back: decode, read the inventory within the
// API server's deadline, answer, count, log one line. It never answers with an HTTP error, and never logs an object.
// It must not decide anything.
package admit
