// Package engine is the run: observe, ask what is next, write, verify, else undo, until nothing is left. What is about
// to be changed is in a journal before the first write of a wave.
//
// Executor holds no client: it asks Clusters for everything that it reads and writes, so that the models can put a
// simulated fleet in their place and kill a run at any write. Journal and Outcome are its values.
//
// It must not know a product: what to do, what verifies it and what undoes it comes from the provider.
package engine
