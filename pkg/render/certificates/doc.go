// Package certificates is the reports about Central's certificate, which only Tetrate Service Bridge has. It must not
// know a client or a clock.
package certificates
