package supply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/migration"
)

// maxFile is the longest file with secrets that is read.
const maxFile = 4 << 20

// ReadFile reads a file with secrets, which nobody else may read. flag is what names it.
func ReadFile(flag, path string) (plan.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return plan.Secret{}, fmt.Errorf("reading the file of --%s: %w", flag, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return plan.Secret{}, fmt.Errorf("reading the file of --%s: %w", flag, err)
	}
	if err := private(path, info); err != nil {
		return plan.Secret{}, fmt.Errorf("--%s: %w", flag, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return plan.Secret{}, fmt.Errorf("reading the file of --%s: %w", flag, err)
	case len(b) > maxFile:
		return plan.Secret{}, fmt.Errorf("the file of --%s, %s, is longer than %d bytes; is it the right one?",
			flag, path, maxFile)
	}
	return plan.NewSecret(b), nil
}

// Manifests is what another team provided: one file, or a directory with one for each edge.
type Manifests struct {
	// Handed is the manifests by the name of the edge; one file alone has none.
	Handed map[string]plan.Secret
	path   string
}

// ReadManifests reads the file, or of a directory the files whose names end in .yaml or .yml, each named after its
// edge.
func ReadManifests(path string) (*Manifests, error) {
	const flag = "secrets"
	m := &Manifests{Handed: map[string]plan.Secret{}, path: path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading what --%s names: %w", flag, err)
	}
	if !info.IsDir() {
		m.Handed[""], err = ReadFile(flag, path)
		return m, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the directory of --%s: %w", flag, err)
	}
	var errs []error
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		name := strings.TrimSuffix(e.Name(), ext)
		if e.IsDir() || name == "" || ext != ".yaml" && ext != ".yml" {
			continue
		}
		if _, twice := m.Handed[name]; twice {
			errs = append(errs, fmt.Errorf("--%s: there are both %s.yaml and %s.yml in %s; leave the right one", flag,
				name, name, path))
			continue
		}
		secret, err := ReadFile(flag, filepath.Join(path, e.Name()))
		if err != nil {
			errs = append(errs, err)
		}
		m.Handed[name] = secret
	}
	if len(m.Handed) == 0 {
		errs = append(errs, fmt.Errorf("--%s: no file in %s is named EDGE.yaml or EDGE.yml after an edge", flag, path))
	}
	return m, errors.Join(errs...)
}

// From implements apply.Supplier.
func (m *Manifests) From() string { return "the manifest " + m.path }

// Makes implements apply.Supplier: files may be read as often as one likes.
func (m *Manifests) Makes() bool { return false }

// Secrets implements apply.Supplier.
func (m *Manifests) Secrets(_ context.Context, s plan.Supply) ([]map[string]any, []string, error) {
	taken, err := migration.ManifestFor(m.Handed, s, time.Now())
	return taken.Secrets, leftAlone(taken.Ignored, m.From()), err
}

// leftAlone says what was not taken.
func leftAlone(ignored []string, from string) []string {
	if len(ignored) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("left alone of %s: %s", from, strings.Join(ignored, ", "))}
}
