// Package execute carries out a migration: observe, ask what is next, write, prove, else put back, until nothing is left.
// What is about to be changed is written down in the hub before the first write of a wave (the journal inside this package).
// It must not know a product: what to do, what proves it and what undoes it comes from the dialect.
package execute
