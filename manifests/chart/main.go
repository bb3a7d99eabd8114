// Command chart writes the templates of the Helm chart from the manifests that kustomize renders, so that both install
// the same. What a release decides (Chart.yaml), values, notes and helpers are written by hand. It runs at the root of
// the checkout (make generate).
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := write("."); err != nil {
		fmt.Fprintf(os.Stderr, "writing the chart: %v\n", err)
		os.Exit(1)
	}
}

// write replaces the templates that are made of manifests, and the files that go along.
func write(root string) error {
	var rendered [2]string
	for i, overlay := range []string{"self-signed", "cert-manager"} {
		text, err := os.ReadFile(filepath.Join(root, "manifests", "rendered", overlay+".yaml"))
		if err != nil {
			return fmt.Errorf("reading the manifest of overlay %s: %w", overlay, err)
		}
		rendered[i] = string(text)
	}
	files, err := templates(rendered[0], rendered[1])
	if err != nil {
		return err
	}
	for _, name := range []string{"rules.yaml", "scrape.yaml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(root, "manifests", "monitoring", name))
		if err != nil {
			return fmt.Errorf("reading what monitors: %w", err)
		}
		files[filepath.Join("files", name)] = string(text)
	}
	old, err := filepath.Glob(filepath.Join(root, "chart", "templates", "*.yaml"))
	if err != nil {
		return fmt.Errorf("looking for templates of before: %w", err)
	}
	for _, file := range old {
		if filepath.Base(file) == "monitoring.yaml" { // written by hand
			continue
		}
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("removing a template of before: %w", err)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, "chart", name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("writing a file of the chart: %w", err)
		}
	}
	return nil
}
