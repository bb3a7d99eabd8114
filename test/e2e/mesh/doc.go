// Package mesh is the end-to-end tests of zones: the real plugin, run by the real kubectl, on the real API servers of a global control plane
// and its zones, whose pods a stand-in plays. The promise is the oracle of every test: no authentication is refused that a test did not
// ask for. It must not know how the plugin decides.
package mesh
