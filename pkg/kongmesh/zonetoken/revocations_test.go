package zonetoken

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

const (
	idA = "0e120ec9-6b42-495d-9758-07b59fe86fb9"
	idB = "af18923a-34ab-4a3a-8e0b-7a5d0b0f3d01"
	idC = "5b9f2c77-0c4e-4d0e-9b1c-2f6f4d2a9c10"
)

// How the product reads each way to write a list, what is said of it, and what a merge makes of it.
func TestRevocationListsAsTheyAreFound(t *testing.T) {
	utf16 := func(s string) string { // with its byte order mark, as PowerShell writes
		var b strings.Builder
		b.WriteString("\xff\xfe")
		for _, c := range []byte(s) {
			b.Write([]byte{c, 0})
		}
		return b.String()
	}
	for _, tc := range []struct {
		name, data string
		revoked    []string // of idA, idB and ""
		finding    string
		merged     string // after idC was added; "refused" when nothing may be written
		meant      []string
	}{
		{"nothing", "", nil, "", idC, nil},
		{"one", idA, []string{idA}, "", idA + "," + idC, nil},
		{"two", idA + "," + idB, []string{idA, idB}, "", idA + "," + idB + "," + idC, nil},
		{"as `echo | base64` leaves it", idA + "," + idB + "\n", []string{idA, idB}, "", idA + "," + idB + "," + idC, nil},
		{"two newlines", idA + "," + idB + "\n\n", []string{idA}, "revocations-newlines", idA + "," + idB + "," +
			idC, []string{idB}},
		{"a file of Windows", idA + "," + idB + "\r\n", []string{idA}, "revocations-crlf", idA + "," + idB + "," +
			idC, []string{idB}},
		{"a space after the comma", idA + ", " + idB, []string{idA}, "revocations-spaces", idA + "," + idB + "," +
			idC, []string{idB}},
		{"a space before", " " + idA, nil, "revocations-spaces", idA + "," + idC, []string{idA}},
		{"lines", idA + "\n" + idB + "\n", nil, "revocations-lines", idA + "," + idB + "," + idC, []string{idA, idB}},
		{"lines with commas", idA + ",\n" + idB, []string{idA}, "revocations-lines", idA + "," + idB + "," +
			idC, []string{idB}},
		{"a no-break space", idA + ",\u00a0" + idB, []string{idA}, "revocations-spaces", idA + "," + idB + "," +
			idC, []string{idB}},
		{"upper case", strings.ToUpper(idA), nil, "revocations-upper-case", strings.ToUpper(idA) + "," + idA + "," +
			idC, []string{idA}},
		{"a trailing comma", idA + ",", []string{idA, ""}, "revocations-empty-id", idA + "," + idC + ",", nil},
		{"a newline alone", "\n", []string{""}, "revocations-empty-id", idC + ",", nil},
		{"a comma alone", ",", []string{""}, "revocations-empty-id", idC + ",", nil},
		{"twice", idA + "," + idA, []string{idA}, "revocations-twice", idA + "," + idC, nil},
		{"a byte order mark", string(bom) + idA, nil, "revocations-bom", idA + "," + idC, []string{idA}},
		{"UTF-16", utf16(idA), nil, "revocations-not-text", "refused", nil},
		{"no text at all", "\xff\xfe\xfd", nil, "revocations-not-text", "refused", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := ParseRevocations([]byte(tc.data))
			for _, id := range []string{idA, idB, ""} {
				if got, want := r.Revoked(id), slices.Contains(tc.revoked, id); got != want {
					t.Errorf("%q revoked: %v, want %v", id, got, want)
				}
			}
			f := r.Findings()
			if tc.finding == "" && len(f) > 0 || tc.finding != "" && (len(f) != 1 || f[0].Name != tc.finding) {
				t.Errorf("findings %+v, want %q", f, tc.finding)
			}
			m, err := r.Merge(Change{Add: []string{idC}})
			if tc.merged == "refused" {
				if err == nil {
					t.Errorf("merged into what cannot be read: %q", m.Data)
				}
				return
			}
			if err != nil || string(m.Data) != tc.merged || !slices.Equal(m.Added, []string{idC}) ||
				!slices.Equal(m.Meant, tc.meant) || !m.Changed || m.EmptyID != r.Revoked("") {
				t.Errorf("%+v, %q, %v; want %q, meant %v", m, m.Data, err, tc.merged, tc.meant)
			}
			left := ParseRevocations(m.Data).Findings()
			if len(left) > 1 || len(left) == 1 && left[0].Name != "revocations-empty-id" {
				t.Errorf("what was merged is still wrong: %+v", left)
			}
		})
	}
}

