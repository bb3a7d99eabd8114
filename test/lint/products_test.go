package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"testing"
)

// general are the packages that serve every product, and name none: their words come with plan.Words, with steps, and
// with the rules that a product brings.
var general = []string{"pkg/guard", "pkg/finding", "pkg/rollout", "pkg/engine", "pkg/check", "pkg/render",
	"pkg/report",
	"pkg/observe"}

// productWords are words of one product.
var productWords = regexp.MustCompile(`\b(Central|TSB|Tetrate|XCP|mTLS|JWTs?|jwt|mtls|mutual TLS|mutualTls|[Zz]ones?|` +
	`Kong|Kuma|kuma|ManagementPlane|ControlPlane|tctl|MPC|global|EdgeXcp)\b`)

// judgeProducts returns the words of a product that the strings of a Go file say; what names the field of a report is
// no string that somebody reads as a sentence.
func judgeProducts(name string, src []byte) ([]string, error) {
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, name, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var found []string
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Field:
			n.Tag = nil
		case *ast.BasicLit:
			if word := productWords.FindString(n.Value); n.Kind == token.STRING && word != "" {
				found = append(found, fmt.Sprintf("%d: %q is a word of one product: let the product say it",
					files.Position(n.Pos()).Line, word))
			}
		}
		return true
	})
	return found, nil
}

func TestWhatServesEveryProductNamesNone(t *testing.T) {
	seen := judgeFiles(t, func(dir string) bool { return slices.Contains(general, dir) }, judgeProducts)
	if seen < 20 {
		t.Errorf("%d files were looked at", seen)
	}
	for src, want := range map[string]int{
		`var a = "Central is away"`:               1,
		`var a = "the hub is away"`:               0,
		"type a struct { B string `x:\"zone\"` }": 0,
		`var a = "globally"`:                      0,
	} {
		if found, err := judgeProducts("x.go", []byte("package x\n"+src)); err != nil || len(found) != want {
			t.Errorf("%s: %q, %v; want %d", src, found, err, want)
		}
	}
}
