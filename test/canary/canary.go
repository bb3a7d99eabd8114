package canary

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// piece is how many bytes of a secret in a row give it away. Shorter secrets are looked for as a whole from eight
// bytes on.
const piece = 16

// Set is the secrets to look for. The zero value holds none.
type Set struct {
	pieces map[[piece]byte]string // to what the piece is of
	short  map[string]string
	public map[[piece]byte]bool
}

// public are the keys of secrets that hold nothing secret: certificates, and names.
var public = []string{"ca.crt", "tls.crt", "cert.pem", "root-cert.pem", "cert-chain.pem", "clusterFqn",
	"namespace", "ca-published"}

// Add adds the value of a key of a Secret: private keys, passwords, the payload and signature of JWTs, the private
// members of JWKs; each as it is, in base64, and what is in its PEM blocks. A public key's value is taken out of the
// others instead.
func (s *Set) Add(where, key string, value []byte) {
	if s.pieces == nil {
		s.pieces, s.short, s.public = map[[piece]byte]string{}, map[string]string{}, map[[piece]byte]bool{}
		for _, prefix := range publicKeys {
			der, err := hex.DecodeString(prefix)
			if err != nil {
				panic(err) // of our own
			}
			for _, form := range shifted(string(der)) {
				each(form, func(p [piece]byte) { s.public[p] = true })
			}
		}
	}
	encoded := []string{string(value), base64.StdEncoding.EncodeToString(value)}
	if slices.Contains(public, key) {
		for rest := value; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			encoded = append(encoded, base64.StdEncoding.EncodeToString(block.Bytes))
		}
		for _, text := range encoded {
			each(text, func(p [piece]byte) { s.public[p] = true })
		}
		return
	}
	for _, text := range secretParts(value) {
		for _, form := range append(shifted(text), text) {
			if len(form) < piece && len(form) >= piece/2 {
				s.short[form] = where
			}
			each(form, func(p [piece]byte) { s.pieces[p] = where })
		}
	}
}

// shifted is a text in base64, as it comes out in the midst of more: behind a multiple of three bytes, and behind one
// and two more. Only what does not depend on the neighbours is in it.
func shifted(text string) []string {
	var forms []string
	for before := range 3 {
		form := base64.RawStdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + text))
		forms = append(forms, form[(before*8+5)/6:(before+len(text))*8/6])
	}
	return forms
}

// publicKeys is how every public key of a kind begins in DER: the name of its algorithm is in the private key too.
var publicKeys = []string{
	"3059301306072a8648ce3d020106082a8648ce3d03010703420004",             // P-256
	"3076301006072a8648ce3d020106052b8104002203620004",                   // P-384
	"30820122300d06092a864886f70d01010105000382010f003082010a0282010100", // RSA, 2048 bits
	"308201a2300d06092a864886f70d01010105000382018f003082018a0282018100", // 3072
	"30820222300d06092a864886f70d01010105000382020f003082020a0282020100", // 4096
}

// Len is how many pieces the set looks for.
func (s *Set) Len() int { return len(s.pieces) + len(s.short) }

// secretParts is what of a value is secret.
func secretParts(value []byte) []string {
	text := strings.TrimSpace(string(value))
	if parts := strings.Split(text, "."); len(parts) == 3 && strings.HasPrefix(text, "eyJ") {
		return []string{parts[1] + "." + parts[2], parts[2]}
	}
	var jwk map[string]any
	if json.Unmarshal(value, &jwk) == nil && jwk["kty"] != nil {
		var private []string
		for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if v, ok := jwk[member].(string); ok {
				private = append(private, v)
			}
		}
		return private
	}
	if strings.HasPrefix(text, "-----BEGIN ") {
		var bodies []string
		for rest := value; ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				return bodies
			}
			if block.Type != "CERTIFICATE" {
				body := base64.StdEncoding.EncodeToString(block.Bytes)
				bodies = append(bodies, body, strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Bytes: block.Bytes}))))
			}
		}
	}
	return []string{text}
}

// boilerplate is what every private key has in common, and so gives nothing away.
func boilerplate(p string) bool {
	return strings.Contains(p, "-----") || strings.Trim(p, p[:1]) == ""
}

func each(text string, do func([piece]byte)) {
	for i := 0; i+piece <= len(text); i++ {
		if p := [piece]byte([]byte(text[i : i+piece])); !boilerplate(text[i : i+piece]) {
			do(p)
		}
	}
}

// shapes are secrets that are known by their form, in case that they were replaced before they could be added: tokens
// are, all the time.
var shapes = map[string]*regexp.Regexp{
	"a JWT":                     regexp.MustCompile(`eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`),
	"a private key":             regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY-----`),
	"a private key, encoded":    regexp.MustCompile(`LS0tLS1CRUdJTi(BQUklWQVRFIEtFW|BFQyBQUklWQVRF|BSU0EgUFJJVkFUR|BFTkNSWVBURUQ)`),
	"a private member of a JWK": regexp.MustCompile(`\\?"(d|dp|dq|qi)\\?"\s*:\s*\\?"[A-Za-z0-9_-]{16,}`),
}

// Find says which secrets are in a text, without repeating them: of what, and how the text goes on before it.
func (s *Set) Find(text string) []string {
	found := map[string]bool{}
	report := func(what string, at int) {
		before := text[max(0, at-60):at]
		found[fmt.Sprintf("%s after %q", what, before)] = true
	}
	for what, shape := range shapes {
		if at := shape.FindStringIndex(text); at != nil {
			report(what, at[0])
		}
	}
	told := map[string]bool{}
	for i := 0; i+piece <= len(text); i++ {
		p := [piece]byte([]byte(text[i : i+piece]))
		if where, hit := s.pieces[p]; hit && !s.public[p] && !told[where] {
			told[where] = true
			report("a piece of "+where, i)
		}
	}
	for secret, where := range s.short {
		if i := strings.Index(text, secret); i >= 0 {
			report(where, i)
		}
	}
	var all []string
	for f := range found {
		all = append(all, f)
	}
	slices.Sort(all)
	return all
}
