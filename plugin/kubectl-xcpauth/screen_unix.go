//go:build !windows

package main

import "os"

// drawable says whether a terminal understands control sequences.
func drawable(*os.File) bool { return true }
