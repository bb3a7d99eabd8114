// Package render turns facts, plans and results into what people and programs read: one report value, printed as
// table, JSON or YAML. Every format carries the same facts; the table is the same value laid out for 80 columns. It
// decides nothing and must not know a client, a product's field names or the clock: ages are relative to the state.
package render
