package zonetoken

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// untangle are the IDs that a list names, out of another form than the product's, and that form; "" when it is the
// product's, apart from white space.
func untangle(text string) (ids []string, form string) {
	body := strings.TrimSpace(strings.TrimPrefix(text, string(bom)))
	var value any
	if strings.HasPrefix(body, "[") || strings.HasPrefix(body, "{") || strings.HasPrefix(body, `"`) {
		if json.Unmarshal([]byte(body), &value) == nil {
			for _, s := range texts(value) {
				ids = append(ids, fields(s)...)
			}
			return ids, "JSON"
		}
	}
	if strings.HasPrefix(body, "[") && strings.HasSuffix(body, "]") {
		text, form = body[1:len(body)-1], "a list in brackets"
	}
	for _, id := range fields(text) {
		if bare := strings.Trim(id, quotes); bare != id {
			id, form = bare, "a list of texts in quotation marks"
		}
		if strings.Contains(id, ";") && tangled(id) {
			form = "a list with semicolons"
			ids = append(ids, strings.FieldsFunc(id, func(c rune) bool { return c == ';' })...)
			continue
		}
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids, form
}

const quotes = "\"'`"

// tangled says whether what stands between commas is evidently not one ID: in quotation marks or brackets, or IDs of
// the product's form with semicolons.
func tangled(id string) bool {
	parts := strings.FieldsFunc(id, func(c rune) bool { return c == ';' })
	return strings.ContainsAny(id, quotes+"[]") || strings.Contains(id, ";") && len(parts) > 0 &&
		!slices.ContainsFunc(parts, func(part string) bool { return !looksLikeUUID(strings.ToLower(part)) })
}

// fields are what stands between commas, white space and line ends.
func fields(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == bom || unicode.IsSpace(c) })
}

// texts are the texts in a value of JSON, without the keys, in the order of the keys' names.
func texts(value any) []string {
	var all []string
	switch v := value.(type) {
	case string:
		all = append(all, v)
	case []any:
		for _, e := range v {
			all = append(all, texts(e)...)
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			all = append(all, texts(v[key])...)
		}
	}
	return all
}

// plainID says whether an ID is of letters, digits and the signs that IDs are written with.
func plainID(id string) bool {
	return !strings.ContainsFunc(id, func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("-_.:/+=@~", c)
	})
}
