package zonetoken

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// Revocations is the list of revoked tokens as it lies in the secret zone-token-revocations.
type Revocations struct {
	data []byte
	ids  []string // as the product takes them
	set  map[string]bool
}

// maxRevocations is the longest list that a Secret can hold, in bytes.
const maxRevocations = 1 << 20

// ParseRevocations reads data.value of the secret exactly as the product does (Kuma pkg/core/tokens/revocations.go):
// nothing is revoked when it is empty; one trailing newline is taken away; the rest is split at commas, and nothing
// is trimmed.
func ParseRevocations(data []byte) Revocations {
	r := Revocations{data: data, set: map[string]bool{}}
	if len(data) > 0 {
		r.ids = strings.Split(strings.TrimSuffix(string(data), "\n"), ",")
	}
	for _, id := range r.ids {
		r.set[id] = true
	}
	return r
}

const bom = '\ufeff' // the byte order mark

// Ineffective are the IDs that were evidently meant, and that the product does not take for revoked.
func (r Revocations) Ineffective() []string {
	return slices.DeleteFunc(r.meant(), r.Revoked)
}

// Findings says what is wrong with the list as it is found.
func (r Revocations) Findings() finding.Findings {
	var f finding.Findings
	if len(r.data) == 0 {
		return nil
	}
	text := string(r.data)
	body := strings.TrimSuffix(text, "\n")
	const rewrite = "Write it as id1,id2 and nothing else; adding an ID with token revocations does."
	ineffective := func(r *finding.Rule, saw string) { f.Add(r, saw, rewrite) }
	if !r.readable() {
		f.Add(RevocationsNotText, "it is not UTF-8 text (PowerShell's > writes UTF-16), so nothing that was meant is revoked",
			"Write it again as ASCII.")
		return f
	}
	if strings.ContainsRune(text, bom) {
		ineffective(revocationsBom, "it has a byte order mark, which becomes a part of the ID beside it, so that is not revoked")
	}
	if strings.Contains(text, "\r") {
		ineffective(revocationsCrlf, "it has carriage returns (a file of Windows), which become a part of the ID before them, so that is not revoked")
	}
	switch lines := strings.TrimRight(body, "\r\n"); {
	case strings.ContainsAny(lines, "\n"):
		ineffective(revocationsLines, "its IDs are on lines of their own, and the product splits at commas alone")
	case lines != body && !strings.Contains(text, "\r"):
		ineffective(revocationsNewlines,
			"it ends with several newlines, of which the product takes one away, so its last ID is not revoked")
	}
	if strings.ContainsFunc(body, func(c rune) bool { return c != '\n' && c != '\r' && unicode.IsSpace(c) }) {
		ineffective(revocationsSpaces, "it has white space, which becomes a part of the ID beside it, so that is not revoked")
	}
	if _, form := untangle(text); form != "" {
		ineffective(revocationsForm, "it is "+form+", which becomes a part of the IDs, so what was meant is not revoked")
	}
	for _, id := range r.meant() {
		if r.Revoked(id) && !plainID(id) {
			f.Add(revocationsOddId, fmt.Sprintf("it revokes a token whose ID is %q; the product makes no such ID", shorten(id)),
				"Leave it if another issuer makes such IDs; else take it out.")
			break
		}
	}
	if r.Revoked("") {
		f.Add(revocationsEmptyId, "it has an empty ID (a comma too many, or a newline alone), which revokes every token that has no jti",
			"Leave it if that is meant; else take the comma away, or delete the secret when nothing is to be revoked.")
	}
	for _, id := range r.ids {
		if lower := strings.ToLower(id); lower != id && looksLikeUUID(lower) && !r.Revoked(lower) {
			f.Add(revocationsUpperCase, "an ID is in upper case; the product's own are in lower case and compared exactly, so it is not revoked", rewrite)
			break
		}
	}
	if ids := slices.DeleteFunc(r.IDs(), func(id string) bool { return id == "" }); len(Distinct(ids)) < len(ids) {
		f.Add(revocationsTwice, "an ID is there twice", "")
	}
	return f
}

// IDs are the entries as the product takes them, in their order. An entry that is no ID can be among them: "", " b",
// "a\nb".
func (r Revocations) IDs() []string { return slices.Clone(r.ids) }

// Change is what to do to a list.
type Change struct {
	Add []string
	// Expired, when it is not nil, asks for pruning: an ID whose token expired before Now is taken out. It is only known
	// to who issued the tokens; an ID that is not in it stays.
	Expired map[string]time.Time
	Now     time.Time
}

