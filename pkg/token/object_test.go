package token

import (
	"reflect"
	"testing"
)

// What the fast reader takes, the lenient one reads alike, and finds no key in it twice.
func FuzzObject(f *testing.F) {
	for _, text := range []string{`{}`, `null`, `[]`, `{"a":1}`, `{"a":1}x`, `{"a":1}{}`, `{"a":01}`, `{"exp":1e999}`,
		`{"a":1,"a":2}`, `{"a":{"b":[{"c":1,"c":2}]}}`, `{"a":1,"\u0061":2}`, `{"":0,"A":1,"a":2}`,
		` {"a" : [1, 2.50e1, null, true] , "b":"\u00e9"} `, `{"a":"\ud800"}`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, twice, err := object(text)
		want, wantTwice, wantErr := oddObject(text)
		if !reflect.DeepEqual(got, want) || twice != wantTwice || (err == nil) != (wantErr == nil) {
			t.Errorf("%q is read as %q, twice %q (%v), and by the lenient reader as %q, twice %q (%v)", text, got, twice, err,
				want, wantTwice, wantErr)
		}
	})
}
