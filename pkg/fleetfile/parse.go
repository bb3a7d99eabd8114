package fleetfile

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The head of every fleet file.
const (
	APIVersion = "xcpauth.io/v1alpha1"
	Kind       = "Fleet"
)

// Setting is one value of the file, as the flag takes it that it stands for.
type Setting struct {
	Key    string   // "waves.size"
	Flag   string   // "wave-size"
	Values []string // one, or those of a list
	List   bool
	Path   bool // of a file; relative to the file that names it
	Line   int
}

// LineError is what is wrong in a line of the file.
type LineError struct {
	Line int
	Text string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// Parse reads the text of a fleet file, in the order of its lines. products are the values that the key product takes.
// What it does not know, it refuses: a key that is misspelled would otherwise leave a fleet larger than was meant.
func Parse(text []byte, products []string) ([]Setting, error) {
	top, err := document(text)
	if err != nil {
		return nil, err
	}
	var all []Setting
	head := map[string]bool{}
	for pair, err := range pairs(top, "", keysOf(fleetKeys)) {
		if err != nil {
			return nil, err
		}
		f := fieldOf(fleetKeys, pair.key)
		switch f.is {
		case isHead:
			head[f.key] = true
			err = f.checkHead(pair.value)
		case isWaves:
			var waves []Setting
			waves, err = parseWaves(pair.value)
			all = append(all, waves...)
		default:
			var s Setting
			s, err = f.setting("", pair.value, products)
			all = append(all, s)
		}
		if err != nil {
			return nil, err
		}
	}
	for _, f := range fleetKeys {
		if f.is == isHead && !head[f.key] {
			return nil, at(top, "%s is missing; write %s: %s", f.key, f.key, f.want)
		}
	}
	return all, together(all)
}

// document is the one mapping that the file holds.
func document(text []byte) (*yaml.Node, error) {
	var doc, more yaml.Node
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, &LineError{1, fmt.Sprintf("it is empty; it begins with apiVersion: %s and kind: %s", APIVersion, Kind)}
	case err != nil:
		return nil, syntax(err)
	}
	switch err := d.Decode(&more); {
	case err == nil:
		return nil, at(&more, "a second document begins; a fleet file holds one")
	case !errors.Is(err, io.EOF):
		return nil, syntax(err)
	}
	top := doc.Content[0]
	if top.Kind != yaml.MappingNode {
		return nil, at(top, "it is %s; it must have the keys %s", describe(top), strings.Join(keysOf(fleetKeys), ", "))
	}
	return top, nil
}

// syntax is an error of the YAML library, which begins with its own name.
func syntax(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "yaml: ")) }

// parseWaves reads the keys below waves.
func parseWaves(n *yaml.Node) ([]Setting, error) {
	if n.Kind != yaml.MappingNode {
		return nil, at(n, "waves is %s; it must have keys of its own: %s", describe(n), strings.Join(keysOf(waveKeys), ", "))
	}
	var all []Setting
	for pair, err := range pairs(n, "waves.", keysOf(waveKeys)) {
		if err != nil {
			return nil, err
		}
		s, err := fieldOf(waveKeys, pair.key).setting("waves.", pair.value, nil)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

type pair struct {
	key   string
	value *yaml.Node
}

// pairs yields the keys of a mapping with their values, and ends with an error at a key that is not known or there
// twice.
func pairs(n *yaml.Node, prefix string, known []string) func(yield func(pair, error) bool) {
	return func(yield func(pair, error) bool) {
		seen := map[string]int{}
		for i := 0; i < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if value.Kind == yaml.AliasNode {
				value = value.Alias
			}
			var err error
			switch {
			case key.Kind != yaml.ScalarNode || !slices.Contains(known, key.Value):
				err = unknown(key, prefix, known)
			case seen[key.Value] > 0:
				err = at(key, "%s%s is there twice; it is in line %d too", prefix, key.Value, seen[key.Value])
			case value.Tag == "!!null":
				err = at(key, "%s%s has no value; give it one, or leave the key out", prefix, key.Value)
			}
			if err != nil {
				yield(pair{}, err)
				return
			}
			seen[key.Value] = key.Line
			if !yield(pair{key.Value, value}, nil) {
				return
			}
		}
	}
}

// unknown refuses a key, and says what is allowed there.
func unknown(key *yaml.Node, prefix string, known []string) error {
	name := prefix + key.Value
	secret := ""
	for _, word := range []string{"token", "password", "secret"} {
		if strings.Contains(strings.ToLower(key.Value), word) {
			secret = "; no secret belongs in this file, and a token is given with --api-token"
		}
	}
	allowed := strings.Join(known, ", ")
	if prefix != "" {
		allowed = "below " + strings.TrimSuffix(prefix, ".") + ": " + allowed
	}
	return at(key, "key %q is not known%s; allowed are %s", name, secret, allowed)
}

// together refuses two keys that exclude each other.
func together(all []Setting) error {
	by := map[string]Setting{}
	for _, s := range all {
		by[s.Key] = s
	}
	api, inFile := by["globalAPI"]
	config, both := by["kumactlConfig"]
	if inFile && both {
		return &LineError{max(api.Line, config.Line),
			"globalAPI and kumactlConfig both say where the global is; keep one of them"}
	}
	return nil
}

func at(n *yaml.Node, format string, args ...any) error {
	return &LineError{max(n.Line, 1), fmt.Sprintf(format, args...)}
}
