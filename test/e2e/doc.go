// Package e2e runs the built plugin, by the real kubectl, against real API servers and the product's stand-in.
// Each test says in its name what a user sees; the stand-in's record of refused dials is the oracle of the promise.
// It must not import anything of the plugin: it knows only what a user can see.
package e2e
