package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// likeKubectl tries the same on the real kubectl and on the plugin, side by side: both succeed or both fail, both print
// a result or none, and both say what they must. It prints the table.
func (f fleet) likeKubectl(t *testing.T) {
	t.Helper()
	var table strings.Builder
	for _, tc := range []struct {
		name           string
		kubectl, ours  string // arguments, of which none has a space
		result, errors string // parts of what both print on stdout and on stderr
		fails          bool
	}{
		{"a field", "get ns tsb -o jsonpath={.kind}", "status -o jsonpath={.kind}", "", "", false},
		{"a field that is not there", "get ns tsb -o jsonpath={.nothing}", "status -o jsonpath={.nothing}", "", "",
			false},
		{"a template that is none", "get ns tsb -o jsonpath={.a", "status -o jsonpath={.a", "", "error: ", true},
		{"a Go template", "get ns tsb -o go-template={{.apiVersion}}", "status -o go-template={{.apiVersion}}", "v1", "",
			false},
		{"columns", "get ns tsb -o custom-columns=NAME:.kind", "status -o custom-columns=NAME:.kind", "NAME", "", false},
		{"columns without headings", "get ns tsb --no-headers -o custom-columns=NAME:.none",
			"status --no-headers -o custom-columns=NAME:.none", "<none>", "", false},
		{"names", "get ns tsb -o name", "status edge-1 -o name", "/", "", false},
		{"a format that is none", "get ns tsb -o nonsense", "status -o nonsense", "", "nonsense", true},
		{"as somebody", "get secrets -n tsb --as=nobody", "status --as=nobody", "", "", true},
		{"as somebody of a group", "auth whoami --as=nobody --as-group=system:masters",
			"status --as=nobody --as-group=system:masters", "", "", false},
		{"requests in the log", "get ns tsb -v=6", "status -v=6", "", `verb="GET"`, false},
		{"headers in the log", "get ns tsb -v=7", "status -v=7", "", "User-Agent: ", false},
		{"a flag that is none", "get ns tsb --nonsense", "status --nonsense", "", "unknown flag: --nonsense", true},
		{"a kubeconfig that is not there", "get ns --kubeconfig=/none", "status --kubeconfig=/none", "", "/none", true},
		{"a context that is not there", "get ns --context=none", "status --context=none", "", "none", true},
	} {
		theirs := f.Kubectl(t.Context(), append([]string{"--context=hub"}, strings.Fields(tc.kubectl)...)...)
		if strings.Contains(tc.kubectl, "--context=") {
			theirs = f.Kubectl(t.Context(), strings.Fields(tc.kubectl)...)
		}
		ours := f.Kubectl(t.Context(), append([]string{"xcpauth"}, strings.Fields(tc.ours)...)...)
		fmt.Fprintf(&table, "%-32s kubectl: %d %.30q %.60q\n%-32s xcpauth: %d %.30q %.60q\n", tc.name, theirs.Code,
			theirs.Stdout, theirs.Stderr, "", ours.Code, ours.Stdout, ours.Stderr)
		for who, r := range map[string]struct {
			code        int
			out, errors string
		}{"kubectl": {theirs.Code, theirs.Stdout, theirs.Stderr}, "xcpauth": {ours.Code, ours.Stdout, ours.Stderr}} {
			if (r.code != 0) != tc.fails || !strings.Contains(r.out, tc.result) || !strings.Contains(r.errors, tc.errors) {
				t.Errorf("%s: %s ends with %d, prints %q and says %q", tc.name, who, r.code, r.out, r.errors)
			}
			if tc.errors == "" && !tc.fails && r.errors != "" {
				t.Errorf("%s: %s says %q", tc.name, who, r.errors)
			}
		}
	}
	t.Logf("the same on both:\n%s", table.String())
}
