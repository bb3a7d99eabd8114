// Package release builds the plugin as a release does and installs it with the real krew, as a user would, offline.
// It knows the release program's flags and krew's; it must not know what the plugin does.
// The krew that it installs with is pinned in the module test/release/krew.
package release
