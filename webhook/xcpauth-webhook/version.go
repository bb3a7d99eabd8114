package main

import "runtime/debug"

// unreleased is the version of what no release built.
const unreleased = "devel"

// version is set by the linker when a release is built.
var version = unreleased

// versionOf is the version of this program: as the release says, else as go install has noted.
func versionOf(linked string, info *debug.BuildInfo) string {
	if linked != unreleased || info == nil || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return linked
	}
	return info.Main.Version
}

// builtVersion is the version of the program that runs.
func builtVersion() string {
	info, _ := debug.ReadBuildInfo() // nil where there is none
	return versionOf(version, info)
}
