// Package plan holds the types of a migration: what to read, the State made of it, Steps with their Writes and
// Conditions, and the Provider, which is one product. Build makes a Plan: it asks the provider's Next again and
// again, on the state that was read and then on the predicted ones. A plan is a value, and so is everything in it.
// The package must not know a product's field names, a client, a clock, the environment or randomness.
package plan
