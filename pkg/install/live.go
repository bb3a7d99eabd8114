package install

import (
	"encoding/json"
	"reflect"
	"slices"
)

// Joined is an object as it is applied over the one that is there, as JSON, nil for none. Who was bound to a role stays
// bound beside those who are bound now: a binding of people is added to, and not replaced.
func Joined(o Object, there []byte) Object {
	var live Object
	if !BindsPeople(o) || json.Unmarshal(there, &live) != nil {
		return o
	}
	subjects, _ := o["subjects"].([]any)
	bound, _ := live["subjects"].([]any)
	all := slices.Clone(bound)
	for _, s := range subjects {
		if !slices.ContainsFunc(all, func(has any) bool { return reflect.DeepEqual(has, s) }) {
			all = append(all, s)
		}
	}
	joined := make(Object, len(o))
	for key, v := range o {
		joined[key] = v
	}
	joined["subjects"] = all
	return joined
}

// BindsPeople says whether an object binds users and groups, and no program of ours.
func BindsPeople(o Object) bool {
	subjects, _ := o["subjects"].([]any)
	return len(subjects) > 0 && !slices.ContainsFunc(subjects, func(s any) bool {
		return s.(Object)["kind"] == "ServiceAccount"
	})
}

// Same says whether two states of an object, as JSON, differ in nothing but what the API server writes of itself.
func Same(before, after []byte) bool {
	var states [2]Object
	for i, text := range [][]byte{before, after} {
		if json.Unmarshal(text, &states[i]) != nil {
			return false
		}
		delete(states[i], "status")
		if metadata, ok := states[i]["metadata"].(Object); ok {
			for _, key := range []string{"managedFields", "resourceVersion", "generation"} {
				delete(metadata, key)
			}
		}
	}
	return reflect.DeepEqual(states[0], states[1])
}
