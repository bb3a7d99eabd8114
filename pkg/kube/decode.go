package kube

import (
	"bytes"
	"errors"
	"io"
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
	return eachItem(body, func(from *jsontext.Decoder, to *bytes.Buffer) error {
		var o T
		if err := json.UnmarshalDecode(from, &o); err != nil || !keep(&o) {
			return err
		}
		return json.MarshalWrite(to, o)
	})
}

// TrimItems leaves of the objects of a list what left says, and takes those out of which that is nothing. It gets an
// object's text, which it must not keep. What is no list stays as it is, and does not become an empty one.
func TrimItems(body []byte, left func(object []byte) []byte) []byte {
	return eachItem(body, func(from *jsontext.Decoder, to *bytes.Buffer) error {
		object, err := from.ReadValue()
		if err != nil {
			return err
		}
		_, err = to.Write(left(object))
		return err
	})
}

// eachItem makes a list of what each writes of its items, one after the other: lists are large, and what is left of
// them is small. It returns the body where that is no list, or each fails.
func eachItem(body []byte, each func(from *jsontext.Decoder, to *bytes.Buffer) error) []byte {
	from := jsontext.NewDecoder(bytes.NewBuffer(body))
	to := bytes.NewBufferString(`{"items":[`)
	if from.PeekKind() != '{' {
		return body
	}
	_, err := from.ReadToken()
	found := false
	for err == nil && from.PeekKind() == '"' {
		var name jsontext.Token
		switch name, err = from.ReadToken(); {
		case err != nil:
		case name.String() != "items":
			err = from.SkipValue()
		case from.PeekKind() != '[':
			return body
		default:
			found, err = true, items(from, to, each)
		}
	}
	if err == nil {
		_, err = from.ReadToken() // the end of the object
	}
	if _, more := from.ReadToken(); err != nil || !found || !errors.Is(more, io.EOF) {
		return body
	}
	to.WriteString("]}")
	return to.Bytes()
}

// items has each read the items of an array, and separates what it writes of them.
func items(from *jsontext.Decoder, to *bytes.Buffer, each func(*jsontext.Decoder, *bytes.Buffer) error) error {
	_, err := from.ReadToken() // the beginning of the array
	begin := to.Len()
	for err == nil && from.PeekKind() != ']' {
		before := to.Len()
		if before > begin {
			to.WriteByte(',')
		}
		written := to.Len()
		if err = each(from, to); to.Len() == written {
			to.Truncate(before)
		}
	}
	if err == nil {
		_, err = from.ReadToken() // its end
	}
	return err
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
