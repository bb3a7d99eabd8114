package overlay

import "strings"

// step is one step of a path: the name of a field, or the selector of a list's item.
type step struct {
	name     string // as written; "" for a selector
	plain    string // the name as Plain reads it
	selector bool
	key      string // of a selector by a field: [name:edge]; "" for one by index
	value    string // of that field, without quotes
}

// parse reads a path such as spec.template.spec.containers.[name:edge].env[-1]. A name consists of letters, digits, "_"
// and "-"; a dot in it is escaped ("\."), and a slash in it stands between two other characters. A selector is an index
// or key:value, key=value, where the value may be quoted. Nothing else is a path that is understood: no space, no empty
// name, no separator at either end.
func parse(path string) ([]step, bool) {
	path = strings.ReplaceAll(path, ".[", "[")
	var steps []step
	for {
		name, rest, ok := cutName(path)
		if !ok {
			return nil, false
		}
		steps = append(steps, step{name: name, plain: Plain(name)})
		for strings.HasPrefix(rest, "[") {
			text, after, closed := strings.Cut(rest[1:], "]")
			s, ok := parseSelector(text)
			if !closed || !ok {
				return nil, false
			}
			steps, rest = append(steps, s), after
		}
		if rest == "" {
			return steps, true
		}
		if rest[0] != '.' {
			return nil, false
		}
		path = rest[1:]
	}
}

// cutName takes a name off the start of a path.
func cutName(path string) (name, rest string, ok bool) {
	i := 0
	for i < len(path) {
		switch c := path[i]; {
		case wordByte(c):
			i++
		case c == '\\' && strings.HasPrefix(path[i:], `\.`):
			i += 2
		case c == '/' && i > 0 && path[i-1] != '/':
			i++
		default:
			return path[:i], path[i:], i > 0 && path[i-1] != '/'
		}
	}
	return path, "", path != "" && path[i-1] != '/'
}

func parseSelector(text string) (step, bool) {
	if digits := strings.TrimPrefix(text, "-"); digits != "" && strings.Trim(digits, "0123456789") == "" {
		return step{selector: true}, true
	}
	at := strings.IndexAny(text, ":=")
	if at < 1 || !all(text[:at], wordByte) {
		return step{}, false
	}
	value := text[at+1:]
	if n := len(value); n >= 2 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		value = value[1 : n-1]
	}
	if value == "" || !all(value, func(c byte) bool { return wordByte(c) || c == '/' }) {
		return step{}, false
	}
	return step{selector: true, key: text[:at], value: value}, true
}

func wordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

func all(s string, is func(byte) bool) bool {
	for i := range len(s) {
		if !is(s[i]) {
			return false
		}
	}
	return true
}

// unspelled takes away in what the spellings of one key differ: JSON decoders ignore the case of ASCII letters, and
// take two other characters for an s and a k; protobuf takes snake case.
var unspelled = strings.NewReplacer("_", "", "-", "", "\u017f", "s", "\u212a", "k")

// Plain is a key without what its spellings differ in: centralAuthMode, central_auth_mode and CENTRAL-AUTH-MODE are
// one.
func Plain(key string) string {
	return lowerASCII(unspelled.Replace(key))
}

// lowerASCII changes ASCII letters alone, as CEL's lowerAscii does.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
