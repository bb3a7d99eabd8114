package runs

import (
	"encoding/json"
	"fmt"

	"sigs.k8s.io/yaml"
)

// Rows are the members of a report by name: the context for one that holds no member.
type Rows map[string]map[string]any

// Rows decodes the members of a report in JSON, and fails the test when one is there twice.
func (r *Recorder) Rows(output string) Rows {
	r.Helper()
	return r.rows("JSON", output, json.Unmarshal)
}

// YAMLRows is Rows of a report in YAML.
func (r *Recorder) YAMLRows(output string) Rows {
	r.Helper()
	return r.rows("YAML", output, func(b []byte, v any) error { return yaml.Unmarshal(b, v) })
}

func (r *Recorder) rows(format, output string, decode func([]byte, any) error) Rows {
	r.Helper()
	var report struct {
		Members []map[string]any `json:"members"`
	}
	if err := decode([]byte(output), &report); err != nil {
		r.Fatalf("not %s: %v\n%s", format, err, output)
	}
	rows := Rows{}
	for _, m := range report.Members {
		name := fmt.Sprint(m["member"])
		if name == "-" {
			name = fmt.Sprint(m["context"])
		}
		if rows[name] != nil {
			r.Errorf("member %s has two rows", name)
		}
		rows[name] = m
	}
	return rows
}

// Is fails the test unless the row of a member has the value at the key.
func (r *Recorder) Is(rows Rows, member, key, want string) {
	r.Helper()
	row, ok := rows[member]
	if !ok {
		r.Errorf("no row for %s in %v", member, rows)
		return
	}
	if got := fmt.Sprint(row[key]); got != want {
		r.Errorf("%s of %s is %q, want %q (%v)", key, member, got, want, row)
	}
}
