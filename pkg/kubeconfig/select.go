package kubeconfig

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// choose returns the names that the patterns choose, sorted. A pattern is a name, whatever it looks like, or else a
// /regular expression/ that must match somewhere, or either of them behind a ^, which takes names away (the grammar
// of kubectl-foreach). No patterns, or only ones that take away, start from all names. A plain name that is not
// there, and a pattern that matches nothing, is an error: it is a typing mistake that would leave a cluster out.
// Names may share one pattern, with commas between them.
func choose(names, patterns []string) ([]string, error) {
	patterns = parts(names, patterns)
	var chosen []string
	include := false
	for _, p := range patterns {
		include = include || !strings.HasPrefix(p, "^") || slices.Contains(names, p)
	}
	if !include {
		chosen = slices.Clone(names)
	}
	for _, p := range patterns {
		body, exclude := strings.CutPrefix(p, "^")
		if slices.Contains(names, p) {
			body, exclude = p, false
		}
		match := func(name string) bool { return name == body }
		if !slices.Contains(names, body) && len(body) > 1 && strings.HasPrefix(body, "/") && strings.HasSuffix(body, "/") {
			re, err := regexp.Compile(body[1 : len(body)-1])
			if err != nil {
				return nil, fmt.Errorf("reading the pattern %q of --contexts: %w", p, err)
			}
			match = re.MatchString
		}
		hit := false
		for _, n := range names {
			if !match(n) {
				continue
			}
			hit = true
			if exclude {
				chosen = slices.DeleteFunc(chosen, func(c string) bool { return c == n })
			} else {
				chosen = append(chosen, n)
			}
		}
		if !hit {
			return nil, fmt.Errorf("no context of the kubeconfig matches %q of --contexts; kubectl config get-contexts -o name lists them", p)
		}
	}
	slices.Sort(chosen)
	return slices.Compact(chosen), nil
}

// parts splits lists of names at their commas. The comma of a name that is there, and of a /regular expression/, is a
// part of it.
func parts(names, patterns []string) []string {
	var all []string
	for _, p := range patterns {
		body := strings.TrimPrefix(p, "^")
		whole := slices.Contains(names, p) || slices.Contains(names, body) ||
			len(body) > 1 && strings.HasPrefix(body, "/") && strings.HasSuffix(body, "/")
		if whole {
			all = append(all, p)
		} else {
			all = append(all, strings.Split(p, ",")...)
		}
	}
	return all
}
