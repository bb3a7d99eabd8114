package main

import (
	"strings"
	"testing"
)

// The two programs of the image have flags of their own, and refuse what would start neither.
func TestWhatTheFlagsOfEachProgramMaySay(t *testing.T) {
	for args, says := range map[string]string{
		"--version":                              "",
		"auditor --version":                      "",
		"--audit-interval=1m --version":          "", // of a Deployment of the version before
		"auditor --audit-interval=1m --version":  "",
		"auditor --audit-interval=0s":            "--audit-interval is 0s; it must be longer than 0",
		"auditor --max-in-flight=1":              "unknown flag: --max-in-flight",
		"auditor --central-metrics=maybe":        "--central-metrics=maybe: it is require or off",
		"--central-metrics=maybe":                "--central-metrics=maybe: it is require or off",
		"--max-in-flight=0":                      "--max-in-flight is 0; it must be at least 1",
		"--client-name=x":                        "--client-name needs --client-ca",
		"--call-timeout=31s":                     "--call-timeout is 31s; it must be from 1s to 30s",
		"audit":                                  `unexpected argument "audit"`,
		"auditor auditor":                        `unexpected argument "auditor"`,
		"--kubeconfig=/dev/null/x":               "configuring the client",
		"auditor --kubeconfig=/dev/null/x":       "configuring the client",
		"--namespace=a --kubeconfig=/dev/null/x": "configuring the client",
	} {
		err := run(strings.Fields(args))
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", args, err, says)
		}
	}
}
