package lint

import (
	"bufio"
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// clock are the functions of package time that look at the clock or wait for it.
var clock = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// timeOfDay is the one file that may leave the date out.
const timeOfDay = "pkg/render/progress.go"

// judgeGo returns what a Go file may not say, as "line: what".
func judgeGo(name string, src []byte) ([]string, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	isTest := strings.HasSuffix(name, "_test.go")
	dir := "./" + path.Dir(name)
	product := in([]string{"./pkg/...", "./plugin/...", "./webhook/...", "./krew/..."}, dir)
	isMain := f.Name.Name == "main" && path.Base(name) == "main.go"
	imported := map[string]string{} // local name to path
	for _, i := range f.Imports {
		from, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		local := path.Base(from)
		if i.Name != nil {
			local = i.Name.Name
		}
		imported[local] = from
	}
	var found []string
	report := func(n ast.Node, what string) {
		found = append(found, strconv.Itoa(files.Position(n.Pos()).Line)+": "+what)
	}
	if imported["."] == "time" && !isTest && in(deciding, dir) {
		report(f, "package time imported with a dot hides who looks at the clock")
	}
	for _, d := range f.Decls {
		ast.Inspect(d, func(n ast.Node) bool {
			if l, ok := n.(*ast.BasicLit); ok && !isTest && product && strings.Contains(l.Value, "15:04") &&
				!strings.Contains(l.Value, "2006") {
				report(l, "a time without its date: who reads it tomorrow takes it for today's")
			}
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from := ""
			if x, ok := s.X.(*ast.Ident); ok {
				from = imported[x.Name]
			}
			switch {
			case !isTest && product && name != timeOfDay && from == "time" && slices.Contains([]string{"TimeOnly", "Kitchen"},
				s.Sel.Name):
				report(s, "time."+s.Sel.Name+": who reads it tomorrow takes it for today's; "+timeOfDay+" knows when that is right")
			case !isTest && in(deciding, dir) && from == "time" && slices.Contains(clock, s.Sel.Name):
				report(s, "time."+s.Sel.Name+" where decisions are made: take the time as a value")
			case isTest && from == "" && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name):
				report(s, "a test that skips: it proves nothing where it does")
			case !isTest && !isMain && from == "os" && s.Sel.Name == "Exit" && product:
				report(s, "os.Exit outside main.go of a program: return an error")
			}
			return true
		})
	}
	return found, nil
}

// unfinished are the marks of work left undone; written so that this file does not carry them.
var unfinished = []string{"TO" + "DO", "FIX" + "ME", "XX" + "X:"}

// judgeText returns the lines of any file that say that something is left undone.
func judgeText(text []byte) []string {
	var found []string
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<24)
	for n := 1; lines.Scan(); n++ {
		for _, mark := range unfinished {
			if strings.Contains(lines.Text(), mark) {
				found = append(found, strconv.Itoa(n)+": "+mark+": do it, or write an issue")
			}
		}
	}
	return found
}

// sources lists the files of the checkout as git has them, those not yet added too.
func sources(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing the files of the checkout with git: %v", err)
	}
	all := strings.Split(strings.Trim(string(out), "\x00"), "\x00")
	return slices.DeleteFunc(all, func(name string) bool {
		_, err := os.Stat(filepath.Join(root, name))
		return os.IsNotExist(err) // deleted and not committed yet
	})
}

func TestSourcesKeepTheRules(t *testing.T) {
	goFiles := 0
	for _, name := range sources(t) {
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		found := judgeText(src)
		if strings.HasSuffix(name, ".go") {
			goFiles++
			more, err := judgeGo(name, src)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			found = append(found, more...)
		}
		for _, f := range found {
			t.Errorf("%s:%s", name, f)
		}
	}
	if goFiles == 0 {
		t.Error("no Go file was looked at")
	}
}

func TestSourceRulesRefuseWhatTheyName(t *testing.T) {
	const head = "package x\nimport \"time\"\nimport clock \"time\"\nimport \"os\"\n"
	for _, c := range []struct {
		name, src string
		want      int
	}{
		{"pkg/guard/a.go", head + "var a = time.Now()", 1},
		{"pkg/guard/a.go", head + "var a = clock.Since", 1},
		{"pkg/guard/a.go", head + "func f(t time.Time) { _ = t.After(t) }", 0},
		{"pkg/guard/a.go", "package x\nimport . \"time\"\nvar a = Now()", 1},
		{"pkg/guard/a_test.go", head + "var a = time.Now()", 0},
		{"pkg/observe/a.go", head + "var a = time.Now()", 0},
		{"pkg/observe/a_test.go", head + "func f(t T) { t.Skip() }", 1},
		{"pkg/observe/a_test.go", head + "func f(t T) { t.Skipf(\"no\") }", 1},
		{"pkg/observe/a.go", head + "func f() { os.Exit(1) }", 1},
		{"pkg/observe/a.go", head + "var a = time.Time{}.Format(time.TimeOnly)", 1},
		{"pkg/observe/a.go", head + "var a = time.Time{}.Format(\"15:04 MST\")", 1},
		{"pkg/observe/a.go", head + "var a = time.Time{}.Format(\"2006-01-02 15:04\")", 0},
		{timeOfDay, head + "var a = time.Time{}.Format(time.TimeOnly)", 0},
		{"test/demo/a.go", head + "var a = time.Time{}.Format(time.TimeOnly)", 0},
		{"plugin/a/main.go", "package main\nimport \"os\"\nfunc main() { os.Exit(1) }", 0},
		{"plugin/a/a.go", "package main\nimport \"os\"\nfunc run() { os.Exit(1) }", 1},
		{"test/demo/a.go", "package main\nimport \"os\"\nfunc run() { os.Exit(1) }", 0},
	} {
		got, err := judgeGo(c.name, []byte(c.src))
		if err != nil || len(got) != c.want {
			t.Errorf("%s:\n%s\ngot %q, %v; want %d", c.name, c.src, got, err, c.want)
		}
	}
	if got := judgeText([]byte("a\n// " + unfinished[0] + " b\nc " + unfinished[1] + "\n")); len(got) != 2 {
		t.Errorf("marks of unfinished work: got %q, want two", got)
	}
}

// judgeFiles judges each Go file of the product that is wanted, and returns how many there are.
func judgeFiles(t *testing.T, wanted func(dir string) bool, judge func(string, []byte) ([]string, error)) int {
	t.Helper()
	seen := 0
	for _, name := range sources(t) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || !wanted(path.Dir(name)) {
			continue
		}
		seen++
		src, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		found, err := judge(name, src)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Errorf("%s:%s", name, f)
		}
	}
	return seen
}
