package lint

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// ofStep says whether a source is the one place of a kind of step: pkg/PRODUCT/migration/step_KIND.go.
func ofStep(name string) bool {
	dir, file := filepath.Split(name)
	return strings.HasSuffix(dir, "/migration/") && strings.HasPrefix(file, "step_") &&
		!strings.HasSuffix(file, "_test.go")
}

// stepKinds are the kinds of steps that a source makes.
func stepKinds(t *testing.T, name string, src []byte) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	ast.Inspect(f, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok || !isStep(lit.Type) {
			return true
		}
		for _, e := range lit.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok || kv.Key.(*ast.Ident).Name != "Kind" {
				continue
			}
			if text := literal(kv.Value); text != "" {
				kinds = append(kinds, text)
			}
		}
		return true
	})
	return kinds
}

func isStep(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == "plan" && s.Sel.Name == "Step"
}

func isKind(e ast.Expr) bool {
	s, ok := e.(*ast.SelectorExpr)
	return ok && s.Sel.Name == "Kind"
}

// literal is the text of a string literal, "" for anything else.
func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(l.Value)
	if err != nil {
		return ""
	}
	return text
}

// judgeSteps returns where a source outside of step_KIND.go makes a step or tells steps apart by their kind.
func judgeSteps(t *testing.T, name string, src []byte, kinds []string) []string {
	t.Helper()
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	report := func(n ast.Node, what string) {
		found = append(found, strconv.Itoa(files.Position(n.Pos()).Line)+": "+what)
	}
	const apart = "tells steps apart by their kind: let the step say what differs"
	named := func(e ast.Expr) bool { return slices.Contains(kinds, literal(e)) }
	isID := func(e ast.Expr) bool {
		kind, _, is := strings.Cut(literal(e), "/")
		return is && slices.Contains(kinds, kind)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			if isStep(n.Type) && len(n.Elts) > 0 {
				report(n, "makes a step: a file step_KIND.go does")
			}
		case *ast.BasicLit:
			if isID(n) {
				report(n, apart)
			}
		case *ast.BinaryExpr:
			if isKind(n.X) && named(n.Y) {
				report(n, apart)
			}
		case *ast.SwitchStmt:
			if isKind(n.Tag) && slices.ContainsFunc(n.Body.List, func(c ast.Stmt) bool {
				return slices.ContainsFunc(c.(*ast.CaseClause).List, named)
			}) {
				report(n, apart)
			}
		}
		return true
	})
	return found
}

// A kind of step is made in one file, and nothing else tells steps apart by it. So adding one touches its own file
// and the list of phases of its product.
func TestAKindOfStepIsNamedInItsOwnFileAlone(t *testing.T) {
	texts := map[string][]byte{}
	var kinds []string
	for _, name := range sources(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") ||
			!in([]string{"./pkg/...", "./plugin/...", "./webhook/..."}, "./"+filepath.Dir(name)) {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = src
		if ofStep(name) {
			kinds = append(kinds, stepKinds(t, name, src)...)
		}
	}
	slices.Sort(kinds)
	if kinds = slices.Compact(kinds); len(kinds) < 15 {
		t.Fatalf("only %d kinds of steps were found: %v", len(kinds), kinds)
	}
	for name, src := range texts {
		if ofStep(name) {
			continue
		}
		for _, x := range judgeSteps(t, name, src, kinds) {
			t.Errorf("%s:%s", name, x)
		}
	}
	for _, bad := range []string{`func f() { _ = plan.Step{Kind: "new"} }`,
		`func f(s plan.Step) bool { return s.Kind == "move" }`,
		`func f(id string) bool { return strings.HasPrefix(id, "move/") }`,
		`func f(s plan.Step) { switch s.Kind { case "close": } }`} {
		if src := bytes.Join([][]byte{[]byte("package x"), []byte(bad)}, []byte("\n")); len(judgeSteps(t, "x.go",
			src, kinds)) != 1 {
			t.Errorf("this is not refused: %s", bad)
		}
	}
}

// The rule is asked in one place for plans and runs, which knows whether a step is about the hub or about the
// standby, and in the webhook. Code that asks it elsewhere may ask it of the wrong hub.
func TestTheRuleIsAskedInItsPlacesAlone(t *testing.T) {
	asked := map[string]int{}
	for _, name := range sources(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test/") {
			continue
		}
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(src, []byte("guard.Withdraw(")); n > 0 {
			asked[filepath.Dir(name)] += n
		}
	}
	for dir := range asked {
		if dir != "pkg/plan" && dir != "webhook/verdict" {
			t.Errorf("%s asks guard.Withdraw itself; ask plan.State.Blockers", dir)
		}
	}
	if asked["pkg/plan"] != 1 || asked["webhook/verdict"] == 0 {
		t.Errorf("the rule is asked %v times", asked)
	}
}
