// Package runs is what both end-to-end suites share. The real kubectl runs the built plugin and is killed where a test
// wants that. What it printed is kept, so that a test finds any secret in it.
// It must not know the stand-ins, nor how the plugin decides.
package runs
