//go:build !linux

package apart

import "syscall"

// attributes are of no use here: the clusters need Linux too.
func (Own) attributes() *syscall.SysProcAttr { return nil }
