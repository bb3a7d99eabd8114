package plan

import (
	"fmt"
	"io"
)

// Secret is text that nobody may see: it prints, and is encoded, as redacted.
type Secret struct{ text []byte }

// NewSecret hides text.
func NewSecret(text []byte) Secret { return Secret{text} }

// Reveal returns the text, for what is done with it.
func (s Secret) Reveal() []byte { return s.text }

const redacted = "(redacted)"

// Format prints every verb alike, so that no format shows the text.
func (Secret) Format(w fmt.State, _ rune) { io.WriteString(w, redacted) }

// MarshalText encodes it, in JSON and YAML too.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
