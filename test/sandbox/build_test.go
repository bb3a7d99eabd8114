package sandbox_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/sandbox"
)

// A command is linked once for all tests of a process whose times overlap, whichever of them ends first.
func TestACommandIsBuiltAgainOnlyWhenNoneIsLeft(t *testing.T) {
	dir := t.TempDir()
	build := func(name string) os.FileInfo {
		t.Helper()
		to := filepath.Join(dir, name)
		if err := sandbox.Build(t.Context(), "./manifests/chart", to); err != nil {
			t.Fatal(err)
		}
		file, err := os.Stat(to)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	remove := func(name string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := build("first"), build("second")
	remove("first")
	third := build("third")
	if !os.SameFile(first, second) || !os.SameFile(second, third) {
		t.Error("it was built again while one was there")
	}
	remove("second")
	remove("third")
	if again := build("again"); again.Size() != first.Size() {
		t.Errorf("it has %d bytes when it is built again, and had %d", again.Size(), first.Size())
	}
}
