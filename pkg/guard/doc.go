// Package guard holds the one rule: a hub may stop accepting a credential only when every member is known not to
// present it. The planner, the executor and the admission webhook all ask Withdraw; nothing else decides it. It knows
// no product, no client, no clock, no environment: everything it needs is in its arguments.
package guard
