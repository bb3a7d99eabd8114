// Package supply gets members the credentials that they lack from outside: from tctl, or from manifests that another
// team provided. It reads files and runs the vendor's CLI; what to take of that, and whether it could be used,
// pkg/tsb says. It must not know clusters or steps, and puts nothing secret on a command line, into a message or into
// a file.
package supply
