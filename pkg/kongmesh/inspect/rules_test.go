package inspect

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// made is what the sources that look at this product say about rules and findings.
type made struct {
	registered map[string]string // name of a variable to the name of the rule
	used       map[string]bool   // variables, outside of where they are registered
	lowered    map[string]bool   // variables whose findings may have the lower severity
	loose      []string          // rules and findings that are made in another way
}

func newMade() made {
	return made{registered: map[string]string{}, used: map[string]bool{}, lowered: map[string]bool{}}
}

// sources are the directories with code that finds something in this product.
var sources = []string{".", "../zonetoken", "../state", "../migration", "..", "../../../plugin/kubectl-xcpauth"}

// readSources reads the sources of directories, but their tests.
func readSources(t *testing.T, dirs ...string) made {
	t.Helper()
	m := newMade()
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no sources: %v", dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m.read(t, file, src)
		}
	}
	return m
}

// read reads one file: rules are registered as `x = rules.Register(&finding.Rule{...})`; nothing else may be a rule or
// a finding by its fields.
func (m *made) read(t *testing.T, name string, src []byte) {
	t.Helper()
	positions := token.NewFileSet()
	f, err := parser.ParseFile(positions, name, src, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if rule := registered(n); rule != nil {
				m.registered[n.Names[0].Name] = nameOf(rule)
				return false
			}
		case *ast.CompositeLit:
			if isOf(n.Type, "finding", "Rule") || isOf(n.Type, "finding", "Finding") || elided(n) {
				m.loose = append(m.loose, positions.Position(n.Pos()).String())
			}
		case *ast.CallExpr:
			if s, ok := n.Fun.(*ast.SelectorExpr); ok && s.Sel.Name == "AddMild" && len(n.Args) > 0 {
				if rule, ok := n.Args[0].(*ast.Ident); ok {
					m.lowered[rule.Name] = true
				}
			}
		case *ast.Ident:
			m.used[n.Name] = true
		}
		return true
	})
}

// registered is the rule of a variable that is registered, or nil.
func registered(v *ast.ValueSpec) *ast.CompositeLit {
	if len(v.Names) != 1 || len(v.Values) != 1 {
		return nil
	}
	call, ok := v.Values[0].(*ast.CallExpr)
	if !ok || len(call.Args) != 1 || !isOf(call.Fun, "rules", "Register") {
		return nil
	}
	at, ok := call.Args[0].(*ast.UnaryExpr)
	if !ok {
		return nil
	}
	rule, ok := at.X.(*ast.CompositeLit)
	if !ok || !isOf(rule.Type, "finding", "Rule") {
		return nil
	}
	return rule
}

// elided says whether a literal of findings has elements, which then have no type of their own.
func elided(n *ast.CompositeLit) bool {
	list, ok := n.Type.(*ast.ArrayType)
	if ok && (isOf(list.Elt, "finding", "Finding") || isOf(list.Elt, "finding", "Rule")) {
		return len(n.Elts) > 0
	}
	return isOf(n.Type, "finding", "Findings") && len(n.Elts) > 0
}

func isOf(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg && s.Sel.Name == name
}

// nameOf is the name of a rule, as its literal says.
func nameOf(rule *ast.CompositeLit) string {
	for _, e := range rule.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == "Name" {
				if l, ok := kv.Value.(*ast.BasicLit); ok {
					name, _ := strconv.Unquote(l.Value)
					return name
				}
			}
		}
	}
	return ""
}

// Whatever is found is found by a rule of Rules, and each of these is one that something finds.
func TestEveryFindingHasARuleAndEveryRuleFindings(t *testing.T) {
	m := readSources(t, sources...)
	for _, where := range m.loose {
		t.Errorf("%s: a rule that is not registered, or a finding without a rule: use Register, and Add", where)
	}
	var known []string
	for _, r := range Rules() {
		known = append(known, r.Name)
	}
	var written []string
	for variable, name := range m.registered {
		written = append(written, name)
		if !m.used[variable] {
			t.Errorf("nothing finds %s (%s)", name, variable)
		}
	}
	slices.Sort(known)
	slices.Sort(written)
	if !slices.Equal(known, written) {
		t.Errorf("Rules are\n%q, and the sources register\n%q", known, written)
	}
}

