package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

// An exception of a linter that names a file which was moved hides nothing where it stands, and is missed where the
// file went: each alternative of a path must match a file.
func TestEveryExceptionOfALinterNamesFilesThatAreThere(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Linters struct {
			Exclusions struct {
				Rules []struct {
					Path string `json:"path"`
				} `json:"rules"`
			} `json:"exclusions"`
		} `json:"linters"`
	}
	if err := yaml.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	files := sources(t)
	there := func(pattern string) bool {
		return slices.ContainsFunc(files, regexp.MustCompile(pattern).MatchString)
	}
	seen := 0
	for _, r := range config.Linters.Exclusions.Rules {
		for _, p := range alternatives(r.Path) {
			seen++
			if !there(p) {
				t.Errorf(".golangci.yml: no file matches %s, which the exception %s names", p, r.Path)
			}
		}
	}
	if seen == 0 {
		t.Error("no exception was looked at")
	}
}

// alternation is the group in a path that lists names: "^pkg/(a|b)\.go$".
var alternation = regexp.MustCompile(`^(.*?)\(([^()]*\|[^()]*)\)(.*)$`)

// alternatives returns one pattern for each name that a path lists.
func alternatives(pattern string) []string {
	parts := alternation.FindStringSubmatch(pattern)
	if parts == nil {
		return []string{pattern}
	}
	var all []string
	for _, name := range regexp.MustCompile(`\|`).Split(parts[2], -1) {
		all = append(all, parts[1]+name+parts[3])
	}
	return all
}

func TestAlternativesOfAPath(t *testing.T) {
	got := alternatives(`^pkg/(a|b/c)\.go$`)
	if want := []string{`^pkg/a\.go$`, `^pkg/b/c\.go$`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
