package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

const root = "../.."

// page is a page in Markdown.
type page struct {
	name   string // its path from the root, with slashes
	source []byte
	tree   ast.Node
}

// pages are all pages of the repository, by name.
func pages(t *testing.T) map[string]page {
	t.Helper()
	all := map[string]page{}
	eachFile(t, func(name string) {
		if filepath.Ext(name) == ".md" {
			source, err := os.ReadFile(filepath.Join(root, name))
			if err != nil {
				t.Fatal(err)
			}
			all[name] = parse(name, source)
		}
	})
	if len(all) < 20 {
		t.Fatalf("only %d pages were found", len(all))
	}
	return all
}

// eachFile calls a function for each file of the checkout, by its path from the root.
func eachFile(t *testing.T, look func(name string)) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch name := filepath.ToSlash(rel); {
		case d.IsDir() && (name == ".git" || name == "bin" || name == "dist"):
			return filepath.SkipDir
		case d.Type().IsRegular():
			look(name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func parse(name string, source []byte) page {
	return page{name, source, goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))}
}

// anchors are where links into the page may lead: its headings, as GitHub names them.
func (p page) anchors() map[string]bool {
	all, times := map[string]bool{}, map[string]int{}
	p.each(func(n ast.Node) {
		if heading, is := n.(*ast.Heading); is {
			name := anchor(p.words(heading))
			all[numbered(name, times[name])] = true
			times[name]++
		}
	})
	return all
}

// numbered is the anchor of a heading whose text n headings before it have.
func numbered(name string, n int) string {
	if n == 0 {
		return name
	}
	return name + "-" + strconv.Itoa(n)
}

// dropped is what GitHub leaves out of the anchor of a heading.
var dropped = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)

// anchor is how GitHub names a heading.
func anchor(heading string) string {
	return strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")
}

// each calls a function for each node.
func (p page) each(look func(ast.Node)) {
	_ = ast.Walk(p.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			look(n)
		}
		return ast.WalkContinue, nil
	})
}

// words is the text of a node as a reader sees it.
func (p page) words(n ast.Node) string {
	var b strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch n := n.(type) {
			case *ast.Text:
				b.Write(n.Segment.Value(p.source))
				if n.SoftLineBreak() || n.HardLineBreak() {
					b.WriteByte(' ')
				}
			case *ast.String:
				b.Write(n.Value)
			}
		}
		return ast.WalkContinue, nil
	})
	return b.String()
}

func TestAnchorsAreNamedAsGitHubNamesThem(t *testing.T) {
	got := parse("a.md", []byte("# What's `kubectl xcpauth`?\n## Is it asked?\n## Is it asked?\n### XA030\n")).anchors()
	for _, want := range []string{"whats-kubectl-xcpauth", "is-it-asked", "is-it-asked-1", "xa030"} {
		if !got[want] {
			t.Errorf("no anchor %s in %v", want, got)
		}
	}
}
