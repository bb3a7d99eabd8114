package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"testing"
)

// downward are the packages whose files read from the top: a function stands above those that it calls.
var downward = []string{"./pkg/tsb/...", "./pkg/kongmesh/...", "./pkg/engine", "./pkg/apply", "./pkg/enrol",
	"./pkg/render/...", "./pkg/report", "./pkg/check", "./pkg/rollout", "./pkg/plan", "./pkg/roster", "./pkg/patch"}

// judgeOrder returns the calls of a Go file that lead upward in it, to a function without a receiver. Functions that
// call each other, or in a circle, may stand in any order.
func judgeOrder(name string, src []byte) ([]string, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	declared := map[string]token.Pos{}
	var all []*ast.FuncDecl
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok {
			all = append(all, fn)
			if fn.Recv == nil {
				declared[fn.Name.Name] = fn.Pos()
			}
		}
	}
	calls := map[string]map[string]bool{} // by the name of the function
	var called []map[string]bool          // by each of all
	for _, fn := range all {
		of := map[string]bool{}
		ast.Inspect(fn, func(n ast.Node) bool {
			if c, ok := n.(*ast.CallExpr); ok {
				if id, ok := c.Fun.(*ast.Ident); ok {
					of[id.Name] = true
				}
			}
			return true
		})
		if fn.Recv == nil {
			calls[fn.Name.Name] = of
		}
		called = append(called, of)
	}
	var found []string
	for i, fn := range all {
		for to := range called[i] {
			at, there := declared[to]
			if there && at < fn.Pos() && !leads(calls, to, fn.Name.Name, map[string]bool{}) {
				found = append(found, fmt.Sprintf("%d: %s calls %s, which stands above it; move it below",
					files.Position(fn.Pos()).Line, fn.Name.Name, to))
			}
		}
	}
	return found, nil
}

// leads says whether a function calls another one, through others too.
func leads(calls map[string]map[string]bool, from, to string, seen map[string]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for next := range calls[from] {
		if next == to || leads(calls, next, to, seen) {
			return true
		}
	}
	return false
}

func TestFilesReadDownward(t *testing.T) {
	seen := judgeFiles(t, func(dir string) bool { return in(downward, "./"+dir) }, judgeOrder)
	if seen < 100 {
		t.Errorf("%d files were looked at", seen)
	}
	for src, want := range map[string]int{
		"func a() { b() }\nfunc b() {}":                        0,
		"func b() {}\nfunc a() { b() }":                        1,
		"func b() { a() }\nfunc a() { b() }":                   0,
		"func b() {}\nfunc (x T) a() { b() }":                  1,
		"func b() {}\nfunc a() { c.b() }":                      0,
		"func b() { b() }":                                     0,
		"func c() { b() }\nfunc b() { a() }\nfunc a() { c() }": 0,
		"var x = b()\nfunc b() {}":                             0,
		"func b() {}\nfunc a(b int) { _ = b }":                 0,
	} {
		if found, err := judgeOrder("x.go", []byte("package x\n"+src)); err != nil || len(found) != want {
			t.Errorf("%s: %q, %v; want %d", src, found, err, want)
		}
	}
}
