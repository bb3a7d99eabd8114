package main

import (
	"strings"
	"testing"
)

func TestNotesAreTheSectionOfTheVersion(t *testing.T) {
	const changelog = `# Changelog

## [Unreleased]

### Added

- next

## [0.2.0] - 2026-02-01

- two

## [0.1.0] - 2026-01-01

### Fixed

- [one](https://example.com): 1

## [0.0.1] - 2025-01-01

[Unreleased]: https://example.com/compare
[0.2.0]: https://example.com/0.2.0
`
	for _, c := range []struct{ changelog, version, want string }{
		{changelog, "v0.2.0", "- two"},
		{changelog, "v0.1.0", "### Fixed\n\n- [one](https://example.com): 1"},
		{changelog, "v0.3.0-rc.1", "### Added\n\n- next"},
		{changelog, "v0.2.1-snapshot.4.gabc.dirty", "### Added\n\n- next"},
		{changelog, "v0.3.0", ""},       // a release without a section
		{changelog, "v0.0.1", ""},       // or with an empty one
		{"# Changelog", "v0.1.0-a", ""}, // nothing that is unreleased
	} {
		got, err := notesOf(c.changelog, c.version)
		if got != c.want || (err == nil) == (c.want == "") {
			t.Errorf("%s: got %q, %v, want %q", c.version, got, err, c.want)
		}
		if err != nil && !strings.Contains(err.Error(), c.version) {
			t.Errorf("%s: the error does not name it: %v", c.version, err)
		}
	}
}
