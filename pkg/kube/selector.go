package kube

import (
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Selector is what we read of a label selector. Its expressions, which we do not read, narrow it.
type Selector struct {
	MatchLabels map[string]string `json:"matchLabels,omitempty"`
}

// may says whether the selector may select what has these labels. One that says nothing may select anything.
func (s Selector) may(of labels) bool {
	for name, value := range s.MatchLabels {
		if has, there := of.get(name); !there || has != value {
			return false
		}
	}
	return true
}

// labels are names and values, in a third of what a map takes: a thousand clusters have many pods.
type labels [][2]string

// get is the value of a label.
func (l labels) get(name string) (value string, there bool) {
	i := slices.IndexFunc(l, func(one [2]string) bool { return one[0] == name })
	if i < 0 {
		return "", false
	}
	return l[i][1], true
}

// UnmarshalJSONFrom reads an object of texts.
func (l *labels) UnmarshalJSONFrom(from *jsontext.Decoder) error {
	var all map[string]string
	if err := json.UnmarshalDecode(from, &all); err != nil || len(all) == 0 {
		return err
	}
	*l = make(labels, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		*l = append(*l, [2]string{name, all[name]})
	}
	return nil
}

// MarshalJSONTo writes the object that was read.
func (l labels) MarshalJSONTo(to *jsontext.Encoder) error {
	tokens := []jsontext.Token{jsontext.BeginObject}
	for _, one := range l {
		tokens = append(tokens, jsontext.String(one[0]), jsontext.String(one[1]))
	}
	for _, t := range append(tokens, jsontext.EndObject) {
		if err := to.WriteToken(t); err != nil {
			return err
		}
	}
	return nil
}
