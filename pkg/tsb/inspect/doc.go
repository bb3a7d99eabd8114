// Package inspect is what only check asks of Tetrate Service Bridge: it reads certificates, tokens, versions and odd
// fields, and has the rules about them. It must not know a client, a clock, the environment or randomness.
package inspect
