//go:build unix

package kubeconfig

import (
	"os/exec"
	"syscall"
)

// separate gives a command a session of its own: it has no terminal to take, and ends with all that it started.
func separate(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}