// Following the product's page twice, whose command replaces the list, un-revokes the first token; a merge does not.
func TestRevokingTwiceRevokesBoth(t *testing.T) {
	var data []byte
	for _, id := range []string{idA, idB} {
		m, err := ParseRevocations(data).Merge(Change{Add: []string{id}})
		if err != nil {
			t.Fatal(err)
		}
		data = m.Data
	}
	if r := ParseRevocations(data); !r.Revoked(idA) || !r.Revoked(idB) || string(data) != idA+","+idB {
		t.Errorf("%q", data)
	}
}

func TestIDsThatCannotBeRevokedAreRefused(t *testing.T) {
	for _, id := range []string{"", "a,b", "a b", " a", "a\n", "a\r", "a\tb", "a\u00a0", "\x00", string(bom) + "a", "\xff",
		"a\x1b[0m", strings.Repeat("a", 2000)} {
		if m, err := ParseRevocations([]byte(idA)).Merge(Change{Add: []string{idB, id}}); err == nil || m.Data != nil {
			t.Errorf("%q is added: %q", id, m.Data)
		}
	}
	if _, err := ParseRevocations([]byte(strings.Repeat("a",
		maxRevocations-10))).Merge(Change{Add: []string{idB}}); err == nil {
		t.Error("a list that no Secret can hold is written")
	}
}

// Only what is known to have expired is pruned, and only when asked; a list of which nothing is left is deleted,
// never written empty.
func TestPruning(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	expired := map[string]time.Time{idA: at.Add(-time.Second), idB: at.Add(time.Second), "of-no-token": {}}
	for _, tc := range []struct {
		name, data string
		c          Change
		want       string
		pruned     []string
	}{
		{"not asked", idA, Change{Now: at}, idA, nil},
		{"expired, still valid, and unknown", idA + "," + idB + "," + idC, Change{Expired: expired, Now: at}, idB + "," +
			idC, []string{idA}},
		{"without an expiry", "of-no-token", Change{Expired: expired, Now: at}, "of-no-token", nil},
		{"asked for at the same time", idA, Change{Add: []string{idA}, Expired: expired, Now: at}, idA, nil},
		{"the last one", idA + "\n", Change{Expired: expired, Now: at}, "", []string{idA}},
	} {
		m, err := ParseRevocations([]byte(tc.data)).Merge(tc.c)
		if err != nil || string(m.Data) != tc.want || !slices.Equal(m.Pruned, tc.pruned) || tc.want == "" && m.Data != nil ||
			m.Changed != (tc.want != tc.data) {
			t.Errorf("%s: %+v, %q, %v", tc.name, m, m.Data, err)
		}
	}
}

