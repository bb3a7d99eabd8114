package main

import (
	"os"
	"testing"
)

// TestMain runs the tests without what the environment of their user says, and without leaving anything there.
func TestMain(m *testing.M) {
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
