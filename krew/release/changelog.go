package main

import (
	"fmt"
	"strings"
)

// notesOf is the section that a changelog, in the form of keepachangelog.com, has for a version. A version that is no
// release yet has what is unreleased; a release must have a section of its own.
func notesOf(changelog, version string) (string, error) {
	number := strings.TrimPrefix(version, "v")
	if notes, ok := sectionOf(changelog, number); ok {
		return notes, nil
	}
	if strings.Contains(number, "-") {
		if notes, ok := sectionOf(changelog, "Unreleased"); ok {
			return notes, nil
		}
	}
	return "", fmt.Errorf("CHANGELOG.md says nothing of %s; write a section \"## [%s] - YYYY-MM-DD\" and tag again",
		version, number)
}

// sectionOf is the text below the heading of a version, without blank lines around it. An empty one counts as none.
func sectionOf(changelog, name string) (string, bool) {
	var lines []string
	inside := false
	for line := range strings.Lines(changelog) {
		switch {
		case strings.HasPrefix(line, "## "):
			inside = strings.HasPrefix(line, "## ["+name+"]")
		case inside && !isLinkDefinition(line):
			lines = append(lines, line)
		}
	}
	notes := strings.TrimSpace(strings.Join(lines, ""))
	return notes, notes != ""
}

// isLinkDefinition tells the lines at the end of a changelog that say where its headings lead.
func isLinkDefinition(line string) bool {
	return strings.HasPrefix(line, "[") && strings.Contains(line, "]: ")
}
