package state

import (
	"cmp"
	"encoding/json"
)

// zoneConfig is what is read of the configuration that a zone shows the global when it connects (Kuma
// pkg/kds/mux/client.go). A token itself is hidden in it; whether one is set is not.
type zoneConfig struct {
	Environment string    `json:"environment"`
	Multizone   multizone `json:"multizone"`
	Kmesh       struct {
		Multizone multizone `json:"multizone"`
	} `json:"kmesh"`
}

// multizone is a part of it, which stands at another place up to 2.14.5.
type multizone struct {
	Zone struct {
		KDS struct {
			Auth *struct {
				Inline    string `json:"tokenInline,omitempty"`
				Path      string `json:"tokenPath,omitempty"`
				OldInline string `json:"cpTokenInline,omitempty"`
				OldPath   string `json:"cpTokenPath,omitempty"`
			} `json:"auth,omitempty"`
		} `json:"kds"`
	} `json:"zone"`
}

// newestConfig is the configuration of a zone's newest session; false when the global does not tell it.
func newestConfig(sessions []told) (zoneConfig, bool) {
	if len(sessions) == 0 {
		return zoneConfig{}, false
	}
	return readZoneConfig(sessions[len(sessions)-1].config)
}

// trimZoneConfig leaves of a configuration what is read of it, in the same form: a text with JSON. What is none of
// that is dropped.
func trimZoneConfig(raw json.RawMessage) json.RawMessage {
	config, ok := readZoneConfig(raw)
	if !ok {
		return nil
	}
	inner, err := json.Marshal(config)
	if err != nil {
		return nil
	}
	text, err := json.Marshal(string(inner))
	if err != nil {
		return nil
	}
	return text
}

func readZoneConfig(raw json.RawMessage) (config zoneConfig, ok bool) {
	var text string
	if json.Unmarshal(raw, &text) != nil || json.Unmarshal([]byte(text), &config) != nil {
		return zoneConfig{}, false
	}
	return config, true
}

// takesToken says how the zone is configured to take a token: from a file, whose path it says; from the text of a
// setting; or not at all. It is not known for a release that does not authenticate.
func (c zoneConfig) takesToken() (file string, inline, known bool) {
	for _, m := range []multizone{c.Multizone, c.Kmesh.Multizone} {
		if a := m.Zone.KDS.Auth; a != nil {
			known = true
			file = cmp.Or(file, a.Path, a.OldPath)
			inline = inline || a.Inline != "" || a.OldInline != ""
		}
	}
	return file, inline, known
}
