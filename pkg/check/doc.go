// Package check finds what is wrong or will be, before a migration and at any other time: rules with stable IDs over a
// state. A rule is a pure function from a state to findings, each with what was found and what to do.
//
// It has the rules that hold for every product, and what products write theirs with. It must not know a product: each
// brings its own rules, or findings by rules of its own with the state.
package check
