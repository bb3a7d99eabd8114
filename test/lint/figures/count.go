package main

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"os"
	"strings"
	"unicode/utf8"
)

// The limits of .golangci.yml.
const (
	maxComplexity = 15
	maxColumns    = 120
)

// printCalls prints the calls of each package at and below a path, and their sums.
func (m *module) printCalls(path string) {
	up, down := 0, 0
	for _, p := range m.packages {
		if p.path != path && !strings.HasPrefix(p.path, path+"/") {
			continue
		}
		u, d := p.calls()
		fmt.Printf("%6d  calls upward in %s, %d downward\n", u, p.path, d)
		up, down = up+u, down+d
	}
	fmt.Printf("%6d  calls upward in %s and below, %d downward\n", up, path, down)
}

// calls counts the references between the functions of a package.
func (p *pkg) calls() (up, down int) {
	for _, f := range p.syntax {
		for _, d := range f.Decls {
			from, ok := d.(*ast.FuncDecl)
			if !ok || from.Body == nil {
				continue
			}
			ast.Inspect(from.Body, func(n ast.Node) bool {
				id, ok := n.(*ast.Ident)
				if !ok {
					return true
				}
				to, ok := p.uses[id].(*types.Func)
				if !ok {
					return true
				}
				to = to.Origin()
				switch {
				case to.Pkg() != p.types || to.Pos() == from.Name.Pos():
				case to.Pos() < from.Pos():
					up++
				default:
					down++
				}
				return true
			})
		}
	}
	return up, down
}

// printExported prints how many names each package of pkg/ exports: constants, variables, functions and types.
func (m *module) printExported() {
	for _, p := range m.packages {
		if !strings.HasPrefix(p.path, "pkg/") {
			continue
		}
		names := 0
		for _, name := range p.types.Scope().Names() {
			if token.IsExported(name) {
				names++
			}
		}
		fmt.Printf("%6d  names exported by %s\n", names, p.path)
	}
}

// structure returns a struct type of pkg/plan, nil when there is none of that name.
func (m *module) structure(name string) *types.Struct {
	p := m.find("pkg/plan")
	if p == nil {
		return nil
	}
	o := p.types.Scope().Lookup(name)
	if o == nil {
		return nil
	}
	s, _ := o.Type().Underlying().(*types.Struct)
	return s
}

func (m *module) printFields(name string) {
	if s := m.structure(name); s != nil {
		fmt.Printf("%6d  fields of plan.%s\n", s.NumFields(), name)
	}
}

// printProvider prints how many functions a product provides.
func (m *module) printProvider() {
	s := m.structure("Provider")
	if s == nil {
		return
	}
	functions := 0
	for f := range s.Fields() {
		if _, is := f.Type().Underlying().(*types.Signature); is {
			functions++
		}
	}
	fmt.Printf("%6d  functions of plan.Provider\n", functions)
}

func (m *module) printComplexity() {
	over, all := 0, 0
	for _, p := range m.product() {
		for _, f := range p.syntax {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					if all++; complexity(fn) > maxComplexity {
						over++
					}
				}
			}
		}
	}
	fmt.Printf("%6d  functions with a complexity over %d, of %d\n", over, maxComplexity, all)
}

func complexity(fn *ast.FuncDecl) int {
	n := 1
	ast.Inspect(fn, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt, *ast.CaseClause, *ast.CommClause:
			n++
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

// printLines prints how many lines of Go there are outside of tests, and how many of those are too long.
func (m *module) printLines() error {
	lines, long := 0, 0
	for _, p := range m.product() {
		for _, file := range p.files {
			l, o, err := linesOf(file)
			if err != nil {
				return err
			}
			lines, long = lines+l, long+o
		}
	}
	fmt.Printf("%6d  lines of Go outside of tests\n", lines)
	fmt.Printf("%6d  of them over %d columns: %.1f %%\n", long, maxColumns, 100*float64(long)/float64(max(lines, 1)))
	return nil
}

func linesOf(file string) (lines, long int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		lines++
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > maxColumns {
			long++
		}
	}
	return lines, long, nil
}
