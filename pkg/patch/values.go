package patch

import (
	"fmt"
	"reflect"
	"slices"
)

// Strategic makes a strategic merge patch of values in which lists are of named entries.
func Strategic(values map[string]any) map[string]any {
	patch := map[string]any{}
	for k, v := range values {
		switch v := v.(type) {
		case map[string]any:
			patch[k] = Strategic(v)
		case []any:
			list := make([]any, 0, len(v))
			for _, e := range v {
				entry, _ := e.(map[string]any)
				if absent(entry) {
					list = append(list, map[string]any{"name": entry["name"], "$patch": "delete"})
				} else {
					list = append(list, Strategic(entry))
				}
			}
			patch[k] = list
		default:
			patch[k] = v
		}
	}
	return patch
}

// Leaves are the paths of the values that a patch writes, as managedFields name them. With byName, an entry of a list
// is one value, unless it holds a list itself.
func Leaves(values map[string]any, byName bool) [][]string {
	var all [][]string
	for key, v := range values {
		var below [][]string
		switch v := v.(type) {
		case map[string]any:
			below = Leaves(v, byName)
		case []any:
			if byName {
				below = entries(v)
			}
		}
		if len(below) == 0 {
			below = [][]string{nil}
		}
		for _, path := range below {
			all = append(all, append([]string{key}, path...))
		}
	}
	return all
}

func entries(list []any) [][]string {
	var all [][]string
	for _, e := range list {
		entry, _ := e.(map[string]any)
		at := fmt.Sprintf("k:{%q:%q}", "name", entry["name"])
		var below [][]string
		for key, v := range entry {
			if inner, ok := v.([]any); ok {
				for _, path := range entries(inner) {
					below = append(below, append([]string{key}, path...))
				}
			}
		}
		if len(below) == 0 {
			below = [][]string{nil}
		}
		for _, path := range below {
			all = append(all, append([]string{at}, path...))
		}
	}
	return all
}

// Matches says whether live has, at every leaf of want, the same value. A nil leaf wants the path absent or null.
// With byName, a list in want is of named entries, each of which live has, or lacks where everything but its name is
// nil.
func Matches(live any, want map[string]any, byName bool) bool {
	m, _ := live.(map[string]any)
	for k, v := range want {
		switch v := v.(type) {
		case map[string]any:
			if !Matches(m[k], v, byName) {
				return false
			}
		case []any:
			if !byName && !reflect.DeepEqual(m[k], v) || byName && !matchesNamed(m[k], v) {
				return false
			}
		default:
			if !reflect.DeepEqual(m[k], v) {
				return false
			}
		}
	}
	return true
}

// matchesNamed says whether a list has each of the named entries as it is wanted.
func matchesNamed(live any, want []any) bool {
	list, _ := live.([]any)
	for _, w := range want {
		entry, _ := w.(map[string]any)
		i := slices.IndexFunc(list, func(l any) bool { m, _ := l.(map[string]any); return m["name"] == entry["name"] })
		switch {
		case i < 0 && absent(entry):
		case i < 0, absent(entry), !Matches(list[i], entry, true):
			return false
		}
	}
	return true
}

// absent says whether a named entry is one that is not to be there.
func absent(entry map[string]any) bool {
	for k, v := range entry {
		if k != "name" && v != nil {
			return false
		}
	}
	return true
}
