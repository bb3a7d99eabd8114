package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// noticesFile is the notices' name in an archive and in an image.
const noticesFile = "THIRD_PARTY_NOTICES"

// module is one that a program links, with the texts that must come with it.
type module struct {
	path, version string
	texts         []text
}

// text is a licence or a notice of a module.
type text struct {
	name  string // the file, below the module's directory
	body  string
	kinds []string // identifiers of SPDX; none of a NOTICE file, which is no licence
}

// kinds are the licences of a module.
func (m module) kinds() []string {
	var all []string
	for _, t := range m.texts {
		all = append(all, t.kinds...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// noticesOf is the text that comes with a program: each module that it links on any platform, with its version and
// licence, and then each text once. The order is that of the modules' paths.
func noticesOf(p program, modules []module) []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "%s contains these modules. Each comes under its own licence, whose text follows.\n\n", p.name)
	for _, m := range modules {
		fmt.Fprintf(&out, "  %s %s  %s\n", m.path, m.version, strings.Join(m.kinds(), ", "))
	}
	var bodies []string
	of := map[string][]string{}
	for _, m := range modules {
		for _, t := range m.texts {
			if of[t.body] == nil {
				bodies = append(bodies, t.body)
			}
			of[t.body] = append(of[t.body], fmt.Sprintf("%s of %s %s", t.name, m.path, m.version))
		}
	}
	for _, body := range bodies {
		fmt.Fprintf(&out, "\n%s\n\n%s\n\n%s\n", strings.Repeat("=", 80), strings.Join(of[body], "\n"),
			strings.TrimRight(body, " \t\r\n"))
	}
	return []byte(out.String())
}

// linkedModules lists what a program links on any of its platforms, by path. All platforms count, whichever are being
// built, so that an archive does not depend on which others are built with it.
func linkedModules(root string, p program) ([]module, error) {
	found := map[string]*linked{}
	for _, at := range p.platforms() {
		if err := list(root, p, at, found); err != nil {
			return nil, fmt.Errorf("listing what %s links on %s/%s: %w", p.name, at.OS, at.Arch, err)
		}
	}
	std, err := standardLibrary(root)
	if err != nil {
		return nil, err
	}
	modules := []module{std}
	for _, l := range found {
		m := module{path: l.Path, version: l.Version}
		if m.texts, err = textsOf(l.Dir, slices.Sorted(maps.Keys(l.packages))); err != nil {
			return nil, fmt.Errorf("reading the licences of %s %s: %w", l.Path, l.Version, err)
		}
		modules = append(modules, m)
	}
	slices.SortFunc(modules, func(a, b module) int { return cmp.Compare(a.path, b.path) })
	return modules, nil
}

// linked is a module as the go tool lists it, with the directories of its packages that are linked.
type linked struct {
	Path, Version, Dir string
	Main               bool
	Replace            *struct{ Path string }
	packages           map[string]bool
}

// list adds the modules that a program links on a platform.
func list(root string, p program, at platform, found map[string]*linked) error {
	out, err := goTool(root, at, "list", "-mod=readonly", "-deps", "-json=Dir,Module", p.pkg)
	if err != nil {
		return err
	}
	for packages := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg struct {
			Dir    string
			Module *linked // none of a package of the standard library
		}
		if err := packages.Decode(&pkg); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the list of packages: %w", err)
		}
		m := pkg.Module
		if m == nil || m.Main {
			continue
		}
		if m.Replace != nil {
			return fmt.Errorf("go.mod replaces %s by %s; take the line out, a release links published modules alone", m.Path,
				m.Replace.Path)
		}
		if found[m.Path] == nil {
			m.packages = map[string]bool{}
			found[m.Path] = m
		}
		found[m.Path].packages[pkg.Dir] = true
	}
}

// standardLibrary is the part of Go that each program links. SBOMs call it std.
func standardLibrary(root string) (module, error) {
	out, err := goTool(root, platform{}, "env", "GOROOT", "GOVERSION")
	if err != nil {
		return module{}, fmt.Errorf("finding the standard library: %w", err)
	}
	dir, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	texts, err := textsOf(dir, nil)
	if err != nil {
		return module{}, fmt.Errorf("reading the licence of Go in %s: %w", dir, err)
	}
	return module{path: "std", version: version, texts: texts}, nil
}

// goTool runs the go tool for a platform and returns what it printed. The environment is fixed where it would change
// what is linked or its bytes: cgo, instruction set, flags and workspace of the machine, experiments of the compiler.
func goTool(root string, at platform, args ...string) ([]byte, error) {
	var errs bytes.Buffer
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Stderr = root, &errs
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+at.OS, "GOARCH="+at.Arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running go %s: %w\n%s", args[0], err, errs.Bytes())
	}
	return out, nil
}

// licenceFile and noticeFile are the names of the texts that count; code may be named like them.
var (
	licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)s?([-._].*)?$`)
	noticeFile  = regexp.MustCompile(`(?i)^notices?([-._].*)?$`)
	codeFile    = regexp.MustCompile(`\.(go|s|json|ya?ml|tmpl|tpl)$`)
)

// textsOf reads the licences and notices of a module: those in its own directory, and those on the way to each package
// that is linked, since code that was copied from elsewhere has its licence next to it.
func textsOf(dir string, packages []string) ([]text, error) {
	dirs := map[string]bool{dir: true}
	for _, d := range packages {
		for ; len(d) > len(dir); d = filepath.Dir(d) {
			dirs[d] = true
		}
	}
	var texts []text
	licences := 0
	for _, d := range slices.Sorted(maps.Keys(dirs)) {
		entries, err := os.ReadDir(d)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			isLicence := licenceFile.MatchString(e.Name())
			if !e.Type().IsRegular() || codeFile.MatchString(e.Name()) || !isLicence && !noticeFile.MatchString(e.Name()) {
				continue
			}
			t, err := readText(dir, filepath.Join(d, e.Name()), isLicence)
			if err != nil {
				return nil, err
			}
			texts = append(texts, t)
			licences += len(t.kinds)
		}
	}
	if licences == 0 {
		return nil, errors.New("there is no licence file; what has no licence may not be passed on, so link another module")
	}
	return texts, nil
}

// readText reads one file of a module.
func readText(dir, file string, isLicence bool) (text, error) {
	body, err := os.ReadFile(file)
	if err != nil {
		return text{}, err
	}
	name, err := filepath.Rel(dir, file)
	if err != nil {
		return text{}, err
	}
	t := text{name: filepath.ToSlash(name), body: string(body)}
	if isLicence {
		if t.kinds, err = kindsOf(body); err != nil {
			return text{}, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return t, nil
}

// permissive are the licences that ask for no more than that their text comes along. What is not among them, copyleft
// above all, is for a person to read: add it here, or link another module.
var permissive = []string{"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}

// known is how much of a licence file must be the text of licences, in percent: the rest are names and years.
const known = 75

// kindsOf tells the licences that a file holds. It is an error when one is not permissive, or when much of the file is
// the text of no known licence.
func kindsOf(body []byte) ([]string, error) {
	seen := licensecheck.Scan(body)
	if len(seen.Match) == 0 || seen.Percent < known {
		return nil, fmt.Errorf("it is %.0f%% the text of known licences; read it, and link another module unless it "+
			"allows what we do", seen.Percent)
	}
	var kinds []string
	for _, m := range seen.Match {
		if !slices.Contains(permissive, m.ID) {
			return nil, fmt.Errorf("%s is not one of the licences %q; link another module", m.ID, permissive)
		}
		kinds = append(kinds, m.ID)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds), nil
}
