// Package report makes one document of what is known of a fleet: its state, what was done, what is left to do, and what
// check finds. The document is a value, a Model, and each format prints the same facts from it. The package is pure: it
// must not know any product, client, file or clock.
package report
