package report

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// words are the words of a text, in one line.
func words(s string) string { return strings.Join(strings.Fields(s), " ") }

// ofPage is what a reader of a page sees.
func ofPage(t *testing.T, page string) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" {
			b.WriteString(n.Data + " ")
		}
	}
	return words(b.String())
}

// ofTests is what a pipeline shows.
func ofTests(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		switch token, err := d.Token(); token := token.(type) {
		case nil:
			if err != io.EOF {
				t.Fatal(err)
			}
			return words(b.String())
		case xml.StartElement:
			for _, a := range token.Attr {
				b.WriteString(a.Value + " ")
			}
		case xml.CharData:
			b.Write(token)
		}
	}
}

// facts are what every format says, and those of a page and of a ticket that a pipeline has no place for.
func facts(m Model) (all, longer []string) {
	for _, f := range append(m.facts(), m.notes()...) {
		all = append(all, f[1])
	}
	all = append(all, m.Verdict.Text)
	for _, r := range m.Members {
		all = append(all, r.Name, r.State, r.Declared, r.Effective, r.Credential, expiry(r.Expires), r.Proof, r.Next)
		all = append(append(all, r.Evidence...), r.Why...)
	}
	for _, r := range m.Rules {
		for _, x := range r.Found {
			all = append(append(all, r.ID, r.Title, x.Object, x.Saw, x.Do, x.Command), x.Who...)
		}
	}
	for _, p := range m.Past {
		longer = append(longer, p.Title, p.By, p.Goal, stamp(p.Began), stamp(p.Ended), p.Took, p.Outcome, p.Said)
		longer = append(append(append(longer, p.Members...), p.Failed...), p.Evidence...)
	}
	for _, o := range append(m.Plan.Blocked, m.Plan.Notes...) {
		longer = append(longer, o.Member, o.Why)
	}
	for _, w := range m.Plan.Waves {
		longer = append(longer, w.Title)
		for _, s := range w.Steps {
			longer = append(append(append(longer, s.Title, s.Why, s.WayBack), s.Changes...), s.Proof...)
			for _, d := range s.Diff {
				longer = append(longer, strings.Split(d, "\n")...)
			}
		}
	}
	return all, append(append(longer, m.History.Unread...), signers...)
}

// A reader of one format knows what a reader of another does.
func TestEveryFormatHasTheSameFacts(t *testing.T) {
	ofZones, _ := mesh(t)
	for name, m := range map[string]Model{"done": of(done()), "mixed": of(mixed(30)), "mesh": ofZones} {
		page, ticket := ofPage(t, printed(t, m.HTML)), words(strings.ReplaceAll(printed(t, m.Markdown), `\`, ""))
		tests := ofTests(t, printed(t, m.JUnit))
		all, longer := facts(m)
		if len(all) < 30 || len(longer) < 5 {
			t.Fatalf("%s: %d and %d facts", name, len(all), len(longer))
		}
		for _, fact := range append(all, longer...) {
			if !strings.Contains(page, words(fact)) {
				t.Errorf("%s: the page lacks %q", name, fact)
			}
			if !strings.Contains(ticket, words(strings.ReplaceAll(fact, `\`, ""))) {
				t.Errorf("%s: the ticket lacks %q", name, fact)
			}
		}
		for _, fact := range all {
			if !strings.Contains(tests, words(fact)) {
				t.Errorf("%s: the tests lack %q", name, fact)
			}
		}
	}
}

// What a plan writes into a Secret is masked by the code that masks it in plan --diff.
func TestTheDiffsOfAReportMaskSecrets(t *testing.T) {
	const canary = "c2VjcmV0LWNhbmFyeQ"
	f := done()
	p := plan.Plan{Waves: []plan.Wave{{Title: "the certificate", Steps: []plan.Step{{ID: "certify", Member: "hub",
		Title: "hub: write the certificate", Writes: []plan.Write{{Context: "hub",
			Object: plan.Ref{Kind: "Secret", Namespace: "tsb", Name: "xcp-central-cert"},
			Before: map[string]any{"data": map[string]any{"tls.key": canary}},
			After:  map[string]any{"data": map[string]any{"tls.key": canary + "x"}}}}}}}}}
	m := New(Input{State: f, Plan: p, Again: again})
	files, err := m.Bundle(About{})
	if err != nil {
		t.Fatal(err)
	}
	bundle := ""
	for _, f := range files {
		bundle += string(f.Text)
	}
	for format, text := range map[string]string{"html": printed(t, m.HTML), "markdown": printed(t, m.Markdown),
		"bundle": bundle} {
		if strings.Contains(text, canary) {
			t.Errorf("%s: the diff shows a secret", format)
		}
		if !strings.Contains(text, "*** (after)") {
			t.Errorf("%s: there is no diff", format)
		}
	}
}
