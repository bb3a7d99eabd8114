package token

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	strict "github.com/go-json-experiment/json"
)

// Description is all that a token says of itself, unverified, and what is odd about it.
type Description struct {
	Alg, KeyID, Type           string // of its header, made safe to print; "" when not there
	Issued, NotBefore, Expires time.Time
	Size                       int // bytes, as it was given
	Digest                     string
	Anomalies                  []string
}

// Describe reads whatever can be read of a token, at the given time. What the product or a careful verifier would
// refuse is named as an anomaly; only what is no token at all is an error. Neither ever contains a part of the token
// beyond alg, kid and typ.
func Describe(raw []byte, now time.Time) (Description, error) {
	p, err := parse(raw)
	if err != nil {
		return Description{}, err
	}
	d := Description{Alg: printable(p.text("alg")), KeyID: printable(p.text("kid")), Type: printable(p.text("typ")),
		Size: len(raw), Anomalies: texts(p.odd)}
	sum := sha256.Sum256(raw)
	d.Digest = hex.EncodeToString(sum[:4])
	odd := func(format string, args ...any) { d.Anomalies = append(d.Anomalies, fmt.Sprintf(format, args...)) }
	for _, t := range []struct {
		claim string
		to    *time.Time
	}{{"iat", &d.Issued}, {"nbf", &d.NotBefore}, {"exp", &d.Expires}} {
		at, err := p.time(t.claim)
		if err != nil {
			odd("%v", err)
		}
		*t.to = at
	}
	switch {
	case p.claims["exp"] == nil:
		odd("it has no exp, so it never expires")
	case d.Expires.IsZero():
	case !d.Issued.IsZero() && !d.Issued.Before(d.Expires):
		odd("it expires before it was issued")
	case d.Expires.Sub(now) > 2*365*24*time.Hour:
		odd("it lives for years")
	}
	if d.Issued.After(now.Add(leeway)) {
		odd("it says that it was issued later than now; a clock is wrong")
	}
	if d.NotBefore.After(now.Add(leeway)) {
		odd("it is not valid yet")
	}
	return d, nil
}

// parts is a token taken apart, and what is odd about its form. Both objects have their keys as they are written.
type parts struct {
	header, claims map[string]json.RawMessage
	odd            []Anomaly
}

// Parts is a token taken apart, unverified: header and claims by their names as they are written, and what is odd
// about its form.
type Parts struct {
	Header, Claims map[string]json.RawMessage
	Odd            []Anomaly
}

// Apart takes a token apart. The error is as Describe's.
func Apart(raw []byte) (Parts, error) {
	p, err := parseUpTo(raw, Longest)
	return Parts{p.header, p.claims, p.odd}, err
}

// Time is a claim that is a time, as golang-jwt reads it: a number that is written as a text counts. It is zero when
// it is not there, or no time that can be meant.
func (p Parts) Time(claim string) time.Time {
	at, _ := parts{claims: p.Claims}.time(claim)
	return at
}

// registered are the names that a lenient reader takes in any case.
var registered = []string{"alg", "kid", "typ", "crit", "exp", "iat", "nbf", "iss", "sub", "aud", "jti"}

// parse takes a token apart, in these steps:
//
//  1. its size, before anything else is done with it;
//  2. the forms that people have tokens in, and that are no JWT; white space around it;
//  3. three parts, of which the first two are base64url of a JSON object;
//  4. keys that are there twice or in another case, which readers take differently;
//  5. headers that ask for more than is understood, or bring their own key.
func parse(raw []byte) (parts, error) { return parseUpTo(raw, maxBytes) }

func parseUpTo(raw []byte, most int) (parts, error) {
	var p parts
	say := func(kind AnomalyKind, format string, args ...any) {
		p.odd = append(p.odd, Anomaly{kind, fmt.Sprintf(format, args...)})
	}
	if len(raw) == 0 {
		return p, errors.New("it is empty")
	}
	if len(raw) > most {
		return p, fmt.Errorf("it is %d bytes long, more than a token can be (%d)", len(raw), most)
	}
	if other := otherForm(raw); other != "" {
		return p, errors.New("it is not a JWT: " + other)
	}
	text := strings.TrimSpace(string(raw))
	if text != string(raw) {
		say(OddSpace, "%s", space(string(raw)))
	}
	three := strings.Split(text, ".")
	if len(three) != 3 {
		return p, errors.New("it is not a JWT: three base64url parts joined by dots, the first two JSON")
	}
	for i, name := range []string{"header", "body", "signature"} {
		b, canonical, err := decode(three[i])
		if err != nil {
			return p, fmt.Errorf("it is not a JWT: its %s is not base64url", name)
		}
		if !canonical {
			say(OddForm, "its %s is not written as base64url is; other texts would mean the same", name)
		}
		if name == "signature" {
			if len(b) == 0 {
				say(OddForm, "it has no signature")
			}
			break
		}
		object, twice, err := object(b)
		if err != nil {
			return p, fmt.Errorf("it is not a JWT: its %s is not a JSON object", name)
		}
		if twice != "" {
			say(OddForm, "its %s has the key %s twice, and readers take one or the other", name, printable(twice))
		}
		for key := range object {
			if i := slices.IndexFunc(registered, func(r string) bool { return r != key && strings.EqualFold(r, key) }); i >= 0 {
				say(OddForm, "its %s has %s in another case, which some readers take for it", name, registered[i])
			}
		}
		if name == "header" {
			p.header = object
		} else {
			p.claims = object
		}
	}
	slices.SortFunc(p.odd, func(a, b Anomaly) int { return strings.Compare(a.Text, b.Text) })
	if alg := p.text("alg"); alg == "" || strings.EqualFold(alg, "none") {
		say(OddKey, "its alg is none, so anybody can have made it")
	} else if strings.HasPrefix(strings.ToUpper(alg), "HS") {
		say(OddKey, "its alg is symmetric: anyone who can verify it can make it")
	}
	if p.header["crit"] != nil {
		say(OddForm, "its header has crit: extensions that must be understood, and are not")
	}
	for _, key := range []string{"jku", "x5u", "jwk", "x5c"} {
		if p.header[key] != nil {
			say(OddIgnored, "its header has %s, a key of its own choice, which is ignored", key)
		}
	}
	if kid := p.header["kid"]; kid != nil && !plainKeyID(p.text("kid")) {
		say(OddKey, "its kid is not a plain name of at most 64 letters, digits, _, - and .")
	}
	if typ := p.header["typ"]; typ != nil && !strings.EqualFold(p.text("typ"), "JWT") {
		say(OddForm, "its typ is not JWT, so it was made for something else")
	}
	return p, nil
}

