package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/test/golden"
)

const madeBy = "<!-- This page is made from the programs by: make docs -->\n\n"

// metric is a metric as its declaration has it.
type metric struct {
	name, kind, help string
	labels           []string
}

// docs/reference/metrics.md has every metric of the webhook and of the auditor. With -update it is written.
func TestTheMetricsInDocsAreThoseOfThePrograms(t *testing.T) {
	var all []metric
	eachGoFile(t, "webhook", func(_ string, file *ast.File) { all = append(all, metricsOf(file)...) })
	slices.SortFunc(all, func(a, b metric) int { return strings.Compare(a.name, b.name) })
	if len(all) < 15 {
		t.Errorf("only %d metrics were found", len(all))
	}
	var b strings.Builder
	b.WriteString("# Metrics\n\n" + madeBy + "The webhook and the auditor serve these at port 8080, `/metrics`. " +
		"[Monitoring](../monitoring.md) has the alerts.\n\n| metric | type | labels | what it is |\n|---|---|---|---|\n")
	for _, m := range all {
		labels := ""
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.name, m.kind, labels, m.help)
	}
	golden.Check(t, filepath.Join(root, "docs", "reference", "metrics.md"), b.String())
}

// eachGoFile parses each Go file below a directory that is no test.
func eachGoFile(t *testing.T, dir string, look func(name string, file *ast.File)) {
	t.Helper()
	eachFile(t, func(name string) {
		if !strings.HasPrefix(name, dir+"/") || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		look(name, file)
	})
}

// metricsOf are the metrics that a file declares: prometheus.NewXVec(prometheus.XOpts{...}, labels).
func metricsOf(file *ast.File) []metric {
	var all []metric
	ast.Inspect(file, func(n ast.Node) bool {
		call, is := n.(*ast.CallExpr)
		if !is || len(call.Args) == 0 {
			return true
		}
		options, is := call.Args[0].(*ast.CompositeLit)
		if !is {
			return true
		}
		of, is := options.Type.(*ast.SelectorExpr)
		if !is || !strings.HasSuffix(of.Sel.Name, "Opts") {
			return true
		}
		m := metric{kind: strings.ToLower(strings.TrimSuffix(of.Sel.Name, "Opts"))}
		for _, element := range options.Elts {
			pair := element.(*ast.KeyValueExpr)
			switch pair.Key.(*ast.Ident).Name {
			case "Name":
				m.name = literal(pair.Value)
			case "Help":
				m.help = literal(pair.Value)
			}
		}
		if len(call.Args) > 1 {
			if labels, is := call.Args[1].(*ast.CompositeLit); is {
				for _, label := range labels.Elts {
					m.labels = append(m.labels, literal(label))
				}
			}
		}
		if m.name != "" {
			all = append(all, m)
		}
		return true
	})
	return all
}

// literal is the value of a text, in one part or several; "" for what is none.
func literal(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.BasicLit:
		if text, err := strconv.Unquote(e.Value); err == nil {
			return text
		}
	case *ast.BinaryExpr:
		return literal(e.X) + literal(e.Y)
	}
	return ""
}
