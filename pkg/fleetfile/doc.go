// Package fleetfile reads the file that says which clusters a fleet is, and in what waves it is changed. It knows the
// flags that its keys stand for by name alone, opens no file and reaches no cluster.
package fleetfile