// space says what is around a token.
func space(raw string) string {
	switch trimmed := strings.TrimRight(raw, "\r\n"); {
	case strings.TrimSpace(trimmed) != trimmed:
		return "it has white space at its start or end"
	case strings.Contains(raw[len(trimmed):], "\r"):
		return "it ends with a carriage return"
	}
	return "it ends with a newline (`jq -r | base64` adds one)"
}

// decode decodes base64url; canonical says whether this is the one text for it.
func decode(text string) (b []byte, canonical bool, err error) {
	if b, err = base64.RawURLEncoding.Strict().DecodeString(text); err == nil {
		return b, !strings.ContainsAny(text, "\r\n"), nil
	}
	b, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
	return b, false, err
}

// object reads one JSON object and nothing after it, and the first key in it, at any depth, that is there twice.
func object(b []byte) (map[string]json.RawMessage, string, error) {
	var o map[string]json.RawMessage
	if err := strict.Unmarshal(b, &o); err == nil && o != nil { // it takes no key that is there twice
		return o, "", nil
	}
	return oddObject(b)
}

// oddObject is object, of what a strict reader refuses, and others may take.
func oddObject(b []byte) (map[string]json.RawMessage, string, error) {
	var o map[string]json.RawMessage
	if err := json.Unmarshal(b, &o); err != nil || o == nil {
		return nil, "", errors.New("not an object")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // one that no float64 holds is a number
	type level struct {
		keys  map[string]bool // nil in an array
		value bool            // the next text is a value
	}
	var open []level
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return o, "", nil
		}
		if err != nil {
			return nil, "", err
		}
		top := len(open) - 1
		switch v := t.(type) {
		case json.Delim:
			switch v {
			case '{':
				open = append(open, level{keys: map[string]bool{}})
				continue
			case '[':
				open = append(open, level{})
				continue
			}
			open = open[:top]
			top--
		case string:
			if top >= 0 && open[top].keys != nil && !open[top].value {
				if open[top].keys[v] {
					return o, v, nil
				}
				open[top].keys[v], open[top].value = true, true
				continue
			}
		}
		if top >= 0 {
			open[top].value = false
		}
	}
}

// text is a header that is a text; "" when it is not there or something else.
func (p parts) text(key string) string {
	var s string
	if json.Unmarshal(p.header[key], &s) != nil {
		return ""
	}
	return s
}

// lastSecond is the end of the year 9999: what JSON dates can say.
const lastSecond = 253402300799

// time is a claim that is a time, as golang-jwt reads it (NumericDate), which takes a number that is written as a
// text too; zero when it is not there, or null, which is the same to that reader. The error says what a careful
// reader refuses: anything but a number, and a time that nobody can mean. Readers differ over a text, so the time
// comes with the error: to take it for "no end" would be the worst of both.
func (p parts) time(claim string) (time.Time, error) {
	raw := p.claims[claim]
	if raw == nil {
		return time.Time{}, nil
	}
	odd := func() error { return fmt.Errorf("its %s claim is not a number of seconds", claim) }
	var number json.Number
	if err := json.Unmarshal(raw, &number); err != nil || number == "" {
		return time.Time{}, odd()
	}
	seconds, err := number.Float64()
	switch {
	case err != nil && !math.IsInf(seconds, 0):
		return time.Time{}, odd()
	case seconds <= 0 || seconds > lastSecond:
		return time.Time{}, fmt.Errorf("its %s claim is not a time that can be meant", claim)
	}
	at := time.Unix(int64(seconds), 0).UTC()
	if raw[0] == '"' {
		return at, odd()
	}
	return at, nil
}

// plainKeyID says whether a kid is only a name: it is looked up among the keys that are known, and never a path or
// address.
func plainKeyID(kid string) bool {
	return kid != "" && len(kid) <= 64 && strings.IndexFunc(kid, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.", r)
	}) < 0
}

// printable makes a header safe to print: whoever made the token chose it.
func printable(s string) string {
	if s == "" || plainKeyID(s) {
		return s
	}
	if len(s) > 64 {
		s = strings.ToValidUTF8(s[:61], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
