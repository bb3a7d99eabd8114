package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// modulePath is ours.
const modulePath = "github.com/xcpauth/kubectl-xcpauth"

// module is the checkout with resolved names; tests are left out.
type module struct {
	files    *token.FileSet
	packages []*pkg
}

// pkg is a package of the module.
type pkg struct {
	path   string // below the module
	files  []string
	syntax []*ast.File
	types  *types.Package
	uses   map[*ast.Ident]types.Object
}

// listed is what go list says of a package.
type listed struct {
	ImportPath, Dir, Export string
	GoFiles                 []string
}

// load lists the packages, has the compiler write down what each exports, and resolves the names of ours.
func load(ctx context.Context) (*module, error) {
	all, err := list(ctx)
	if err != nil {
		return nil, err
	}
	exports := map[string]string{}
	for _, l := range all {
		exports[l.ImportPath] = l.Export
	}
	m := &module{files: token.NewFileSet()}
	imports := importer.ForCompiler(m.files, "gc", func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("go list names no file with what %s exports", path)
		}
		return os.Open(exports[path])
	})
	for _, l := range all {
		path, ours := strings.CutPrefix(l.ImportPath, modulePath+"/")
		if !ours {
			continue
		}
		p, err := m.check(path, l, imports)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		m.packages = append(m.packages, p)
	}
	return m, nil
}

func list(ctx context.Context) ([]listed, error) {
	var errs bytes.Buffer
	cmd := exec.CommandContext(ctx, "go", "list", "-deps", "-export", "-json=ImportPath,Dir,Export,GoFiles",
		modulePath+"/...")
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the packages: %w\n%s", err, errs.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, fmt.Errorf("reading the list of packages: %w", err)
		}
		all = append(all, l)
	}
}

// check parses a package and resolves its names. go list sorts its files by name, and so their positions.
func (m *module) check(path string, l listed, imports types.Importer) (*pkg, error) {
	p := &pkg{path: path, uses: map[*ast.Ident]types.Object{}}
	for _, name := range l.GoFiles {
		file := filepath.Join(l.Dir, name)
		f, err := parser.ParseFile(m.files, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files, p.syntax = append(p.files, file), append(p.syntax, f)
	}
	conf := types.Config{Importer: imports}
	checked, err := conf.Check(l.ImportPath, m.files, p.syntax, &types.Info{Uses: p.uses})
	if err != nil {
		return nil, err
	}
	p.types = checked
	return p, nil
}

// product returns the packages that are not there for tests alone.
func (m *module) product() []*pkg {
	return slices.DeleteFunc(slices.Clone(m.packages), func(p *pkg) bool { return strings.HasPrefix(p.path, "test/") })
}

// find returns a package by its path below the module, nil when there is none.
func (m *module) find(path string) *pkg {
	for _, p := range m.packages {
		if p.path == path {
			return p
		}
	}
	return nil
}
