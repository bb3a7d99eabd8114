package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/big"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// build names one build. Date is that of the commit, so that building later gives the same bytes.
type build struct {
	Version string // semantic version with v, as krew wants it
	Commit  string // full hash, or unknown
	Date    time.Time
}

// first is the version that snapshots lead up to while there is no tag.
const first = "v0.1.0"

// epoch dates a build without a commit: the oldest date that a zip archive can hold.
var epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// ldflags are the linker's flags: no symbol table, no debug information, and the build's name in package main.
func (b build) ldflags() string {
	return fmt.Sprintf("-s -w -X main.version=%s -X main.commit=%s -X main.date=%s", b.Version, b.Commit,
		b.Date.Format(time.RFC3339))
}

// name fills in what was not given by flags from git. Outside a repository the build is an unnamed snapshot, said so.
func name(root string, given build, date string, log io.Writer) (build, error) {
	found, err := fromGit(root)
	if err != nil {
		if given.Version == "" {
			fmt.Fprintf(log, "Nothing to name this build after (%v); pass -version to name it.\n", err)
		}
		found = build{Version: first + "-snapshot", Commit: "unknown", Date: epoch}
	}
	if given.Version == "" {
		given.Version = found.Version
	}
	if given.Commit == "" {
		given.Commit = found.Commit
	}
	given.Date = found.Date
	if date != "" {
		if given.Date, err = time.Parse(time.RFC3339, date); err != nil {
			return build{}, fmt.Errorf("-date is %q; pass a date such as 2026-01-31T00:00:00Z: %w", date, err)
		}
	}
	given.Date = given.Date.UTC()
	if !semver.MatchString(given.Version) {
		return build{}, fmt.Errorf("version %q is not a semantic version with v in front; pass one such as v0.1.0",
			given.Version)
	}
	if given.Date.Before(epoch) {
		return build{}, fmt.Errorf("date %s is before 1980, which a zip archive cannot hold; pass a later -date",
			given.Date.Format(time.RFC3339))
	}
	return given, nil
}

// fromGit asks git for the commit, its date, the tag that leads to it and whether tracked files differ from it.
func fromGit(root string) (build, error) {
	head, err := git(root, "log", "-1", "--format=%H %cI")
	if err != nil {
		return build{}, err
	}
	commit, when, _ := strings.Cut(head, " ")
	date, err := time.Parse(time.RFC3339, when)
	if err != nil {
		return build{}, fmt.Errorf("reading the commit's date: %w", err)
	}
	described, err := git(root, "describe", "--tags", "--always", "--long", "--abbrev=12", "--match", "v[0-9]*")
	if err != nil {
		return build{}, err
	}
	changed, err := git(root, "status", "--porcelain", "--untracked-files=no")
	if err != nil {
		return build{}, err
	}
	return build{Version: versionOf(described, changed != ""), Commit: commit, Date: date}, nil
}

// git runs one git command and returns what it printed, trimmed.
func git(root string, args ...string) (string, error) {
	var errs bytes.Buffer
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stderr = root, &errs
	out, err := cmd.Output()
	if err != nil {
		if said := strings.TrimSpace(errs.String()); said != "" {
			err = errors.New(said)
		}
		return "", fmt.Errorf("asking git %s: %w", args[0], err)
	}
	return strings.TrimSpace(string(out)), nil
}

// identifier is one part of a pre-release: a number without leading zeros, or something with a letter or hyphen in it.
const identifier = `(?:0|[1-9]\d*|\d*[A-Za-z-][0-9A-Za-z-]*)`

var (
	// semver is the grammar of https://semver.org with v, without build metadata, which is no good in a file's name.
	semver = regexp.MustCompile(`^v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-` + identifier + `(?:\.` +
		identifier + `)*)?$`)
	// long is what git describe --long prints where there is a tag: tag, commits since, abbreviated hash.
	long = regexp.MustCompile(`^(.+)-(\d+)-g([0-9a-f]+)$`)
)

// versionOf makes a semantic version of what git describe --long says. A tag on the commit is the version; after a
// tag it is a snapshot before the next one; without a usable tag one before the first. The hash keeps git's g in
// front: digits alone with a leading zero would not be a semantic version.
func versionOf(described string, dirty bool) string {
	version := ""
	if m := long.FindStringSubmatch(described); m == nil || !semver.MatchString(m[1]) {
		hash := described
		if m != nil {
			hash = m[3]
		}
		version = first + "-snapshot.g" + hash
	} else if m[2] == "0" {
		version = m[1]
	} else {
		version = next(m[1]) + "snapshot." + m[2] + ".g" + m[3]
	}
	switch {
	case !dirty:
		return version
	case strings.Contains(version, "-"):
		return version + ".dirty"
	}
	return next(version) + "snapshot.dirty" // the tag names other bytes
}

// next is what a version after the given one begins with: its pre-release goes on, a release leads to the next patch.
func next(version string) string {
	if strings.Contains(version, "-") {
		return version + "."
	}
	m := semver.FindStringSubmatch(version)
	patch, _ := new(big.Int).SetString(m[3], 10) // digits only, by the pattern
	return fmt.Sprintf("v%s.%s.%s-", m[1], m[2], patch.Add(patch, big.NewInt(1)))
}
