package render

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	testgolden "github.com/xcpauth/kubectl-xcpauth/test/golden"
)

var noon = time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)

// golden holds text against a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	testgolden.Check(t, filepath.Join("testdata", name+".golden"), got)
}

// narrow fails when a line is wider than a terminal of 80 columns.
func narrow(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("a line of %d columns: %s", n, line)
		}
	}
}

// laid is the report as a table.
func laid(r Report, wide bool) string {
	var b bytes.Buffer
	r.Table(&b, wide)
	return b.String()
}

// alike fails unless JSON and YAML of a report say the same, and returns what they say.
func alike(t *testing.T, r Report) map[string]any {
	t.Helper()
	var inJSON, inYAML bytes.Buffer
	if err := Print(&inJSON, Format{Name: "json"}, r); err != nil {
		t.Fatal(err)
	}
	if err := Print(&inYAML, Format{Name: "yaml"}, r); err != nil {
		t.Fatal(err)
	}
	var a, b map[string]any
	if err := json.Unmarshal(inJSON.Bytes(), &a); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(inYAML.Bytes(), &b); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(a, b) {
		t.Errorf("JSON and YAML differ:\n%s\n%s", inJSON.String(), inYAML.String())
	}
	return a
}
