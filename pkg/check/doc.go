// Package check finds what is wrong or will be, before a migration and at any other time: rules with stable IDs over
// the same facts. A rule is a pure function from facts to findings, each with what was seen and what to do. What only
// one product knows (which object, which field, which command fixes it) comes with the facts, so that the rules are
// the same for every product. What a product finds by rules of its own comes with the facts too; those rules are the
// product's, and not named here.
package check
