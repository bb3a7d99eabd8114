// Package schema makes the JSON Schema of each report from its Go types, and holds docs/schema to it. It must not be
// linked by a program.
package schema
