package main

import (
	"os"

	"golang.org/x/sys/windows"
)

// drawable says whether a console understands control sequences, having asked it to (Windows 10 and newer do).
func drawable(f *os.File) bool {
	var mode uint32
	h := windows.Handle(f.Fd())
	return windows.GetConsoleMode(h, &mode) == nil && windows.SetConsoleMode(h,
		mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING) == nil
}
