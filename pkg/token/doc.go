// Package token reads JSON Web Tokens as they lie in a cluster: when they expire, which key signed them, what is
// wrong with them. Inspecting never verifies a signature and says so; nothing it returns can be used as a credential.
// It must not know a product, a client or a clock.
package token
