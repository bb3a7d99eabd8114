package docs

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark/ast"
	east "github.com/yuin/goldmark/extension/ast"
)

// most is how many words a sentence may have, and widest how many columns a line of prose.
const (
	most   = 25
	widest = 120
	large  = 8 << 10 // how many bytes README.md may have: it is read in one sitting
)

func TestREADMEIsReadInOneSitting(t *testing.T) {
	source := pages(t)["README.md"].source
	if len(source) > large {
		t.Errorf("README.md has %d bytes, of %d; move what only some readers need to docs", len(source), large)
	}
}

// A sentence that goes on and on is read twice, at three in the morning.
func TestSentencesAreShort(t *testing.T) {
	seen := 0
	for name, p := range pages(t) {
		if !forUsers(name) {
			continue
		}
		for _, s := range p.sentences() {
			seen++
			if n := len(strings.Fields(s)); n > most {
				t.Errorf("%s: a sentence of %d words: %s", name, n, s)
			}
		}
	}
	if seen < 500 {
		t.Errorf("only %d sentences were found", seen)
	}
}

// forUsers says whether a page is written by hand, for those who use the programs.
func forUsers(name string) bool {
	made := []string{"docs/reference/commands.md", "docs/reference/metrics.md", "docs/reference/events.md",
		"docs/reference/schemas.md", "docs/reference/exit-codes.md", "docs/reference/webhook-flags.md", "docs/checks.md"}
	return name == "README.md" || strings.HasPrefix(name, "docs/") && !slices.Contains(made, name)
}

// ends is where a sentence ends.
var ends = regexp.MustCompile(`[.!?:](\s+|$)`)

// sentences are those of paragraphs, items of lists and cells of tables.
func (p page) sentences() []string {
	var all []string
	p.each(func(n ast.Node) {
		switch n.Kind() {
		case ast.KindParagraph, ast.KindTextBlock, east.KindTableCell:
			all = append(all, ends.Split(p.words(n), -1)...)
		}
	})
	return all
}

func TestALongSentenceIsFound(t *testing.T) {
	long := strings.Repeat("word ", most+1)
	for source, want := range map[string]int{long + ".": 1, "- " + long + ".": 1, "| a |\n|---|\n| " + long + "|": 1,
		"One. " + long: 1, strings.Repeat("word ", most) + ". More.": 0, "```\n" + long + "\n```": 0,
		"`" + long + "`": 1, strings.Repeat("word ", most-2) + ": " + strings.Repeat("word ", most-2): 0} {
		n := 0
		for _, s := range parse("a.md", []byte(source)).sentences() {
			if len(strings.Fields(s)) > most {
				n++
			}
		}
		if n != want {
			t.Errorf("%q: %d long sentences, want %d", source, n, want)
		}
	}
}

// Tables and addresses cannot be wrapped.
func TestLinesOfPagesAreNotWide(t *testing.T) {
	for name, p := range pages(t) {
		if !forUsers(name) {
			continue
		}
		fenced := false
		n := 0
		for line := range strings.Lines(string(p.source)) {
			n++
			if strings.HasPrefix(strings.TrimSpace(line), "```") {
				fenced = !fenced
			}
			if columns := len([]rune(strings.TrimRight(line, "\n"))); columns > widest && !fenced &&
				!strings.HasPrefix(strings.TrimSpace(line), "|") {
				t.Errorf("%s:%d has %d columns", name, n, columns)
			}
		}
	}
}

// A picture is read by those who do not see it, and in the dark.
func TestPicturesHaveAnAlternativeAndTwoSchemes(t *testing.T) {
	seen := 0
	eachFile(t, func(name string) {
		if path.Ext(name) != ".svg" || !strings.HasPrefix(name, "docs/") {
			return
		}
		seen++
		source, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		elements, err := elementsOf(source)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, want := range []string{"title", "desc", "style"} {
			if !slices.Contains(elements, want) {
				t.Errorf("%s has no <%s>", name, want)
			}
		}
		for _, never := range []string{"script", "image", "foreignObject"} {
			if slices.Contains(elements, never) {
				t.Errorf("%s has a <%s>, which GitHub does not show", name, never)
			}
		}
		if !strings.Contains(string(source), "prefers-color-scheme: dark") {
			t.Errorf("%s has no dark scheme", name)
		}
	})
	if seen == 0 {
		t.Error("there is no picture")
	}
}

// elementsOf are the names of the elements of a document.
func elementsOf(source []byte) ([]string, error) {
	var all []string
	for d := xml.NewDecoder(strings.NewReader(string(source))); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if start, is := token.(xml.StartElement); is {
			all = append(all, start.Name.Local)
		}
	}
}
