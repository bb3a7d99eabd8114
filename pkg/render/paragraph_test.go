package render

import (
	"bytes"
	"testing"
)

// A command that is to be copied has a line of its own, whole, wherever its sentence puts it; one in brackets, or in
// the middle of words, stays where it is.
func TestACommandHasALineOfItsOwn(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"none", "some words that are read", "x: some words\n   that are\n   read\n"},
		{"at the end", "do it with: kubectl xcpauth plan --context=a-long-name",
			"x: do it with:\n     kubectl xcpauth plan --context=a-long-name\n"},
		{"before a clause", "with: kubectl xcpauth plan; then go on",
			"x: with:\n     kubectl xcpauth plan\n   then go on\n"},
		{"before a word", "with: tctl install x, or not", "x: with:\n     tctl install x\n   or not\n"},
		{"a sentence", "with: tctl install x.", "x: with:\n     tctl install x\n"},
		{"two", "a: kubectl get x; b: kubectl get y", "x: a:\n     kubectl get x\n   b:\n     kubectl get y\n"},
		{"in quotes", "a: kubectl get --x='1; 2, 3'; b", "x: a:\n     kubectl get --x='1; 2, 3'\n   b\n"},
		{"in brackets", "see (kubectl x y)", "x: see\n   (kubectl x\n   y)\n"},
		{"a list", "with: kubectl x --contexts=a,b", "x: with:\n     kubectl x --contexts=a,b\n"},
	} {
		var b bytes.Buffer
		if Paragraph(&Page{Writer: &b, Width: 14}, "x: ", tc.text); b.String() != tc.want {
			t.Errorf("%s:\n%s\nwant\n%s", tc.name, b.String(), tc.want)
		}
	}
}
