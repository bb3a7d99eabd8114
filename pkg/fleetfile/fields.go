package fleetfile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// kind is what a key holds.
type kind int8

const (
	isText kind = iota
	isPath
	isList
	isProduct
	isCount    // 0 or more
	isPause    // a duration of 0 or more
	isDuration // of more than 0
	isHead     // of the file itself
	isWaves
)

// field is a key with the flag that it stands for.
type field struct {
	key, flag string
	is        kind
	want      string // of the head: its one value
}

var fleetKeys = []field{
	{key: "apiVersion", is: isHead, want: APIVersion}, {key: "kind", is: isHead, want: Kind},
	{key: "kubeconfig", flag: "kubeconfig", is: isPath}, {key: "product", flag: "product", is: isProduct},
	{key: "hub", flag: "context"}, {key: "contexts", flag: "contexts", is: isList}, {key: "standby", flag: "standby"},
	{key: "globalAPI", flag: "global-api", is: isList}, {key: "globalCA", flag: "global-ca", is: isPath},
	{key: "kumactlConfig", flag: "kumactl-config", is: isPath}, {key: "kumactlContext", flag: "kumactl-context"},
	{key: "stateContext", flag: "state-context"}, {key: "waves", is: isWaves},
}

var waveKeys = []field{
	{key: "canary", flag: "canary"}, {key: "size", flag: "wave-size", is: isCount},
	{key: "soak", flag: "soak", is: isPause},
	{key: "proveWithin", flag: "prove-within", is: isDuration},
	{key: "rotationWithin", flag: "rotation-within", is: isDuration},
	{key: "maxFailures", flag: "max-failures", is: isCount},
}

func keysOf(fields []field) []string {
	var all []string
	for _, f := range fields {
		all = append(all, f.key)
	}
	return all
}

func fieldOf(fields []field, key string) field {
	return fields[slices.IndexFunc(fields, func(f field) bool { return f.key == key })]
}

// checkHead refuses another file than a fleet's.
func (f field) checkHead(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode || n.Value != f.want {
		return at(n, "%s is %s; it must be %s", f.key, describe(n), f.want)
	}
	return nil
}

// setting is the value of a key, of the type that its flag takes.
func (f field) setting(prefix string, n *yaml.Node, products []string) (Setting, error) {
	s := Setting{Key: prefix + f.key, Flag: f.flag, Path: f.is == isPath, Line: n.Line}
	wrong := func(n *yaml.Node, must string) (Setting, error) {
		return s, at(n, "%s is %s; it must be %s", s.Key, describe(n), must)
	}
	if f.is == isList {
		if n.Kind != yaml.SequenceNode {
			return wrong(n, "a list of text, such as [a, b]")
		}
		s.List, s.Values = true, []string{}
		for _, item := range n.Content {
			if !text(item) {
				return s, at(item, "%s holds %s; each of it must be text, in quotes where it looks like something else", s.Key,
					describe(item))
			}
			s.Values = append(s.Values, item.Value)
		}
		return s, nil
	}
	if n.Kind != yaml.ScalarNode {
		return wrong(n, f.must(products))
	}
	s.Values = []string{n.Value}
	if !f.allows(n, products) {
		return wrong(n, f.must(products))
	}
	return s, nil
}

// allows says whether a scalar is of the key's type.
func (f field) allows(n *yaml.Node, products []string) bool {
	switch f.is {
	case isProduct:
		return slices.Contains(products, n.Value)
	case isCount:
		count, err := strconv.Atoi(n.Value)
		return err == nil && count >= 0 && n.Tag == "!!int"
	case isPause, isDuration:
		d, err := time.ParseDuration(n.Value)
		return err == nil && (d > 0 || d == 0 && f.is == isPause)
	default:
		return text(n)
	}
}

// must says what a key takes.
func (f field) must(products []string) string {
	switch f.is {
	case isProduct:
		return "one of " + strings.Join(products, ", ")
	case isCount:
		return "a whole number of 0 or more"
	case isPause:
		return "a duration of 0 or more, such as 90s or 1h"
	case isDuration:
		return "a duration of more than 0, such as 90s or 1h"
	case isPath:
		return "the path of a file, as text"
	default:
		return "text, in quotes where it looks like something else"
	}
}

// text says whether a node is a text that is not empty.
func text(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value != "" }

// describe says what stands in the file.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "a reference"
	case n.Value == "":
		return "empty"
	case n.Tag == "!!str":
		return fmt.Sprintf("%q", n.Value)
	case n.Tag == "!!int", n.Tag == "!!float":
		return "the number " + n.Value
	}
	return n.Value
}
