package token

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// otherForm says what a text is that is no JWT as it stands, with what to do; "" when it has none of the forms that
// are known. It never contains a part of the text.
func otherForm(raw []byte) string {
	switch {
	case bytes.HasPrefix(raw, []byte("\xff\xfe")), bytes.HasPrefix(raw, []byte("\xfe\xff")), bytes.IndexByte(raw, 0) >= 0:
		return "it is UTF-16 text, which PowerShell's > writes; write it as ASCII"
	case bytes.HasPrefix(raw, []byte("\xef\xbb\xbf")):
		return "it begins with a byte order mark; write it as ASCII"
	case !utf8.Valid(raw):
		return "it is not text"
	}
	text := strings.TrimSpace(string(raw))
	lower := strings.ToLower(text[:min(len(text), len("authorization:"))])
	switch {
	case strings.HasPrefix(lower, "authorization:"), strings.HasPrefix(lower, "bearer "),
		strings.HasPrefix(lower, "bearer\t"):
		return "it is an HTTP header; keep only what follows Bearer"
	case strings.HasPrefix(text, "{"), strings.HasPrefix(text, "["):
		return jsonForm(text)
	case len(text) > 1 && strings.ContainsRune("\"'`", rune(text[0])):
		return "it stands in quotation marks; take them away"
	case strings.HasPrefix(text, "-----BEGIN"):
		return "it is PEM, a key or a certificate; pass the token"
	case strings.Count(text, ".") == 4 && strings.HasPrefix(text, "eyJ"):
		return "it is a JWE, an encrypted token of five parts; pass one that is signed"
	}
	return ""
}

// jsonForm says what a text is that begins as JSON does.
func jsonForm(text string) string {
	var o map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &o) != nil {
		return "it begins as JSON does; keep only the token that is in it"
	}
	for _, form := range []struct{ member, name string }{
		{"ciphertext", "a JWE in the JSON serialization, an encrypted token; pass one that is signed"},
		{"signatures", "a JWS in the JSON serialization; write it as header.payload.signature"},
		{"signature", "a JWS in the JSON serialization; write it as header.payload.signature"},
		{"kty", "a JSON Web Key, and no token"},
		{"keys", "a set of JSON Web Keys, and no token"},
	} {
		if o[form.member] != nil {
			return "it is " + form.name
		}
	}
	return "it is a JSON object; keep only the token that is in it"
}
