package main

import (
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/test/apifake"
)

// What token rotate refuses before it changes anything, each with its exit code.
func TestWhatTokenRotateRefuses(t *testing.T) {
	jwt := newMint(t).token(t, time.Hour)
	eu := apifake.Start(append(apifake.Edge("eu"), apifake.Secret("istio-system", "xcp-edge-central-auth-token",
		map[string]string{"jwt": jwt}))...)
	kubeconfig := serve(t, map[string]*apifake.Server{"hub": apifake.Start(apifake.Hub("eu")...), "eu": eu}, nil)
	for name, tc := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nobody is named":         {nil, 1, "name the edges that are to get a new token, or pass --all"},
		"names and --all":         {[]string{"eu", "--all"}, 1, "name the edges that are to get a new token, or pass --all"},
		"a token":                 {[]string{jwt}, 1, "an edge is named by its name"},
		"no such edge":            {[]string{"mars"}, 5, `hub: no edge is called "mars"`},
		"it presents none":        {[]string{"eu", "-y"}, 5, "not known to present a JWT and nothing else"},
		"nobody presents one":     {[]string{"--all"}, 5, "no edge presents a JWT"},
		"nobody to plan for":      {[]string{"eu", "--dry-run"}, 5, "not known to present a JWT and nothing else"},
		"no time":                 {[]string{"eu", "--prove-within", "0s"}, 1, "it must be more than 0"},
		"a wave of less than all": {[]string{"eu", "--wave-size", "-1"}, 1, "--wave-size is -1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := xcpauth(t, kubeconfig, append([]string{"token", "rotate"}, tc.args...)...)
			if said := strings.Join(strings.Fields(r.out+r.err), " "); r.code != tc.code || !strings.Contains(said, tc.says) ||
				strings.Contains(said, jwt) {
				t.Errorf("exit code %d, want %d, and %q in\n%s%s", r.code, tc.code, tc.says, r.out, r.err)
			}
		})
	}
}
