package webhooknode

import "syscall"

// dieWithParent lets the process die with the thread that started it. The group of its own keeps a terminal's Ctrl-C
// from it.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
