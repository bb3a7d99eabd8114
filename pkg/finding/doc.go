// Package finding holds what is found wrong, and the rule that says so: one kind for a token, a key, a setting and a
// whole fleet. A finding is made from its rule, so that none is without one. The package knows no product and imports
// nothing of ours.
package finding
