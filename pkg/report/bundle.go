package report

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/redact"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
)

// About says by what a bundle was made.
type About struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	At         time.Time         `json:"at"`
	By         string            `json:"by"`
	Version    string            `json:"version"`
	Commit     string            `json:"commit"`
	Date       string            `json:"date"`
	GoVersion  string            `json:"goVersion"`
	Platform   string            `json:"platform"`
	Product    string            `json:"product"`        // what the fleet is of, with its version
	Flags      map[string]string `json:"flags"`          // those that were given
	Note       string            `json:"note,omitempty"` // what became of secrets
}

// File is a file of a bundle.
type File struct {
	Name, What string
	Text       []byte
}

// Bundle is what support asks for: the reports as JSON, and by what they were made. What is a secret by its form is
// masked in each text.
func (m Model) Bundle(about About) ([]File, error) {
	about.APIVersion, about.Kind, about.At, about.By, about.Product = render.APIVersion, "About", m.At, m.By, m.product()
	about.Note = "values of secrets are never read into a report; what looks like a secret by its form reads " +
		redact.Hidden
	for name, value := range about.Flags {
		about.Flags[name] = redact.Text(value)
	}
	var files []File
	for _, f := range []struct {
		name, what string
		value      any
	}{
		{"about.json", "the version of the plugin, the flags, and who made it", about},
		{"status.json", "each member and its state", m.Status},
		{"plan.json", "what is left to do, with diffs", m.Plan},
		{"check.json", "the findings of check", m.Check},
		{"history.json", "the waves that were carried out", m.History},
	} {
		text, err := masked(f.value)
		if err != nil {
			return nil, fmt.Errorf("encoding %s: %w", f.name, err)
		}
		files = append(files, File{f.name, f.what, text})
	}
	return files, nil
}

// masked is a value as JSON, without secrets in its texts.
func masked(value any) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.UseNumber()
	var tree any
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	err = e.Encode(mask(tree))
	return b.Bytes(), err
}

// mask masks the texts of a JSON value.
func mask(v any) any {
	switch v := v.(type) {
	case string:
		return redact.Secrets(v)
	case []any:
		for i := range v {
			v[i] = mask(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = mask(v[k])
		}
	}
	return v
}

// Archive writes files as a tar.gz, in a folder of its own. The same files at the same time are the same bytes.
func Archive(w io.Writer, at time.Time, files []File) error {
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range files {
		head := &tar.Header{Typeflag: tar.TypeReg, Name: "xcpauth-report/" + f.Name, Mode: 0o600, Size: int64(len(f.Text)),
			ModTime: at}
		if err := t.WriteHeader(head); err != nil {
			return err
		}
		if _, err := t.Write(f.Text); err != nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	return z.Close()
}
