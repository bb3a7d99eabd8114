package plan

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestASecretIsNeverPrinted(t *testing.T) {
	const canary = "canary-7f3a"
	s := NewSecret([]byte(canary))
	goal := Goal{Sources: Sources{Manifests: map[string]Secret{"edge-1": s}}}
	var said []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		said = append(said, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, goal))
	}
	for _, v := range []any{s, goal, struct{ S Secret }{s}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		said = append(said, string(b))
	}
	for _, text := range said {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) ||
			strings.Contains(text, fmt.Sprint([]byte(canary))) {
			t.Errorf("it is in %s", text)
		}
	}
	if string(s.Reveal()) != canary {
		t.Error("it is not in the secret")
	}
}
