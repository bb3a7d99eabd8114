package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// retiredWord is a word, and what to write instead.
type retiredWord struct {
	word    *regexp.Regexp
	instead string
}

// retired are the words that are not ours any more, and what to write instead. They are refused in everything that a
// person reads: messages, help, docs, comments and what tests record of them.
var retired = []retiredWord{
	{regexp.MustCompile(`(?i)\bmend(s|ed|ing)?\b`), "fix"},
	{regexp.MustCompile(`(?i)\banew\b`), "again"},
	{regexp.MustCompile(`(?i)\bdialects?\b`), "provider, or product"},
	{regexp.MustCompile(`(?i)\bhand(s|ed|ing)? ((it|that|them|one) )?over\b`), "provide, pass or give"},
	{regexp.MustCompile(`(?i)\bl(ies|ie|ying) beside\b`), "is next to"},
	{regexp.MustCompile(`(?i)\bstands? in the way\b`), "blocks"},
	{regexp.MustCompile(`(?i)\bnot to be had\b`), "is not available"},
	{regexp.MustCompile(`(?i)\b(judgements?|oddity|remarks?)\b`), "evaluation, anomaly, finding"},
	{regexp.MustCompile(`(?i)\b(un)?prov(e|es|ed|ing)\b`), "verify, or show"},
}

// ofPages are further words that a page for users does without: each of them hides a second sentence in the first.
var ofPages = []retiredWord{
	{regexp.MustCompile(`(?i)\bwhoever\b`), "anyone who"},
	{regexp.MustCompile(`(?i), of (which|whom)\b`), "two sentences"},
	{regexp.MustCompile(`(?i)\b(utili[sz]e|in order to|simply|please note)\b`), "a plainer word, or none"},
}

// stored are the places of a retired word that journals, roles and scripts know: they stay as they are.
var stored = regexp.MustCompile(`prove-within|"prove/|\bprove/|"prove-[a-z]+"|"prove"|"proved"|prove/\$`)

// spoken says whether a person reads a file as ours: what was recorded of others, or of versions before, stays as it
// is.
func spoken(name string) bool {
	for _, kept := range []string{"test/lint/", "test/kumavectors/", "pkg/engine/testdata/", "pkg/plan/testdata/",
		"manifests/fence/", "pkg/tsb/migration/testdata/"} {
		if strings.HasPrefix(name, kept) {
			return false
		}
	}
	switch filepath.Ext(name) {
	case ".go", ".md", ".golden", ".yaml", ".txt", ".tmpl":
		return true
	}
	return false
}

// isPage says whether a file is a page for users that is written by hand.
func isPage(name string) bool {
	return name == "README.md" ||
		strings.HasPrefix(name, "docs/") && strings.HasSuffix(name, ".md") && name != "docs/reference/commands.md"
}

// judgeWords returns the retired words of a text, as "line: what".
func judgeWords(name, text string) []string {
	refused := retired
	if isPage(name) {
		refused = slices.Concat(retired, ofPages)
	}
	var found []string
	for i, line := range strings.Split(stored.ReplaceAllString(text, ""), "\n") {
		for _, r := range refused {
			if word := r.word.FindString(line); word != "" {
				found = append(found, fmt.Sprintf("%d: %q is retired; write: %s", i+1, word, r.instead))
			}
		}
	}
	return found
}

func TestRetiredWordsStayAway(t *testing.T) {
	read := 0
	for _, name := range sources(t) {
		if !spoken(name) {
			continue
		}
		if isPage(name) {
			read++
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range judgeWords(name, string(text)) {
			t.Errorf("%s:%s", name, f)
		}
	}
	if read < 20 {
		t.Errorf("only %d pages were read", read)
	}
	for _, tc := range []struct {
		name, line string
		want       int
	}{
		{"pkg/a.go", "mend that first", 1}, {"pkg/a.go", "Create it anew.", 1}, {"pkg/a.go", "amend the commit", 0},
		{"pkg/a.go", "renewed", 0}, {"docs/install.md", "mend it", 1}, {"docs/reference/README.md", "whoever asks", 1},
		{"pkg/a.go", "whoever asks", 0}, {"README.md", "two pods, of which one", 1}, {"docs/install.md", "--prove-within", 0},
	} {
		if found := judgeWords(tc.name, tc.line); len(found) != tc.want {
			t.Errorf("%s: %q: %q, want %d", tc.name, tc.line, found, tc.want)
		}
	}
}
