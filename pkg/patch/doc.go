// Package patch compares an object with the values that a write names: Matches says whether it has them, Strategic
// makes the body of a patch of them, and Leaves lists their paths.
//
// It must not know a kind of object.
package patch
