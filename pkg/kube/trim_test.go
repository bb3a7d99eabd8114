package kube

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is kept of a plane tells all that is read of it: who looks after it, and what it says.
func TestOnlyLongAnnotationsAreTakenOut(t *testing.T) {
	long := strings.Repeat("x", longestNote)
	for name, tc := range map[string]struct{ body, want string }{
		"a long one beside a short one": {
			`{"items":[{"metadata":{"annotations":{"a":"` + long + `","b":"kept"},"name":"p"},"spec":{"x":1}}]}`,
			`{"items":[{"metadata":{"annotations":{"b":"kept"},"name":"p"},"spec":{"x":1}}]}`},
		"none":       {`{"items":[{"metadata":{"name":"p"}}]}`, `{"items":[{"metadata":{"name":"p"}}]}`},
		"no objects": {`{"items":[]}`, `{"items":[]}`},
		"no list":    {`{"kind":"Status"}`, `{"kind":"Status"}`},
		"annotations of no sort": {`{"items":[{"metadata":{"annotations":7}}]}`,
			`{"items":[{"metadata":{"annotations":7}}]}`},
		"two names that are alike": {`{"items":[{"a":1,"a":2}]}`, `{"items":[{"a":1,"a":2}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(TrimNotes([]byte(tc.body))); !sameJSON(t, got, tc.want) {
				t.Errorf("%s\nbecomes %s\nwant %s", tc.body, got, tc.want)
			}
		})
	}
}

// sameJSON compares texts that no decoder need take.
func sameJSON(t *testing.T, a, b string) bool {
	t.Helper()
	if a == b {
		return true
	}
	var left, right any
	if Decode([]byte(a), &left) != nil || Decode([]byte(b), &right) != nil {
		return false
	}
	return cmp.Equal(left, right)
}

// A ReplicaSet is left out only where each of its owners is known, by name, to be another's.
func TestAReplicaSetIsAnothersWhenAllItsOwnersAre(t *testing.T) {
	for owners, want := range map[string]bool{
		``:                            false,
		`{"name":"edge","uid":"1"}`:   false,
		`{"name":"istiod","uid":"1"}`: true,
		`{"uid":"1"}`:                 false,
		`{"name":"istiod","uid":"1"},{"uid":"2"}`:    false,
		`{"name":"istiod"},{"name":"edge"}`:          false,
		`{"name":"istiod"},{"name":"otel","uid":""}`: true,
	} {
		var rs ReplicaSet
		if err := Decode([]byte(`{"metadata":{"ownerReferences":[`+owners+`]}}`), &rs); err != nil {
			t.Fatal(err)
		}
		if got := rs.OfAnother("central", "edge"); got != want {
			t.Errorf("owners %s: %t, want %t", owners, got, want)
		}
	}
}

// What is no whole list of what is asked for stays as it is, for the reader to judge: half of it never becomes a
// shorter list.
func TestAListIsTrimmedWholeOrNotAtAll(t *testing.T) {
	type named struct {
		Name string `json:"name"`
	}
	for name, tc := range map[string]struct{ body, want string }{
		"a field that is not read": {`{"kind":"L","items":[{"name":"a","x":[1,{}]},{"name":"b"}],"z":[{}]}`,
			`{"items":[{"name":"a"},{"name":"b"}]}`},
		"one that is not kept first": {`{"items":[{"name":"drop"},{"name":"a"}]}`, `{"items":[{"name":"a"}]}`},
		"one that is not kept last":  {`{"items":[{"name":"a"},{"name":"drop"}]}`, `{"items":[{"name":"a"}]}`},
		"none that is kept":          {`{"items":[{"name":"drop"},{"name":"drop"}]}`, `{"items":[]}`},
		"no objects":                 {` {"items" : [ ] } `, `{"items":[]}`},
		"another spelling":           {`{"Items":[{"name":"a"}]}`, ""},
		"no items":                   {`{"kind":"L"}`, ""},
		"items that are null":        {`{"items":null}`, ""},
		"items that are an object":   {`{"items":{"name":"a"}}`, ""},
		"items twice":                {`{"items":[{"name":"a"}],"items":[]}`, ""},
		"one name twice":             {`{"items":[{"name":"a","name":"b"}]}`, ""},
		"one name twice beside them": {`{"items":[],"x":{"a":1,"a":2}}`, ""},
		"text that is not UTF-8":     {"{\"items\":[{\"name\":\"\xff\"}]}", ""},
		"cut in an object":           {`{"items":[{"name":"a"},{"na`, ""},
		"cut after an object":        {`{"items":[{"name":"a"},`, ""},
		"cut after the items":        {`{"items":[{"name":"a"}]`, ""},
		"more after the end":         {`{"items":[]}{"items":[]}`, ""},
		"no comma":                   {`{"items":[{"name":"a"} {"name":"b"}]}`, ""},
		"no object":                  {`["items"]`, ""},
		"nothing":                    {``, ""},
	} {
		t.Run(name, func(t *testing.T) {
			want := tc.want
			if want == "" {
				want = tc.body
			}
			byType := TrimList([]byte(tc.body), func(n *named) bool { return n.Name != "drop" })
			byText := TrimItems([]byte(tc.body), func(object []byte) []byte {
				if left := Trim[named](object); !strings.Contains(string(left), "drop") {
					return left
				}
				return nil
			})
			if string(byType) != want || string(byText) != want {
				t.Errorf("%s\nbecomes %s\nand     %s\nwant    %s", tc.body, byType, byText, want)
			}
		})
	}
}

// An object that does not fit what is read of it keeps its text, beside those that do; a list of a type stays whole.
func TestAnObjectThatDoesNotFitKeepsItsText(t *testing.T) {
	type named struct {
		Name string `json:"name"`
	}
	body := []byte(`{"items":[{"name":"a","x":1},{"name":7,"x":1}]}`)
	if got := string(TrimItems(body, Trim[named])); got != `{"items":[{"name":"a"},{"name":7,"x":1}]}` {
		t.Errorf("by text: %s", got)
	}
	if got := TrimList(body, func(*named) bool { return true }); string(got) != string(body) {
		t.Errorf("by type: %s", got)
	}
}
