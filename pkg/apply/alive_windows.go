package apply

import "os"

// alive says whether a process of this machine runs: only one that does can be opened.
func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err != nil {
		return false
	}
	p.Release()
	return true
}