// mergedWell says what a merge broke, "" when nothing.
func mergedWell(data []byte, add []string) string {
	r := ParseRevocations(data)
	m, err := r.Merge(Change{Add: add})
	if err != nil {
		return ""
	}
	after := ParseRevocations(m.Data)
	for _, id := range append(r.IDs(), add...) {
		if (id == "" || CheckTokenID(id) == nil) && !after.Revoked(id) {
			return fmt.Sprintf("%q is revoked no more", id)
		}
	}
	for _, id := range r.Ineffective() {
		if !slices.Contains(m.Meant, id) && !slices.Contains(m.Added, id) {
			return fmt.Sprintf("%q was meant, and nothing says so", id)
		}
	}
	for _, id := range after.IDs() {
		if !r.Revoked(id) && !slices.Contains(m.Added, id) && !slices.Contains(m.Meant, id) {
			return fmt.Sprintf("%q is revoked, and nothing says so", id)
		}
	}
	if len(data) > 0 && len(add) > 0 && len(m.Data) == 0 {
		return "the list became empty"
	}
	if after.Revoked("") != r.Revoked("") {
		return "tokens without a jti fare differently"
	}
	last := -1
	for _, id := range r.IDs() { // the order is kept
		if i := slices.Index(after.IDs(), id); i >= 0 && id != "" {
			if i < last && !slices.Contains(after.IDs()[:last], id) {
				return "the order changed"
			}
			last = max(last, i)
		}
	}
	again, err := after.Merge(Change{Add: add})
	if err != nil || again.Changed || len(again.Added)+len(again.Meant) > 0 {
		return fmt.Sprintf("merging again changes it: %q, then %q, %v", m.Data, again.Data, err)
	}
	return ""
}

func TestMergesKeepTheirPromises(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	pieces := []string{idA, idB, strings.ToUpper(idC), "x", "y z", "", " ", "\n", "\r\n", string(bom), ",", ",,", "\u00a0"}
	for range 20000 {
		var data strings.Builder
		for range random.IntN(7) {
			data.WriteString(pieces[random.IntN(len(pieces))])
			if random.IntN(2) == 0 {
				data.WriteString(",")
			}
		}
		var add []string
		for range random.IntN(3) {
			add = append(add, []string{idA, idB, idC, "x", "w"}[random.IntN(5)])
		}
		if broken := mergedWell([]byte(data.String()), add); broken != "" {
			t.Fatalf("%q with %q: %s", data.String(), add, broken)
		}
	}
}

// Several writers each read, merge and write if nobody wrote in between, else read again: nobody's ID is lost,
// whatever the order.
func TestConcurrentRevocationsAllSurvive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		type object struct {
			data    []byte
			version int
		}
		stored := object{data: []byte("old, older\n")}
		todo := map[string]*object{} // what each writer read last
		for i := range 5 {
			todo[fmt.Sprintf("id-%d", i)] = nil
		}
		for len(todo) > 0 {
			ids := slices.Sorted(func(yield func(string) bool) {
				for id := range todo {
					if !yield(id) {
						return
					}
				}
			})
			id := ids[random.IntN(len(ids))]
			read := todo[id]
			if read == nil {
				todo[id] = &object{stored.data, stored.version}
				continue
			}
			m, err := ParseRevocations(read.data).Merge(Change{Add: []string{id}})
			if err != nil {
				t.Fatal(err)
			}
			if read.version != stored.version { // a conflict: what is written is merged into what is read again
				todo[id] = nil
				continue
			}
			stored = object{m.Data, stored.version + 1}
			delete(todo, id)
		}
		r := ParseRevocations(stored.data)
		for _, id := range []string{"old", "older", "id-0", "id-1", "id-2", "id-3", "id-4"} {
			if !r.Revoked(id) {
				t.Fatalf("%s is lost: %q", id, stored.data)
			}
		}
	}
}

func FuzzRevocations(f *testing.F) {
	for _, seed := range []string{idA, idA + "," + idB + "\n", idA + ", " + idB, idA + "\r\n", ",", "\n", string(bom) +
		idA, "\xff\xfea\x00", strings.ToUpper(idA) + ","} {
		f.Add([]byte(seed), idB)
	}
	f.Add([]byte(strings.ToUpper(idA)+","+idB+"\n"), strings.ToUpper(idA))
	f.Fuzz(func(t *testing.T, data []byte, id string) {
		_ = ParseRevocations(data).Findings()
		if broken := mergedWell(data, []string{id}); broken != "" {
			t.Errorf("%q with %q: %s", data, id, broken)
		}
	})
}

