// Package pki reads certificates and CA bundles as the products' own readers do, and judges whether a CA verifies a
// certificate. It must not know whose certificates they are, nor the clock: it is told at which time to judge.
package pki
