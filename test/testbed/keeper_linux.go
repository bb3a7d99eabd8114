package testbed

import "syscall"

// dieWithParent lets a server die with the thread that started it, should somebody kill the keeper itself. The group of
// its own keeps signals meant for the keeper's group away from it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
