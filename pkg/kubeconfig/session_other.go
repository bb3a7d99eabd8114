//go:build !unix

package fleet

import "os/exec"

// separate is for systems with sessions.
func separate(*exec.Cmd) {}
