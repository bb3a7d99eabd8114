package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// retired are the words that are not ours any more, and what to write instead. They are refused in everything that a
// person reads: messages, help, docs, comments and what tests record of them.
var retired = []struct {
	word    *regexp.Regexp
	instead string
}{
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

func TestRetiredWordsStayAway(t *testing.T) {
	for _, name := range sources(t) {
		if !spoken(name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for i, line := range strings.Split(stored.ReplaceAllString(string(text), ""), "\n") {
			for _, r := range retired {
				if word := r.word.FindString(line); word != "" {
					t.Errorf("%s:%d: %q is retired; write: %s", name, i+1, word, r.instead)
				}
			}
		}
	}
	for _, tc := range []struct {
		line string
		bad  bool
	}{{"mend that first", true}, {"Create it anew.", true}, {"amend the commit", false}, {"renewed", false}} {
		bad := false
		for _, r := range retired {
			bad = bad || r.word.MatchString(tc.line)
		}
		if bad != tc.bad {
			t.Errorf("%q: refused is %v", tc.line, bad)
		}
	}
}
