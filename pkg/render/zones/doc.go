// Package zones is the reports that only Kong Mesh and Kuma have: zone tokens, signing keys, revocations. It must not
// know a client or a clock.
package zones
