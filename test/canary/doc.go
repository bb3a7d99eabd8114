// Package canary finds secrets in text: every piece of a known secret, as it is or encoded, and whatever has the
// shape of one. The end-to-end tests give it the secrets of all clusters, and all that a run printed, wrote down or
// left in a cluster. It must not know where either comes from.
package canary
