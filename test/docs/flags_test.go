package docs

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/golden"
)

// usage is a flag as help prints it.
var usage = regexp.MustCompile(`(?m)^ +(--[a-z-]+(?: [a-z]+)?) {2,}(.*?)(?: \(default (.*)\))?$`)

// docs/reference/webhook-flags.md is what the webhook and the auditor print as their help. With -update it is written.
func TestTheFlagsOfTheWebhookInDocsAreThoseOfTheProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "xcpauth-webhook")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./webhook/xcpauth-webhook")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the webhook: %v\n%s", err, out)
	}
	var b strings.Builder
	b.WriteString("# Flags of the webhook and of the auditor\n\n" + madeBy + "Set them as arguments of the Deployments " +
		"`xcpauth-webhook` and `xcpauth-auditor`. [Webhook](../webhook.md) says what they are for.\n")
	for _, one := range []struct{ title, args string }{{"Webhook", "--help"}, {"Auditor", "auditor --help"}} {
		out, err := exec.CommandContext(t.Context(), program, strings.Fields(one.args)...).CombinedOutput()
		flags := usage.FindAllStringSubmatch(string(out), -1)
		if lines := strings.Count(string(out), "\n") - 1; err != nil || len(flags) != lines || lines < 5 {
			t.Fatalf("%s: %v: %d flags in %d lines\n%s", one.args, err, len(flags), lines, out)
		}
		fmt.Fprintf(&b, "\n## %s\n\n| flag | default | meaning |\n|---|---|---|\n", one.title)
		for _, f := range flags {
			standard := ""
			if f[3] != "" {
				standard = "`" + strings.Trim(f[3], `"`) + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f[1], standard, f[2])
		}
	}
	golden.Check(t, filepath.Join(root, "docs", "reference", "webhook-flags.md"), b.String())
}
