// Package rollout is how a change reaches many members: phases in order, one canary first, then waves of a size. Both
// products plan with it.
// It must not know a product, a client, a clock, the environment or randomness.
package rollout
