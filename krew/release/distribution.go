package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// checksumsFile lists what a distribution holds, as sha256sum --check reads it.
const checksumsFile = "checksums.txt"

// distribution is the directory that a release is written to.
type distribution struct {
	dir  string
	sums strings.Builder
}

// newDistribution makes the directory and takes out of it what an earlier build wrote.
func newDistribution(dir string) (*distribution, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making %s: %w", dir, err)
	}
	for _, pattern := range []string{plugin.name + "_*", webhook.name + "_*", checksumsFile, imagesFile, "xcpauth.yaml",
		"install*.yaml", chartName + "-*.tgz"} {
		old, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, fmt.Errorf("looking into %s: %w", dir, err)
		}
		for _, file := range old {
			if err := os.Remove(file); err != nil {
				return nil, fmt.Errorf("clearing %s: %w", dir, err)
			}
		}
	}
	return &distribution{dir: dir}, nil
}

// write adds a file, and its checksum.
func (d *distribution) write(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(d.dir, name), content, 0o644); err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	fmt.Fprintf(&d.sums, "%s  %s\n", digest(content), name)
	return nil
}

// close writes the checksums.
func (d *distribution) close() error {
	if err := os.WriteFile(filepath.Join(d.dir, checksumsFile), []byte(d.sums.String()), 0o644); err != nil {
		return fmt.Errorf("writing the checksums: %w", err)
	}
	return nil
}
