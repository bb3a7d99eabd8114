// Package inspect extends the provider of Tetrate Service Bridge by what only check reads: certificates, tokens,
// versions and odd fields. It reports what it found and judges nothing: the rules in pkg/check do. It must not know a
// client, a clock, the environment or randomness.
package inspect