// As many IDs as a Secret holds are read, judged and merged at once; what took quadratic time would not end within
// the test's.
func TestAListAsLongAsASecretHolds(t *testing.T) {
	var ids []string
	for i := range 28000 {
		ids = append(ids, fmt.Sprintf("0e120ec9-6b42-495d-9758-%012x", i))
	}
	r := ParseRevocations([]byte(strings.Join(ids, ", ")))
	if n := len(r.Ineffective()); n != 27999 || !has(r.Findings(), "revocations-spaces") {
		t.Errorf("%d are ineffective", n)
	}
	m, err := r.Merge(Change{Add: []string{idA}})
	if err != nil || len(m.Meant) != 27999 || len(ParseRevocations(m.Data).IDs()) != 28001 {
		t.Errorf("%d meant, %v", len(m.Meant), err)
	}
}

// A list in another form revokes none of its IDs and says so; a change writes what was meant, and none of the form.
func TestAListInAnotherFormRevokesNothingAndIsWrittenAsMeant(t *testing.T) {
	for name, tc := range map[string]struct {
		data, ids string
	}{
		"JSON":                     {`["` + idA + `","` + idB + `"]`, idA + "," + idB},
		"JSON on lines":            {"[\n  \"" + idA + "\",\n  \"" + idB + "\"\n]\n", idA + "," + idB},
		"a JSON object":            {`{"revoked":["` + idA + `","` + idB + `"]}`, idA + "," + idB},
		"a JSON text":              {`"` + idA + "," + idB + `"`, idA + "," + idB},
		"quoted CSV":               {`"` + idA + `","` + idB + `"` + "\n", idA + "," + idB},
		"single quotes":            {"'" + idA + "','" + idB + "'", idA + "," + idB},
		"semicolons":               {idA + ";" + idB, idA + "," + idB},
		"semicolons and spaces":    {idA + "; " + idB + ";", idA + "," + idB},
		"brackets":                 {"[" + idA + "," + idB + "]", idA + "," + idB},
		"brackets of plain IDs":    {"[a,b]", "a,b"},
		"quotes around plain IDs":  {`"a","b"`, "a,b"},
		"a list in YAML":           {"- " + idA + "\n- " + idB + "\n", idA + "," + idB},
		"a byte order mark, JSON":  {string(bom) + `["` + idA + `"]`, idA},
		"JSON, upper case, spaces": {`[ "` + strings.ToUpper(idA) + `" ]`, strings.ToUpper(idA) + "," + idA},
	} {
		r := ParseRevocations([]byte(tc.data))
		if got := strings.Join(r.Ineffective(), ","); got != tc.ids {
			t.Errorf("%s: not revoked is %q, want %q", name, got, tc.ids)
		}
		if !slices.ContainsFunc(r.Findings(), func(f finding.Finding) bool { return f.Severity == finding.Error }) {
			t.Errorf("%s: no error says so: %+v", name, r.Findings())
		}
		m, err := r.Merge(Change{Add: []string{idC}})
		if want := tc.ids + "," + idC; err != nil || string(m.Data) != want {
			t.Errorf("%s: written %q, %v, want %q", name, m.Data, err, want)
		}
		if f := ParseRevocations(m.Data).Findings(); slices.ContainsFunc(f,
			func(f finding.Finding) bool { return f.Severity == finding.Error }) {
			t.Errorf("%s: what is written has %+v", name, f)
		}
	}
	for _, id := range []string{`"` + idA + `"`, "[" + idA, idA + ";" + idB} {
		if err := CheckTokenID(id); err == nil {
			t.Errorf("%s is taken for an ID", id)
		}
	}
	// another issuer may make it: it stays revoked, and is said
	for _, odd := range []string{"{" + idA + "}", "a;b", "a|b"} {
		r := ParseRevocations([]byte(idB + "," + odd))
		m, err := r.Merge(Change{Add: []string{idC}})
		if err != nil || string(m.Data) != idB+","+odd+","+idC {
			t.Errorf("%s: written %q, %v", odd, m.Data, err)
		}
		if f := r.Findings(); len(f) != 1 || f[0].Name != "revocations-odd-id" || f[0].Severity != finding.Warning {
			t.Errorf("%s: %+v", odd, f)
		}
	}
}