func TestARuleThatIsNotRegisteredIsNoticed(t *testing.T) {
	for src, loose := range map[string]int{
		`var x = rules.Register(&finding.Rule{ID: "XA199", Name: "a"})`:             0,
		`var x = finding.Rule{ID: "XA199", Name: "a"}`:                              1,
		`func f() { g(finding.Finding{Name: "a"}) }`:                                1,
		`var x = finding.Findings{{Name: "a"}}`:                                     1,
		`var x = []finding.Finding{{Name: "a"}}`:                                    1,
		`var x = []finding.Rule{{Name: "a"}}`:                                       1,
		`func f() { var x finding.Findings; x.Add(a, "", ""); return x.About("") }`: 0,
	} {
		m := newMade()
		m.read(t, "a.go", []byte("package a\n"+src))
		if len(m.loose) != loose {
			t.Errorf("%s: noticed %d times, want %d", src, len(m.loose), loose)
		}
	}
}

func TestRulesHaveTheirOwnIDsAndNames(t *testing.T) {
	id, name := regexp.MustCompile(`^XA(1[0-9]{2}|20[0-9])$`), regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)+$`)
	names := map[string]bool{}
	last := ""
	for _, r := range Rules() {
		if !id.MatchString(r.ID) || r.ID <= last {
			t.Errorf("rule %s comes after %s: IDs are XA100 to XA209, each once", r.ID, last)
		}
		if !name.MatchString(r.Name) || names[r.Name] {
			t.Errorf("%s is named %q: names are words with dashes, each once", r.ID, r.Name)
		}
		if r.Mild != "" && r.Mild.AtLeast(r.Severity) {
			t.Errorf("%s is %s, and %s where less is at stake", r.ID, r.Severity, r.Mild)
		}
		last, names[r.Name] = r.ID, true
	}
}

// docs/checks.md and the help of check say which IDs are about what.
func TestIDsAreGroupedByWhatTheyAreAbout(t *testing.T) {
	for _, r := range Rules() {
		kind, _, _ := strings.Cut(r.Name, "-")
		first, last := "XA194", "XA199" // the global
		switch {
		case kind == "token":
			first, last = "XA100", "XA129"
		case kind == "key":
			first, last = "XA130", "XA154"
		case kind == "revocations":
			first, last = "XA155", "XA169"
		case kind == "upgrade":
			first, last = "XA200", "XA209"
		case kind == "version", kind == "environment", r.Name == "zone-name":
			first, last = "XA170", "XA181"
		case strings.HasPrefix(r.Name, "global-certificate-"), kind == "zone" && r.Name != "zone-sets-global":
			first, last = "XA182", "XA193"
		}
		if r.ID < first || r.ID > last {
			t.Errorf("%s is %s, which is not of %s to %s", r.Name, r.ID, first, last)
		}
	}
}

// A finding has the severity of its rule. These have a lower one where less is at stake, and no other is used so.
func TestOnlyARuleWithALowerSeverityIsUsedSo(t *testing.T) {
	m := readSources(t, sources...)
	var mild, used []string
	for _, r := range Rules() {
		if r.Mild != "" {
			mild = append(mild, r.Name)
		}
	}
	for variable := range m.lowered {
		used = append(used, m.registered[variable])
	}
	slices.Sort(mild)
	slices.Sort(used)
	if want := []string{"token-legacy", "zone-name"}; !slices.Equal(mild, want) || !slices.Equal(used, want) {
		t.Errorf("a lower severity have %q, and it is used of %q; want %q", mild, used, want)
	}
}
