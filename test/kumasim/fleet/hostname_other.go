//go:build !linux

package fleet

import "syscall"

// ownHostname is of no use here: the clusters need Linux too.
func ownHostname() *syscall.SysProcAttr { return nil }
