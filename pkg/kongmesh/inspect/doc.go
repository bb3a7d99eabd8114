// Package inspect extends the provider of Kong Mesh by what only check reads: served certificates, settings that have
// no effect, and tokens and keys that nobody uses. What it finds are the findings of a plan.Inspection. It must not
// know a client, a clock, the environment or randomness.
package inspect
