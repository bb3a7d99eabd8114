package docs

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark/ast"
)

// repository is where the pages are read by somebody who has no checkout.
const repository = "https://github.com/xcpauth/kubectl-xcpauth/blob/main/"

// Every link of a page leads to a file of the repository, and to a heading that it has.
func TestEveryLinkLeadsToAFileAndAHeadingThatAreThere(t *testing.T) {
	all := pages(t)
	seen := 0
	for name, p := range all {
		for _, to := range p.links() {
			if !strings.HasPrefix(to, repository) && strings.Contains(to, "://") {
				continue // of somebody else
			}
			seen++
			if why := broken(all, name, to); why != "" {
				t.Errorf("%s links to %s: %s", name, to, why)
			}
		}
	}
	if seen < 150 {
		t.Errorf("only %d links were found", seen)
	}
}

// links are where the links and the images of a page lead.
func (p page) links() []string {
	var all []string
	p.each(func(n ast.Node) {
		switch n := n.(type) {
		case *ast.Link:
			all = append(all, string(n.Destination))
		case *ast.Image:
			all = append(all, string(n.Destination))
		case *ast.AutoLink:
			all = append(all, string(n.URL(p.source)))
		}
	})
	return all
}

// broken says why a link of a page leads nowhere, "" when it does not.
func broken(all map[string]page, from, to string) string {
	file, heading, _ := strings.Cut(to, "#")
	target := path.Join(path.Dir(from), file)
	if rest, ours := strings.CutPrefix(file, repository); ours {
		target = rest
	}
	if file == "" {
		target = from
	}
	if strings.HasPrefix(target, "..") {
		return "it leaves the repository"
	}
	if _, err := os.Stat(filepath.Join(root, target)); err != nil {
		return "there is no file " + target
	}
	if heading != "" && !all[target].anchors()[heading] {
		return target + " has no heading #" + heading
	}
	return ""
}

func TestALinkThatLeadsNowhereIsFound(t *testing.T) {
	all := map[string]page{"docs/README.md": parse("docs/README.md", []byte("# One\n")),
		"README.md": parse("README.md", []byte("# Two\n"))}
	for to, whole := range map[string]bool{"#one": true, "#two": false, "../README.md#two": true,
		"../README.md#one": false, "install.md": true, "../../x.md": false, "nothing.md": false,
		repository + "README.md#two": true, repository + "README.md#one": false} {
		if why := broken(all, "docs/README.md", to); (why == "") != whole {
			t.Errorf("%s: %q", to, why)
		}
	}
	got := parse("a.md", []byte("[a](b.md) ![c](d.svg)\n\n<https://e>\n\n[f]\n\n[f]: g.md\n")).links()
	if !slices.Equal(got, []string{"b.md", "d.svg", "https://e", "g.md"}) {
		t.Errorf("links: %q", got)
	}
}

// mentioned are pages that a message or a manifest names.
var mentioned = regexp.MustCompile(regexp.QuoteMeta(repository) + `[A-Za-z0-9./_-]*[A-Za-z0-9](#[A-Za-z0-9-]+)?|` +
	`\bdocs/[a-z/-]+\.md(#[a-z0-9-]+)?`)

// What messages, help, manifests and comments name of the documentation is there too.
func TestEveryPageThatAFileNamesIsThere(t *testing.T) {
	all := pages(t)
	seen := 0
	eachFile(t, func(name string) {
		if !slices.Contains([]string{".go", ".yaml", ".json", ".tmpl"}, path.Ext(name)) ||
			strings.HasPrefix(name, "test/docs/") || strings.Contains(name, "testdata/") {
			return
		}
		source, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, to := range mentioned.FindAllString(string(source), -1) {
			seen++
			if why := broken(all, "README.md", to); why != "" {
				t.Errorf("%s names %s: %s", name, to, why)
			}
		}
	})
	if seen < 5 {
		t.Errorf("only %d were found", seen)
	}
}

// An index lists each page of its directory.
func TestEveryPageIsInAnIndex(t *testing.T) {
	all := pages(t)
	for _, index := range []string{"docs/README.md", "docs/reference/README.md"} {
		dir := path.Dir(index)
		var listed []string
		for _, to := range all[index].links() {
			file, _, _ := strings.Cut(to, "#")
			listed = append(listed, path.Join(dir, file))
		}
		for name := range all {
			if path.Dir(name) == dir && name != index && !slices.Contains(listed, name) {
				t.Errorf("%s does not list %s", index, name)
			}
		}
	}
}
