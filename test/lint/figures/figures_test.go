package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"testing"
)

// parsed is a package of files, by name in order.
func parsed(t *testing.T, sources ...string) *pkg {
	t.Helper()
	files := token.NewFileSet()
	p := &pkg{uses: map[*ast.Ident]types.Object{}}
	for _, src := range sources {
		f, err := parser.ParseFile(files, "x.go", "package x\n"+src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		p.syntax = append(p.syntax, f)
	}
	var err error
	if p.types, err = (&types.Config{}).Check("x", files, p.syntax, &types.Info{Uses: p.uses}); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCallsRunUpwardToWhatIsDeclaredEarlier(t *testing.T) {
	for name, tc := range map[string]struct {
		sources  []string
		up, down int
	}{
		"further down the file":    {[]string{"func a() { b() }\nfunc b() {}"}, 0, 1},
		"further up the file":      {[]string{"func b() {}\nfunc a() { b() }"}, 1, 0},
		"in a later file":          {[]string{"func a() { b() }", "func b() {}"}, 0, 1},
		"in an earlier file":       {[]string{"func b() {}", "func a() { b() }"}, 1, 0},
		"each reference counts":    {[]string{"func b() {}\nfunc a() { b(); f := b; f() }"}, 2, 0},
		"a method":                 {[]string{"type t struct{}\nfunc (t) m() {}\nfunc a(x t) { x.m() }"}, 1, 0},
		"a generic function":       {[]string{"func b[T any](T) {}\nfunc a() { b(1) }"}, 1, 0},
		"a function calls itself":  {[]string{"func a() { a() }"}, 0, 0},
		"types and values are not": {[]string{"type t int\nvar v t\nfunc a() { _ = t(v); _ = len(\"\") }"}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if up, down := parsed(t, tc.sources...).calls(); up != tc.up || down != tc.down {
				t.Errorf("got %d upward and %d downward, want %d and %d", up, down, tc.up, tc.down)
			}
		})
	}
}

func TestComplexityIsCyclops(t *testing.T) {
	for src, want := range map[string]int{
		"func a() {}":                                          1,
		"func a(x bool) { if x && !x || x {} }":                4,
		"func a() { for range 3 { for {} } }":                  3,
		"func a(x int) { switch x { case 1, 2: default: } }":   3,
		"func a(c chan int) { select { case <-c: default: } }": 3,
		"func a() { _ = func(x bool) { if x {} } }":            2,
	} {
		if got := complexity(parsed(t, src).syntax[0].Decls[0].(*ast.FuncDecl)); got != want {
			t.Errorf("%s\ngot %d, want %d", src, got, want)
		}
	}
}
