package render

import (
	"fmt"
	"io"
)

// Version is what `kubectl xcpauth version` reports.
type Version struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Version    string `json:"version"` // v1.2.3
	Commit     string `json:"commit"`
	Date       string `json:"date"` // of the commit, RFC 3339
	GoVersion  string `json:"goVersion"`
	Platform   string `json:"platform"` // linux/amd64
}

func (v Version) String() string {
	return fmt.Sprintf("kubectl-xcpauth %s (commit %s, built %s, %s %s)", v.Version, v.Commit, v.Date, v.GoVersion,
		v.Platform)
}

// Table prints it in one line.
func (v Version) Table(w io.Writer, _ bool) { fmt.Fprintln(w, v) }
