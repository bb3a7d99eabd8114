package main

import (
	"bytes"
	"fmt"
	"text/template"
)

// manifest is what krew/xcpauth.yaml.tmpl is filled with.
type manifest struct {
	Version           string
	CompletionCommand string
	Platforms         []entry
}

// entry describes one archive.
type entry struct{ OS, Arch, URI, SHA256, Bin string }

// render fills the template. A name that the template has and manifest lacks is an error.
func (m manifest) render(text string) ([]byte, error) {
	t, err := template.New("xcpauth.yaml.tmpl").Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest's template: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, m); err != nil {
		return nil, fmt.Errorf("rendering the manifest: %w", err)
	}
	return b.Bytes(), nil
}
