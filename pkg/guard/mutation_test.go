package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// equivalent are the mutants that no test can tell from the rule, each with the reason.
var equivalent = map[string]string{}

// Every condition of guard.go that is flipped, dropped or swapped is noticed by a test of this package.
//
//  1. Parse guard.go and make the mutants, one change each, of the function that it is in.
//  2. Compile this package's tests once, against a guard.go in which an environment variable chooses the mutant.
//  3. Run them for each, two at a time, and name those that pass.
func TestEveryMutantOfTheRuleIsCaught(t *testing.T) {
	mutants := mutantsOf(t, "guard.go")
	if len(mutants) < 40 {
		t.Fatalf("only %d mutants were made of guard.go", len(mutants))
	}
	binary := compile(t, mutants)
	if out, err := run(t, binary, -1); err != nil {
		t.Fatalf("the tests fail without a mutant: %v\n%s", err, out)
	}
	survived := make([]bool, len(mutants))
	var runs errgroup.Group
	runs.SetLimit(2)
	for i, m := range mutants {
		runs.Go(func() error {
			out, err := run(t, binary, i)
			survived[i] = err == nil
			if err != nil && !bytes.Contains(out, []byte("--- FAIL")) && !bytes.Contains(out, []byte("panic:")) {
				return fmt.Errorf("running the tests against the mutant %q: %w\n%s", m.name, err, out)
			}
			return nil
		})
	}
	if err := runs.Wait(); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, m := range mutants {
		seen[m.name] = true
		if why := equivalent[m.name]; survived[i] && why == "" {
			t.Errorf("no test notices: %s", m.name)
		} else if !survived[i] && why != "" {
			t.Errorf("said to be equivalent (%s), but a test notices: %s", why, m.name)
		}
	}
	for name := range equivalent {
		if !seen[name] {
			t.Errorf("said to be equivalent, but no such mutant is made: %s", name)
		}
	}
	t.Logf("%d mutants", len(mutants))
}

// mutant is a function of guard.go with one change, under a name of its own.
type mutant struct {
	name     string // where and what, in the words of the source
	function *ast.FuncDecl
	src      string // of the changed function, called by a name that the number of the mutant makes
}

// chooser is the environment variable that holds the number of the mutant to run.
const chooser = "XCPAUTH_MUTANT"

// run runs the tests of this package, but for this one, against a mutant.
func run(t *testing.T, binary string, number int) ([]byte, error) {
	cmd := exec.CommandContext(t.Context(), binary, "-test.failfast", "-test.timeout=30s",
		"-test.skip=^TestEveryMutantOfTheRuleIsCaught$", "-rapid.nofailfile", "-rapid.shrinktime=0s")
	cmd.Env = append(os.Environ(), chooser+"="+strconv.Itoa(number))
	return cmd.CombinedOutput()
}

// compile builds the tests of this package against a guard.go whose functions call the chosen mutant.
func compile(t *testing.T, mutants []mutant) (binary string) {
	t.Helper()
	original, err := os.ReadFile("guard.go")
	if err != nil {
		t.Fatal(err)
	}
	handover := map[int]string{} // by the offset in guard.go at which a function's body begins
	var copies strings.Builder
	for i, m := range mutants {
		f := m.function
		var args []string
		for _, field := range f.Type.Params.List {
			for _, name := range field.Names {
				args = append(args, name.Name)
			}
		}
		call := fmt.Sprintf("%s%d(%s)", f.Name.Name, i, strings.Join(args, ", "))
		if f.Recv != nil {
			call = f.Recv.List[0].Names[0].Name + "." + call
		}
		handover[int(f.Body.Lbrace)] += fmt.Sprintf(" if chosen == \"%d\" { return %s };", i, call)
		copies.WriteString("\n" + m.src + "\n")
	}
	src := string(original) + copies.String() + "\nvar chosen = os.Getenv(\"" + chooser + "\")\n"
	for _, at := range slices.Backward(slices.Sorted(maps.Keys(handover))) {
		src = src[:at] + handover[at] + src[at:] // a file of its own: positions count from 1, so this is behind the brace
	}
	src = strings.Replace(src, "import (", "import (\n\t\"os\"", 1)
	dir := t.TempDir()
	here, err := filepath.Abs("guard.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {here: filepath.Join(dir, "guard.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"guard.go": []byte(src), "overlay.json": overlay} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary = filepath.Join(dir, "guard.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, "-overlay",
		filepath.Join(dir, "overlay.json"), ".").CombinedOutput(); err != nil {
		t.Fatalf("compiling the mutants: %v\n%s", err, out)
	}
	return binary
}

// mutantsOf makes every mutant of a file: each condition negated, each case dropped, && and || swapped and each side
// of them dropped, each comparison turned around or moved by its border, each truth value and each Tri replaced, each
// call made for its effect and each jump left out. A change that does not compile makes none.
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
	var function *ast.FuncDecl
	checker := types.Config{Importer: importer.ForCompiler(files, "source", nil)}
	add := func(was, is string) {
		if _, err := checker.Check("guard", files, []*ast.File{tree}, nil); err != nil {
			return
		}
		changed := *function
		changed.Doc, changed.Name = nil, ast.NewIdent(fmt.Sprint(function.Name.Name, len(mutants)))
		var b bytes.Buffer
		if err := printer.Fprint(&b, files, &changed); err != nil {
			t.Fatal(err)
		}
		name := fmt.Sprintf("%s: %s -> %s", function.Name.Name, was, is)
		for n := 2; slices.ContainsFunc(mutants, func(m mutant) bool { return m.name == name }); n++ {
			name = fmt.Sprintf("%s: %s -> %s (%d)", function.Name.Name, was, is, n)
		}
		mutants = append(mutants, mutant{name, function, b.String()})
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
		function = f
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
