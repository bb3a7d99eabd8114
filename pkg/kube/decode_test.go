package kube

import (
	"reflect"
	"strings"
	"testing"
)

// What an API server answers is taken as it is spelled, and what can be read in two ways is not read.
func TestAnAnswerIsTakenAsItIsSpelled(t *testing.T) {
	for _, tc := range []struct{ name, body, want, err string }{
		{"as documented", `{"metadata":{"name":"a"}}`, "a", ""},
		{"another spelling is another field", `{"metadata":{"Name":"a"}}`, "", ""},
		{"one name twice", `{"metadata":{"name":"a","name":"b"}}`, "", "duplicate"},
		{"not UTF-8", "{\"metadata\":{\"name\":\"\xff\"}}", "", "UTF-8"},
		{"cut", `{"metadata":{"name":"a"`, "", "EOF"},
		{"more than one", `{"metadata":{"name":"a"}}{}`, "", "after"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var o Identified
			err := Decode([]byte(tc.body), &o)
			switch {
			case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
				t.Errorf("the error is %v, want one with %q", err, tc.err)
			case tc.err == "" && (err != nil || o.Metadata.Name != tc.want):
				t.Errorf("the name is %q (%v), want %q", o.Metadata.Name, err, tc.want)
			}
		})
	}
}

// A list without items is none, and trimming does not make it an empty one.
func TestWhatHasNoItemsIsNoList(t *testing.T) {
	for _, tc := range []struct {
		body string
		n    int
		err  string
	}{
		{`{"kind":"PodList","items":[]}`, 0, ""},
		{`{"kind":"PodList","items":null}`, 0, ""},
		{`{"items":[{"metadata":{"name":"a"}}]}`, 1, ""},
		{`{}`, 0, "no items"},
		{`{"Items":[]}`, 0, "no items"},
		{`{"spec":{"items":[]}}`, 0, "no items"},
		{`{"items":{}}`, 0, "items"},
		{`[]`, 0, "array"},
		{`null`, 0, "no items"},
	} {
		for _, body := range []string{tc.body, string(TrimList([]byte(tc.body), func(*Identified) bool { return true }))} {
			items, err := DecodeList[Identified]([]byte(body))
			if len(items) != tc.n || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
				t.Errorf("%s: %d items, %v", body, len(items), err)
			}
		}
	}
}

// What is left of a pod reads as the pod does, to the last thing that is there and empty: a variable that comes from
// something else than a secret is not one without a value.
func TestWhatIsLeftOfAPodReadsAsThePod(t *testing.T) {
	for _, body := range []string{
		`{"metadata":{"name":"a","uid":"1","generation":2,"annotations":{"x":"y"},"managedFields":[{"manager":"m"}],
			"ownerReferences":[{"kind":"ReplicaSet","uid":"2","controller":true}]},
			"spec":{"hostNetwork":true,"containers":[{"name":"c","image":"i","args":["a"],"envFrom":[{"configMapRef":{}}],
			"env":[{"name":"E","value":"v"},{"name":"F","valueFrom":{"configMapKeyRef":{"name":"x"}}},
			{"name":"G","valueFrom":{"secretKeyRef":{}}}],"volumeMounts":[{"name":"v","mountPath":"/v"}]}],
			"volumes":[{"name":"s","secret":{}},{"name":"p","projected":{"sources":[{"secret":{"name":"t"}},{}]}},
			{"name":"e","emptyDir":{}},{"name":"m","configMap":{"name":"n","items":[{"key":"k","path":"p"}]}}]},
			"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}],
			"containerStatuses":[{"name":"c","state":{"running":{}}},{"name":"d","state":{"waiting":{}}}]}}`,
		`{}`,
		`{"spec":{"containers":null,"volumes":[]},"status":{"containerStatuses":[{}]}}`,
	} {
		var whole, left Pod
		if err := Decode([]byte(body), &whole); err != nil {
			t.Fatal(err)
		}
		trimmed := Trim[Pod]([]byte(body))
		if err := Decode(trimmed, &left); err != nil {
			t.Fatalf("%v: %s", err, trimmed)
		}
		if !reflect.DeepEqual(settled(whole), settled(left)) || strings.Contains(string(trimmed), "managedFields") {
			t.Errorf("of %s\nis left %s", body, trimmed)
		}
	}
}

// settled is a pod whose empty lists are nil: there is no difference.
func settled(p Pod) Pod {
	if len(p.Spec.Containers) == 0 {
		p.Spec.Containers = nil
	}
	if len(p.Spec.Volumes) == 0 {
		p.Spec.Volumes = nil
	}
	return p
}

// What is not as its kind says stays as it is: who reads it says so.
func TestWhatDoesNotFitStaysAsItIs(t *testing.T) {
	for _, body := range []string{`{"metadata":[]}`, `{`, ``} {
		if got := string(Trim[Pod]([]byte(body))); got != body {
			t.Errorf("of %q is left %q", body, got)
		}
	}
}
