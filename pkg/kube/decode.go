package kube

import "github.com/go-json-experiment/json"

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
