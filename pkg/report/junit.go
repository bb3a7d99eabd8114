package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
)

// The elements of JUnit's XML that pipelines read.
type (
	junitSuites struct {
		XMLName  xml.Name     `xml:"testsuites"`
		Name     string       `xml:"name,attr"`
		Tests    int          `xml:"tests,attr"`
		Failures int          `xml:"failures,attr"`
		Skipped  int          `xml:"skipped,attr"`
		Suites   []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name       string           `xml:"name,attr"`
		Tests      int              `xml:"tests,attr"`
		Failures   int              `xml:"failures,attr"`
		Errors     int              `xml:"errors,attr"`
		Skipped    int              `xml:"skipped,attr"`
		Timestamp  string           `xml:"timestamp,attr"`
		Properties *junitProperties `xml:"properties"`
		Cases      []junitCase      `xml:"testcase"`
	}
	junitProperties struct {
		All []junitProperty `xml:"property"`
	}
	junitProperty struct {
		Name  string `xml:"name,attr"`
		Value string `xml:"value,attr"`
	}
	junitCase struct {
		Name    string        `xml:"name,attr"`
		Class   string        `xml:"classname,attr"`
		Failure *junitFailure `xml:"failure"`
		Skipped *junitSkipped `xml:"skipped"`
		Out     string        `xml:"system-out,omitempty"`
	}
	junitFailure struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	junitSkipped struct {
		Message string `xml:"message,attr"`
	}
)

// JUnit writes the report for a pipeline: a test for each member, which fails unless nothing is left to do for it; and
// one for each rule of check that was looked at, which fails when it found an error.
func (m Model) JUnit(w io.Writer) error {
	membersSuite, checkSuite := m.suite("members"), m.suite("check")
	membersSuite.Properties = &junitProperties{[]junitProperty{{"Verdict", shown(m.Verdict.Text)}}}
	for _, f := range append(m.facts(), m.notes()...) {
		membersSuite.Properties.All = append(membersSuite.Properties.All, junitProperty{f[0], shown(f[1])})
	}
	for _, r := range m.Members {
		membersSuite.add(r.test())
	}
	for _, r := range m.Rules {
		checkSuite.add(r.test())
	}
	all := junitSuites{Name: shown(m.title()), Tests: membersSuite.Tests + checkSuite.Tests,
		Failures: membersSuite.Failures + checkSuite.Failures, Skipped: membersSuite.Skipped + checkSuite.Skipped,
		Suites: []junitSuite{membersSuite, checkSuite}}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func (m Model) suite(name string) junitSuite {
	return junitSuite{Name: name, Timestamp: m.At.Format("2006-01-02T15:04:05")}
}

func (s *junitSuite) add(c junitCase) {
	s.Cases = append(s.Cases, c)
	s.Tests++
	if c.Failure != nil {
		s.Failures++
	}
	if c.Skipped != nil {
		s.Skipped++
	}
}

// test is the test of a row.
func (r Member) test() junitCase {
	c := junitCase{Name: shown(r.Name), Class: "members." + r.Role}
	said := []string{"state: " + both(r.badge(), r.besides()), "declared: " + r.Declared, "effective: " + r.Effective,
		"credential: " + both(r.Credential, expiry(r.Expires)), "verified by: " + both(r.Proof, r.Evidence...),
		"next: " + both(r.Next, r.Why...)}
	if r.Context != "" {
		said = append(said, "context: "+r.Context)
	}
	for i, s := range said {
		said[i] = shown(s)
	}
	text := strings.Join(said, "\n")
	switch {
	case !r.Counts():
		c.Skipped = &junitSkipped{shown(both(r.State, r.Why...))}
	case r.Passes():
		c.Out = text
	default:
		c.Failure = &junitFailure{Type: r.badge(), Message: shown(both(r.label(), r.Why...)), Text: text}
	}
	return c
}

// test is the test of a rule.
func (r Rule) test() junitCase {
	c := junitCase{Name: shown(strings.TrimSpace(r.ID + " " + r.Title)), Class: "check." + r.ID}
	var said []string
	for _, x := range r.Found {
		line := fmt.Sprintf("%s: %s: %s", x.Severity, strings.Join(x.Who, ", "), both(strings.TrimPrefix(x.Object+": "+x.Saw,
			": "), x.Do))
		if x.Command != "" {
			line += ": " + x.Command
		}
		said = append(said, shown(line))
	}
	text := strings.Join(said, "\n")
	if r.Severity == finding.Error {
		c.Failure = &junitFailure{Type: string(r.Severity), Message: said[0], Text: text}
		return c
	}
	c.Out = text
	return c
}