// Merged is a list after a change.
type Merged struct {
	// what to write; nil when the list is empty, and its secret is to be deleted: an empty value is refused
	Data   []byte
	Added  []string // of those asked for, the ones that were not revoked before
	Meant  []string // found in the list, not revoked so far for how they were written, and revoked now
	Pruned []string
	// EmptyID says that the list goes on to revoke every token without a jti, as it does now.
	EmptyID bool
	Changed bool // the list has to be written
}

// Merge applies a change to the list as it was read just before it is written. What is revoked now stays revoked,
// except what is pruned; the order is kept; what comes out is read by the product as exactly those IDs. An entry with
// white space is no ID of any token: of it stays what was evidently meant. Nothing is merged into what cannot be
// read, nor when an ID to add is none.
func (r Revocations) Merge(c Change) (Merged, error) {
	if !r.readable() {
		return Merged{}, errors.New("the list of revoked tokens is not UTF-8 text; what was meant by it cannot be told, so it is left as it is: write it again by hand")
	}
	for _, id := range c.Add {
		if err := CheckTokenID(id); err != nil {
			return Merged{}, fmt.Errorf("revoking %q: %w", id, err)
		}
	}
	m := Merged{EmptyID: r.Revoked("")}
	add := withLower(c.Add)
	asked := map[string]bool{}
	for _, id := range add {
		asked[id] = true
	}
	var ids []string
	for _, id := range Distinct(append(r.meant(), add...)) {
		expires, known := c.Expired[id]
		switch {
		case known && !expires.IsZero() && expires.Before(c.Now) && !asked[id]:
			m.Pruned = append(m.Pruned, id)
			continue
		case r.Revoked(id):
		case asked[id]:
			m.Added = append(m.Added, id)
		default:
			m.Meant = append(m.Meant, id)
		}
		ids = append(ids, id)
	}
	if m.EmptyID {
		ids = append(ids, "")
	}
	text := strings.Join(ids, ",")
	if m.EmptyID && len(ids) == 1 {
		text = "," // the shortest value that is not empty and read as the empty ID alone
	}
	if len(text) > maxRevocations {
		return Merged{}, fmt.Errorf("the list of revoked tokens would be %d bytes long, more than a Secret can hold (%d); prune those that have expired, or retire their key", len(text), maxRevocations)
	}
	if text != "" {
		m.Data = []byte(text)
	}
	m.Changed = !bytes.Equal(m.Data, bytes.TrimSuffix(r.data, []byte("\n"))) && !(len(m.Data) == 0 && len(r.data) == 0)
	return m, nil
}

// meant are the IDs that the author of the list evidently meant, in its order: what stands between commas, white
// space and line ends, out of the form that it was written in.
func (r Revocations) meant() []string {
	ids, _ := untangle(string(r.data))
	// of a list in YAML
	return withLower(slices.DeleteFunc(ids, func(id string) bool { return id == "-" && !r.Revoked(id) }))
}

// Revoked says whether the product takes a token with this jti for revoked; a token without one has "".
func (r Revocations) Revoked(jti string) bool { return r.set[jti] }

// withLower adds after a UUID in upper case the same in lower case: so the product's own are, and they are compared
// exactly. One of another issuer may be in upper case.
func withLower(ids []string) []string {
	var all []string
	for _, id := range ids {
		all = append(all, id)
		if lower := strings.ToLower(id); looksLikeUUID(lower) {
			all = append(all, lower)
		}
	}
	return Distinct(all)
}

// readable says whether the list is text at all.
func (r Revocations) readable() bool {
	return utf8.Valid(r.data) && !bytes.ContainsRune(r.data, 0)
}

// CheckTokenID refuses an ID that cannot be written into the list so that the product reads it back.
func CheckTokenID(id string) error {
	switch {
	case id == "":
		return errors.New("it is empty, and would revoke every token that has no jti")
	case strings.Contains(id, ","):
		return errors.New("an ID with a comma cannot be revoked: the list is split at commas; retire the key that signed the token")
	case !utf8.ValidString(id) || strings.ContainsFunc(id, func(c rune) bool {
		return unicode.IsSpace(c) ||
			!unicode.IsPrint(c)
	}):
		return errors.New("an ID has no white space, and nothing that does not print")
	case tangled(id):
		return errors.New("an ID has no quotation marks, no square brackets, and no other ID behind a semicolon; pass the ID alone")
	case len(id) > 1024:
		return errors.New("it is longer than any ID is")
	}
	return nil
}

// looksLikeUUID says whether an ID has the form of those that the product makes, in lower case.
func looksLikeUUID(id string) bool {
	if len(id) != 36 {
		return false
	}
	for i, c := range []byte(id) {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || !dash &&
			!(c >= '0' && c <= '9' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// Distinct keeps the first of each.
func Distinct(list []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
