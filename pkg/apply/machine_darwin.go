package apply

import "syscall"

// machine names the boot that this process belongs to.
func machine() (string, error) { return syscall.Sysctl("kern.bootsessionuuid") }
