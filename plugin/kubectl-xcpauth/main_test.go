package main

import (
	"os"
	"testing"
)

// asPlugin has the test binary be the plugin, for scripts that run it.
const asPlugin = "XCPAUTH_TEST_AS_PLUGIN"

// TestMain runs the tests without what the environment of their user says, and without leaving anything there. A test
// that interrupts this process, or has short limits, is not parallel: it would end the others, or they it.
func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		main()
	}
	cache, err := os.MkdirTemp("", "xcpauth-test-cache-")
	if err != nil {
		panic(err)
	}
	os.Setenv("XDG_CACHE_HOME", cache)
	os.Unsetenv(fleetVariable)
	code := m.Run()
	os.RemoveAll(cache)
	os.Exit(code)
}
