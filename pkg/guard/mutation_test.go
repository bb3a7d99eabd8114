package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// equivalent are the mutants that no test can tell from the rule, each with the reason.
var equivalent = map[string]string{}

// Every condition of guard.go that is flipped, dropped or swapped is noticed by a test of this package.
//
//  1. Parse guard.go and make the mutants, one change each.
//  2. Compile and run this package's tests against each, two at a time.
//  3. Name those that pass.
func TestEveryMutantOfTheRuleIsCaught(t *testing.T) {
	mutants := mutantsOf(t, "guard.go")
	if len(mutants) < 40 {
		t.Fatalf("only %d mutants were made of guard.go", len(mutants))
	}
	outcomes := make([]string, len(mutants))
	var runs errgroup.Group
	runs.SetLimit(2)
	for i, m := range mutants {
		runs.Go(func() (err error) {
			outcomes[i], err = try(t, m, filepath.Join(t.TempDir(), fmt.Sprint(i)))
			return err
		})
	}
	if err := runs.Wait(); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	seen := map[string]bool{}
	for i, m := range mutants {
		count[outcomes[i]]++
		seen[m.name] = true
		if why := equivalent[m.name]; outcomes[i] == "survived" && why == "" {
			t.Errorf("no test notices: %s", m.name)
		} else if outcomes[i] != "survived" && why != "" {
			t.Errorf("said to be equivalent (%s), but a test notices: %s", why, m.name)
		}
	}
	for name := range equivalent {
		if !seen[name] {
			t.Errorf("said to be equivalent, but no such mutant is made: %s", name)
		}
	}
	t.Logf("%d mutants: %v", len(mutants), count)
}

// mutant is guard.go with one change.
type mutant struct {
	name string // where and what, in the words of the source
	src  []byte
}

// try runs the tests of this package against a mutant and says what became of it: caught, survived, or does not compile.
func try(t *testing.T, m mutant, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	here, err := filepath.Abs("guard.go")
	if err != nil {
		return "", err
	}
	replaced, overlay := filepath.Join(dir, "guard.go"), filepath.Join(dir, "overlay.json")
	doc, err := json.Marshal(map[string]map[string]string{"Replace": {here: replaced}})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(replaced, m.src, 0o600); err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, doc, 0o600); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(t.Context(), "go", "test", "-overlay", overlay, "-vet=off", "-failfast", "-timeout=30s", "-ldflags=-s -w",
		"-skip=^TestEveryMutantOfTheRuleIsCaught$", ".", "-rapid.nofailfile", "-rapid.shrinktime=0s")
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		return "survived", nil
	case t.Context().Err() != nil:
		return "", t.Context().Err()
	case bytes.Contains(out, []byte("[build failed]")):
		return "does not compile", nil
	case bytes.Contains(out, []byte("--- FAIL")) || bytes.Contains(out, []byte("panic:")):
		return "caught", nil
	}
	return "", fmt.Errorf("running the tests against the mutant %q: %w\n%s", m.name, err, out)
}

// mutantsOf makes every mutant of a file: each condition negated, each case dropped, && and || swapped and each side of them dropped, each
// comparison turned around or moved by its border, each truth value and each Tri replaced, each call made for its effect and each jump left out.
func mutantsOf(t *testing.T, file string) []mutant {
	t.Helper()
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	text := func(n any) string {
		var b bytes.Buffer
		if err := printer.Fprint(&b, files, n); err != nil {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(b.String()), " ")
	}
	var mutants []mutant
	function := ""
	add := func(was, is string) {
		var b bytes.Buffer
		if err := printer.Fprint(&b, files, tree); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s: %s -> %s", function, was, is)
		for n := 2; slices.ContainsFunc(mutants, func(m mutant) bool { return m.name == name }); n++ {
			name = fmt.Sprintf("%s: %s -> %s (%d)", function, was, is, n)
		}
		mutants = append(mutants, mutant{name, b.Bytes()})
	}
	// swap replaces an expression for as long as one mutant is printed.
	swap := func(at *ast.Expr, by ast.Expr) {
		was := *at
		*at = by
		add(text(was), text(by))
		*at = was
	}
	not := func(e ast.Expr) ast.Expr { return &ast.UnaryExpr{Op: token.NOT, X: &ast.ParenExpr{X: e}} }
	// within makes the mutants of an expression and of what is in it.
	var within func(at *ast.Expr)
	within = func(at *ast.Expr) {
		switch e := (*at).(type) {
		case *ast.BinaryExpr:
			flip := func(op token.Token) { was := *e; by := was; by.Op = op; swap(at, &by) }
			switch e.Op {
			case token.LAND, token.LOR:
				flip(token.LAND + token.LOR - e.Op)
				swap(at, e.X)
				swap(at, e.Y)
			case token.EQL:
				flip(token.NEQ)
			case token.NEQ:
				flip(token.EQL)
			case token.LSS:
				flip(token.LEQ)
				flip(token.GEQ)
			case token.GTR:
				flip(token.GEQ)
				flip(token.LEQ)
			}
			within(&e.X)
			within(&e.Y)
		case *ast.UnaryExpr:
			if e.Op == token.NOT {
				swap(at, e.X)
			}
			within(&e.X)
		case *ast.ParenExpr:
			within(&e.X)
		case *ast.Ident:
			for _, group := range [][]string{{"true", "false"}, {"Unknown", "No", "Yes"}} {
				for _, by := range group {
					if slices.Contains(group, e.Name) && by != e.Name {
						swap(at, ast.NewIdent(by))
					}
				}
			}
		}
	}
	for _, d := range tree.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		function = f.Name.Name
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.IfStmt:
				swap(&n.Cond, not(n.Cond))
				within(&n.Cond)
			case *ast.ReturnStmt:
				for i := range n.Results {
					within(&n.Results[i])
				}
			case *ast.SwitchStmt:
				for i, s := range n.Body.List {
					c := s.(*ast.CaseClause)
					all := n.Body.List
					n.Body.List = slices.Delete(slices.Clone(all), i, i+1)
					add(text(c), "dropped")
					n.Body.List = all
					for j := range c.List {
						if n.Tag == nil {
							swap(&c.List[j], not(c.List[j]))
						}
						within(&c.List[j])
					}
				}
			case *ast.BlockStmt:
				for i, s := range n.List {
					_, call := s.(*ast.ExprStmt)
					_, jump := s.(*ast.BranchStmt)
					if call || jump {
						all := n.List
						n.List = slices.Delete(slices.Clone(all), i, i+1)
						add(text(s), "left out")
						n.List = all
					}
				}
			}
			return true
		})
	}
	return mutants
}
