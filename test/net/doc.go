// Package net holds what status, plan and check say of fleets of both products as it is, so that code can move
// without changing that. The fleets are made by chance from a seed and kept as files, so that they outlive their
// generator. It must not know how anything is decided.
package net
