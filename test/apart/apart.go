package apart

import "os/exec"

// Own is what a program does not share with the process that starts it.
type Own struct {
	Hostname  string // os.Hostname there
	Processes bool   // it is process 1, and sees none but its own
}

// Command is a program that runs apart, and dies with the thread that starts it. It takes Linux, and the programs sh
// and hostname.
func (o Own) Command(program string, args ...string) *exec.Cmd {
	cmd := exec.Command("/bin/sh", append([]string{"-c", `hostname "$0" && exec "$@"`, o.Hostname, program}, args...)...)
	cmd.SysProcAttr = o.attributes()
	return cmd
}
