package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/cli-runtime/pkg/genericiooptions"

	testgolden "github.com/xcpauth/kubectl-xcpauth/test/golden"
)

const reference = "../../docs/reference/"

const madeBy = "<!-- This page is made from the program by: make docs -->\n\n"

// docs/reference/commands.md is the help of every command. With -update it is written.
func TestTheCommandsInDocsAreThoseOfTheProgram(t *testing.T) {
	root := newRootCommand(newFleetOptions(genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard,
		ErrOut: io.Discard}))
	var index, sections strings.Builder
	var each func(*cobra.Command)
	each = func(cmd *cobra.Command) {
		if cmd.HasParent() {
			fmt.Fprintf(&index, "- [%s](#%s): %s\n", cmd.CommandPath(), strings.ReplaceAll(cmd.CommandPath(), " ", "-"),
				escaped(cmd.Short))
			describe(&sections, cmd)
		}
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				each(sub)
			}
		}
	}
	each(root)
	testgolden.Check(t, reference+"commands.md", "# Commands\n\n"+madeBy+
		"Flags come after the plugin's name. Every command also takes the "+
		"[flags of every command](#flags-of-every-command).\n\n"+
		index.String()+sections.String()+"\n## Flags of every command\n"+flagTable("", root.PersistentFlags()))
}

// describe writes what the help of a command says.
func describe(b *strings.Builder, cmd *cobra.Command) {
	fmt.Fprintf(b, "\n## %s\n", cmd.CommandPath())
	text := cmd.Long
	if text == "" {
		text = cmd.Short + "."
	}
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(paragraph, " ") {
			paragraph = "```\n" + paragraph + "\n```"
		} else {
			paragraph = escaped(paragraph)
		}
		fmt.Fprintf(b, "\n%s\n", paragraph)
	}
	if !cmd.HasAvailableSubCommands() || cmd.Annotations[runsKey] != "" {
		fmt.Fprintf(b, "\n```sh\n%s\n```\n", cmd.UseLine())
	}
	if cmd.HasExample() {
		example := strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n")
		fmt.Fprintf(b, "\nExamples:\n\n```sh\n%s\n```\n", example)
	}
	for _, group := range flagGroups {
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if strings.Join(f.Annotations[groupKey], "") == group.name && f.Name != "help" {
				set.AddFlag(f)
			}
		})
		b.WriteString(flagTable(group.title, set))
	}
}

// flagTable is a table of the flags that help lists, "" when there is none.
func flagTable(title string, flags *pflag.FlagSet) string {
	var b strings.Builder
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind != "" {
			name += " " + kind
		}
		standard := ""
		if !strings.Contains("|false|0|0s|[]|", "|"+f.DefValue+"|") && f.DefValue != "" {
			standard = "`" + f.DefValue + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, standard, escaped(usage))
	})
	if b.Len() == 0 {
		return ""
	}
	if title != "" {
		title = "\n" + title + "\n"
	}
	return title + "\n| flag | default | meaning |\n|---|---|---|\n" + b.String()
}

// escaped is text as Markdown shows it as it is: no emphasis, no HTML, no end of a cell.
func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`, "]", `\]`).Replace(text)
}

// The runbook says by what flags a run is more careful, and what their defaults are.
func TestTheDefaultsOfTheRunbookAreThoseOfTheFlags(t *testing.T) {
	root := newRootCommand(newFleetOptions(genericiooptions.IOStreams{In: strings.NewReader(""), Out: io.Discard,
		ErrOut: io.Discard}))
	migrate, _, err := root.Find([]string{"migrate"})
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]string{"15 minutes": "15m0s", "3 hours": "3h0m0s", "0": "0", "all": "0", "the first by name": ""}
	runbook := ""
	for _, page := range pages(t) {
		if page.name == "docs/runbook-tsb.md" {
			runbook = page.text
		}
	}
	rows := regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| .* \\| (.+) \\|$").FindAllStringSubmatch(runbook, -1)
	for _, row := range rows {
		want, known := said[row[2]]
		f := flagFor(migrate, row[1])
		if f == nil || !known || strings.TrimSuffix(f.DefValue, "s") != strings.TrimSuffix(want, "s") {
			t.Errorf("the runbook says that --%s is %q by default; it is %+v", row[1], row[2], f)
		}
	}
	if len(rows) != 6 {
		t.Errorf("%d flags were found", len(rows))
	}
	runbook = strings.Join(strings.Fields(runbook), " ")
	for flag, says := range map[string]string{"fence-for": "40 seconds (`--fence-for`)",
		"central-quiet-for": "20 seconds (`--central-quiet-for`)",
		"member-timeout":    "`--member-timeout` (45 seconds)"} {
		if value := strings.TrimSuffix(flagFor(migrate, flag).DefValue, "s"); !strings.Contains(says, value+" seconds") ||
			!strings.Contains(runbook, says) {
			t.Errorf("--%s is %ss by default; the runbook does not say %q", flag, value, says)
		}
	}
}

// codes are the exit codes, and what the names of their constants mean to a user.
var codes = []struct{ constant, meaning string }{
	{"", "done, or nothing to do"},
	{"exitError", "error: no hub, bad flags, a kubeconfig that cannot be read"},
	{"exitPending", "changes are pending (`plan --detailed-exitcode` only)"},
	{"exitPartial", "partial: a member failed or is unreachable (`status` and `check` too), is not connected " +
		"(`status`), or is blocked while others moved or can (`plan`)"},
	{"exitRefused", "refused: nothing could be begun, an API server refused a dry run, it was not confirmed, or " +
		"`check` found something"},
	{"exitInterrupted", "interrupted; the state is consistent"},
}

// docs/reference/exit-codes.md has every exit code of the program, and no other. With -update it is written.
func TestTheExitCodesInDocsAreThoseOfTheProgram(t *testing.T) {
	values := exitCodes(t)
	values[""] = "0"
	var b strings.Builder
	b.WriteString("# Exit codes\n\n" + madeBy + "The same for every command and every output format.\n\n" +
		"| code | meaning |\n|---|---|\n")
	for _, c := range codes {
		if values[c.constant] == "" {
			t.Errorf("the program has no %s", c.constant)
		}
		fmt.Fprintf(&b, "| %s | %s |\n", values[c.constant], c.meaning)
		delete(values, c.constant)
	}
	for name := range values {
		t.Errorf("%s is not explained; add it to codes", name)
	}
	testgolden.Check(t, reference+"exit-codes.md", b.String())
}

// exitCodes are the constants of main.go whose names begin with exit, with their values.
func exitCodes(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, is := n.(*ast.ValueSpec)
		if is && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "exit") {
			if lit, is := spec.Values[0].(*ast.BasicLit); is {
				values[spec.Names[0].Name] = lit.Value
			}
		}
		return true
	})
	return values
}
