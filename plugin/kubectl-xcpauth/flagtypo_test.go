package main

import (
	"strings"
	"testing"
)

// A mistyped flag is told which one was meant, as a mistyped command is, and a flag that is like none is told nothing.
func TestAMistypedFlagIsToldWhichWasMeant(t *testing.T) {
	for args, want := range map[string]string{
		"migrate --dry-rum":             "unknown flag: --dry-rum; did you mean --dry-run?",
		"migrate --dry-rum=server":      "unknown flag: --dry-rum; did you mean --dry-run?",
		"migrate --dryrun=server":       "unknown flag: --dryrun; did you mean --dry-run?",
		"migrate --Wave-Size 3":         "unknown flag: --Wave-Size; did you mean --wave-size?",
		"status --contex hub":           "unknown flag: --contex; did you mean --context?",
		"status --contxets hub":         "unknown flag: --contxets; did you mean --contexts?",
		"token verify --key x":          "unknown flag: --key; did you mean --key-file?",
		"edge register eu --server-nam": "unknown flag: --server-nam",
		"plan --central-c x":            "unknown flag: --central-c; did you mean --central-ca?",
		"plan --rolback":                "unknown flag: --rolback; did you mean --rollback?",
		"status --frobnicate":           "unknown flag: --frobnicate",
		"status --namespac x":           "unknown flag: --namespac; did you mean --namespace?",
		"status -x":                     "unknown shorthand flag: 'x' in -x",
		"status --xy":                   "unknown flag: --xy",
	} {
		if r := xcpauth(t, "", strings.Fields(args)...); r.code != 1 || r.err != "error: "+want+"\n" || r.out != "" {
			t.Errorf("%s: exit code %d: %s%s", args, r.code, r.out, r.err)
		}
	}
}
