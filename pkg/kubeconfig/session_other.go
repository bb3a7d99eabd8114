//go:build !unix

package kubeconfig

import "os/exec"

// separate is for systems with sessions.
func separate(*exec.Cmd) {}
