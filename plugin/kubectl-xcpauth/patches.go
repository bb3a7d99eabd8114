package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/xcpauth/kubectl-xcpauth/pkg/gitops"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// writePatches writes what Git must say into the directory of --patches. Files of before would be taken for those of
// now, so the directory must be empty, or not there.
func (o *planOptions) writePatches(d plan.Provider, f plan.State, goal plan.Goal) error {
	if o.patches == "" || !f.Hub.Found && !o.noHub {
		return nil
	}
	if there, err := os.ReadDir(o.patches); err == nil && len(there) > 0 {
		return fmt.Errorf("--patches: directory %s is not empty; name another, or empty it", o.patches)
	}
	unowned := gitops.Unowned(f)
	p := plan.Build(d, unowned, goal)
	files, err := gitops.Files(f, p, o.goingOn(p.Goal))
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		path := filepath.Join(o.patches, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if err == nil {
			err = os.WriteFile(path, files[name], 0o644)
		}
		if err != nil {
			return fmt.Errorf("writing the patches: %w", err)
		}
	}
	fmt.Fprintf(o.ErrOut, "wrote %d files into %s; begin with INDEX.md\n", len(files), o.patches)
	return nil
}
