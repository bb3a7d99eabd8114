//go:build !windows

package supply

import (
	"fmt"
	"io/fs"
)

// private refuses a file with secrets that others may read.
func private(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s may be read or written by others (mode %04o), and it holds secrets; run: chmod 600 %q", path,
			info.Mode().Perm(), path)
	}
	return nil
}
