// Package sandbox starts a whole small fleet: a hub and edges on real API servers, the product's stand-in, the plugin
// on PATH. The demo, `make sandbox` and the end-to-end tests all start it; nothing in it is specific to one of them.
// It must not know how the plugin decides: it only runs it, as kubectl does.
package sandbox
