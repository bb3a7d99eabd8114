//go:build !linux && !darwin

package apply

import "errors"

// machine is not known here, so that a lock is never taken from a process that is thought to be dead before it runs
// out.
func machine() (string, error) { return "", errors.ErrUnsupported }
