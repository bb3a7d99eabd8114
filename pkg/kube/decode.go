package kube

import (
	"errors"
	"maps"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Decode decodes what an API server answered. Names are as they are spelled, and an object with one name twice is an
// error, as is text that is not UTF-8: what cannot be told is not guessed.
func Decode(body []byte, into any) error { return json.Unmarshal(body, into) }

// Trim leaves of an answer what T has a field for. What does not fit T stays as it is.
func Trim[T any](body []byte) []byte {
	var kept T
	if Decode(body, &kept) != nil {
		return body
	}
	b, err := json.Marshal(kept)
	if err != nil {
		return body
	}
	return b
}

// DecodeList decodes the objects of a list. What has no items is none, and not an empty one.
func DecodeList[T any](body []byte) ([]T, error) {
	var list struct {
		Items []T `json:"items"`
	}
	if err := Decode(body, &list); err != nil {
		return nil, err
	}
	if list.Items == nil {
		var says struct {
			Items jsontext.Value `json:"items"`
		}
		if err := Decode(body, &says); err != nil || len(says.Items) == 0 {
			return nil, errors.New("it has no items")
		}
	}
	return list.Items, nil
}

// TrimList leaves of the objects of a list what T has a field for, and of them those that keep says; it may take more
// out of them. What is no list of them stays as it is.
func TrimList[T any](body []byte, keep func(*T) bool) []byte {
	items, err := DecodeList[T](body)
	if err != nil {
		return body
	}
	kept := make([]T, 0, len(items))
	for i := range items {
		if keep(&items[i]) {
			kept = append(kept, items[i])
		}
	}
	b, err := json.Marshal(map[string][]T{"items": kept})
	if err != nil {
		return body
	}
	return b
}

// longestNote is how long the values are at most that are read of annotations here.
const longestNote = 1 << 10

// TrimNotes leaves of the objects of a list all but the annotations that are longer than any that is read here: half
// of an object may be the configuration that was last applied to it. What is no list stays as it is.
func TrimNotes(body []byte) []byte {
	objects, err := DecodeList[map[string]jsontext.Value](body)
	if err != nil {
		return body
	}
	for _, o := range objects {
		var metadata, notes map[string]jsontext.Value
		if Decode(o["metadata"], &metadata) != nil || Decode(metadata["annotations"], &notes) != nil {
			continue
		}
		maps.DeleteFunc(notes, func(_ string, v jsontext.Value) bool { return len(v) > longestNote })
		if metadata["annotations"], err = json.Marshal(notes); err == nil {
			o["metadata"], err = json.Marshal(metadata)
		}
		if err != nil {
			return body
		}
	}
	b, err := json.Marshal(map[string]any{"items": objects})
	if err != nil {
		return body
	}
	return b
}
