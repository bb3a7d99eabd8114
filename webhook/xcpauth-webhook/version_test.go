package main

import (
	"runtime/debug"
	"testing"
)

func TestTheVersionIsTheReleasesOrTheModules(t *testing.T) {
	module := func(version string) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}}
	}
	for _, c := range []struct {
		linked string
		info   *debug.BuildInfo
		want   string
	}{
		{"v1.2.3", module("(devel)"), "v1.2.3"},
		{"v1.2.3", module("v9.9.9"), "v1.2.3"},
		{unreleased, module("v1.2.3"), "v1.2.3"}, // go install …@v1.2.3
		{unreleased, module("(devel)"), unreleased},
		{unreleased, module(""), unreleased},
		{unreleased, nil, unreleased},
	} {
		if got := versionOf(c.linked, c.info); got != c.want {
			t.Errorf("linked %s, built as %+v: got %s, want %s", c.linked, c.info, got, c.want)
		}
	}
}
