package apply

import (
	"errors"
	"os"
)

// machine names the boot and the set of process IDs that this process belongs to: containers have one each, and may
// share a hostname.
func machine() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	pids, err2 := os.Readlink("/proc/self/ns/pid")
	return string(boot) + pids, errors.Join(err, err2)
}
