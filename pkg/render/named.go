package render

import (
	"fmt"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// named is a patch whose lists by name are written as values under that name, for people: env[NAME]. A value that is
// literally a token is masked. Another patch is as it was.
func named(p plan.Write) plan.Write {
	if p.ListsByName {
		p.Before, p.After = entries(p.Before, "*** (before)"), entries(p.After, "*** (after)")
	}
	return p
}

// entries writes the lists of a value by name.
func entries(m map[string]any, mask string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		list, ok := v.([]any)
		if sub, isMap := v.(map[string]any); isMap {
			v = entries(sub, mask)
		}
		if out[k] = v; !ok {
			continue
		}
		delete(out, k)
		for _, e := range list {
			entry, _ := e.(map[string]any)
			out[fmt.Sprintf("%s[%v]", k, entry["name"])] = entryText(entry, mask)
		}
	}
	return out
}

// entryText is an entry without its name: a variable's value, where that comes from, or what it holds; nil when it is
// absent.
func entryText(e map[string]any, mask string) any {
	if v, ok := e["value"].(string); ok {
		if strings.HasPrefix(v, "eyJ") { // how every JWT begins, and other encoded JSON
			return mask
		}
		return v
	}
	from, _ := e["valueFrom"].(map[string]any)
	if ref, ok := from["secretKeyRef"].(map[string]any); ok {
		return fmt.Sprintf("key %v of secret %v", ref["key"], ref["name"])
	}
	rest := map[string]any{}
	for k, v := range e {
		if k != "name" && v != nil {
			rest[k] = v
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return entries(rest, mask)
}
