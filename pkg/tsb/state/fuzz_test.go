package state

import (
	"encoding/json"
	"maps"
	"testing"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// stanzaOf is the reference reading of the one place that counts: nil unless every level is an object.
func stanzaOf(obj map[string]any) map[string]any {
	for _, key := range []string{"spec", "components", "xcp"} {
		obj, _ = obj[key].(map[string]any)
	}
	return obj
}

// Whatever is stored: a credential is accepted only where the stanza has it literally true under its documented key,
// refused only where it is literally false or left out beside another that is true; an edge presents only what is its
// documented word; and two objects with one basis accept the same.
func FuzzStanza(f *testing.F) {
	seed := func(xcp any) string {
		b, err := json.Marshal(map[string]any{"spec": map[string]any{"components": map[string]any{"xcp": xcp}}})
		if err != nil {
			f.Fatal(err)
		}
		return string(b)
	}
	for _, c := range cases.All() {
		f.Add(seed(c.Old), seed(c.New))
	}
	for _, s := range []string{
		`{}`, `{"spec":null}`, `{"spec":[]}`, `{"spec":{"components":"x"}}`,
		`{"spec":{"components":{"xcp":[{"centralAuthModes":{"jwt":true}}]}}}`,
		`{"spec":{"components":{"xcp":{"centralAuthModes":{"mutual\u0054ls":true,"jwt":true}}}}}`,
		`{"spec":{"components":{"xcp":{"centralAuthModes":{"jwt":true,"jwt":false}}}}}`,
		`{"spec":{"components":{"xcp":{"centralAuthMode":"JWT"}}}}`,
		`{"spec":{"components":{"xcp":{"centralAuthMode":"jwt"}}}}`,
		`{"spec":{"components":{"xcp":{"centralAuthMode":2,"central_auth_mode":"JWT"}}}}`,
		`{"spec":{"components":{"xcp":{"centralAuthMode":"MUTUAL_TLS","kubeSpec":{"overlays":[{"kind":"EdgeXcp","patches":[{"path":"spec.centralAuthMode"}]}]}}}}}`,
		`{"spec":{"components":{"xcp":{"kubeSpec":{"overlays":[1,{"kind":"CENTRALXCP","patches":[null,{"path":7,"value":"auth"}]}]},"centralAuthModes":{"jwt":true,"mutualTls":true}}}}}`,
		`{"spec":{"components":{"xcp":{"kube_spec":{"auth":1},"centralAuthModes":{"jwt":true}}}}}`,
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		var one, other map[string]any
		if json.Unmarshal([]byte(a), &one) != nil || json.Unmarshal([]byte(b), &other) != nil {
			return
		}
		hub, _ := ReadHub(one)
		modes, _ := stanzaOf(one)["centralAuthModes"].(map[string]any)
		for key, c := range map[string]guard.Cred{"mutualTls": MTLS, "jwt": JWT} {
			v, written := modes[key]
			switch hub.Accepts[c] {
			case guard.Yes:
				if v != true {
					t.Errorf("%s is read as accepted from %v", c, modes)
				}
			case guard.No:
				if v != false && (written || modes["jwt"] != true && modes["mutualTls"] != true) {
					t.Errorf("%s is read as not accepted from %v", c, modes)
				}
			}
		}
		if mode, _ := ReadEdge(one); mode == JWT && stanzaOf(one)["centralAuthMode"] != "JWT" || mode == MTLS &&
			stanzaOf(one)["centralAuthMode"] != "MUTUAL_TLS" {
			t.Errorf("%s is read from %s", mode, a)
		}
		if second, _ := ReadHub(other); hub.Basis == second.Basis && !maps.Equal(hub.Accepts, second.Accepts) {
			t.Errorf("one basis, and yet %v and %v:\n%s\n%s", hub.Accepts, second.Accepts, a, b)
		}
	})
}
