package render

import (
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// diffOf is what a patch does to its object as a unified diff of the YAML of our paths, before and after. What a secret
// holds is masked, as kubectl diff does; what is not in the plan is said not to be.
func diffOf(p plan.Write) string {
	name := fmt.Sprintf("%s in %s", p.Object, p.Context)
	if p.Op == plan.OpDelete {
		return fmt.Sprintf("--- %s\n+++ (deleted)\n", name)
	}
	p = named(p)
	before, after := known(p.Before, p.After), present(p.After)
	from := name
	if p.Op == plan.OpCreate {
		before, from = map[string]any{}, "(not there)"
	}
	if p.Object.Kind == "Secret" {
		mask(before, after)
	}
	switch {
	case p.SecretField != "" && p.Op == plan.OpCreate: // what the executor makes
		after["data"] = "*** (made when it is written)"
	case p.SecretField != "": // a private key that only the executor holds
		after["data"] = merge(after["data"], "tls.key", "*** (after)")
		before["data"] = merge(before["data"], "tls.key", "*** (before)")
	}
	a, b := document(before), document(after)
	var text strings.Builder
	fmt.Fprintf(&text, "--- %s\n+++ %s\n@@ -%s +%s @@\n", from, name, span(len(a)), span(len(b)))
	for _, line := range unified(a, b) {
		text.WriteString(line + "\n")
	}
	return text.String()
}

// span is a hunk's range of n lines that begins at the first.
func span(n int) string {
	if n == 0 {
		return "0,0"
	}
	return fmt.Sprintf("1,%d", n)
}

func merge(v any, key, value string) map[string]any {
	m, _ := v.(map[string]any)
	merged := map[string]any{key: value}
	for k, old := range m {
		merged[k] = old
	}
	return merged
}

// known is what before says at the paths of after; where it says nothing about a value that is removed, that this is
// not known.
func known(before, after map[string]any) map[string]any {
	out := present(before)
	for k, v := range after {
		was, said := before[k]
		sub, isMap := v.(map[string]any)
		wasMap, _ := was.(map[string]any)
		switch {
		case isMap && (said || len(sub) > 0):
			if inner := known(wasMap, sub); len(inner) > 0 {
				out[k] = inner
			}
		case v == nil && !said:
			out[k] = "(whatever it says by then)"
		}
	}
	return out
}

// present is m without what is null: a null removes, or says that there is nothing.
func present(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		switch v := v.(type) {
		case nil:
		case map[string]any:
			if sub := present(v); len(sub) > 0 || len(v) == 0 {
				out[k] = sub
			}
		default:
			out[k] = v
		}
	}
	return out
}

// mask hides the values of a secret.
func mask(before, after map[string]any) {
	for _, key := range []string{"data", "stringData"} {
		a, _ := before[key].(map[string]any)
		b, _ := after[key].(map[string]any)
		maskedA, maskedB := map[string]any{}, map[string]any{}
		for k, v := range a {
			maskedA[k] = "*** (before)"
			if same, there := b[k]; there && same == v {
				maskedA[k] = "***"
			}
		}
		for k := range b {
			maskedB[k] = "*** (after)"
			if maskedA[k] == "***" {
				maskedB[k] = "***"
			}
		}
		if len(maskedA) > 0 {
			before[key] = maskedA
		}
		if len(maskedB) > 0 {
			after[key] = maskedB
		}
	}
}

// document is the lines of a value as YAML, none when it is empty.
func document(m map[string]any) []string {
	if len(m) == 0 {
		return nil
	}
	b, err := yaml.Marshal(m)
	if err != nil {
		return []string{"(not YAML: " + err.Error() + ")"}
	}
	return strings.Split(strings.TrimRight(string(b), "\n"), "\n")
}

// unified marks the lines of two texts as kept, taken away and added: a longest common subsequence, with all context.
func unified(a, b []string) []string {
	common := make([][]int, len(a)+1) // of the lines from i and j on
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			} else {
				common[i][j] = max(common[i+1][j], common[i][j+1])
			}
		}
	}
	var lines []string
	i, j := 0, 0
	for i < len(a) || j < len(b) {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			lines = append(lines, " "+a[i])
			i, j = i+1, j+1
		case i < len(a) && (j == len(b) || common[i+1][j] >= common[i][j+1]):
			lines = append(lines, "-"+a[i])
			i++
		default:
			lines = append(lines, "+"+b[j])
			j++
		}
	}
	return lines
}
