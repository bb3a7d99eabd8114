package report

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"golang.org/x/net/html"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/render"
	testgolden "github.com/xcpauth/kubectl-xcpauth/test/golden"
)

// golden holds text against a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	testgolden.Check(t, filepath.Join("testdata", name), got)
}

// printed is a report in a format.
func printed(t *testing.T, format func(io.Writer) error) string {
	t.Helper()
	var b bytes.Buffer
	if err := format(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReportsReadWell(t *testing.T) {
	ofZones, _ := mesh(t)
	for name, m := range map[string]Model{"done": of(done()), "mixed": of(mixed(30)), "mesh": ofZones} {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".html", printed(t, m.HTML))
			golden(t, name+".md.golden", printed(t, m.Markdown))
			golden(t, name+".xml", printed(t, m.JUnit))
		})
	}
}

// hostile is a fleet in which every text that a cluster can choose tries to get out of its place.
func hostile() Model {
	const bad = "<script>alert(1)</script>\x1b[2J\x00\r\n| `x` [a](http://evil.example.test) \"'&-->]]>"
	f := mixed(3)
	f.Hub.Context, f.Hub.Object.Name, f.Hub.InFlight = bad, bad, bad
	f.Hub.Anomalies = []string{bad}
	for i := range f.Members {
		m := &f.Members[i]
		m.Name, m.ClusterName, m.Context, m.Err = bad+m.Name, bad, bad, bad
	}
	f.Others[0].Why, f.Others[1].Context = bad, bad
	f.Hub.History = []plan.WaveRecord{went(9, time.Minute, bad, bad, []string{bad}, "move/"+bad)}
	m := of(f)
	m.By = bad
	m.Plan.Waves = append(m.Plan.Waves, render.PlanWave{Title: bad, Steps: []render.PlanStep{{Title: bad, Why: bad,
		Changes: []string{bad}, Proof: []string{bad}, Diff: []string{"--- a\n+++ b\n+" + bad + "\n```\n"}, WayBack: bad}}})
	m.Plan.Blocked = append(m.Plan.Blocked, plan.Obstacle{Member: bad, Why: bad})
	m.Rules = append(m.Rules, Rule{ID: "XA999", Title: bad, Severity: finding.Error, Docs: "https://example.test/",
		Found: []Found{{Severity: finding.Error, Who: []string{bad}, Object: bad, Saw: bad, Do: bad, Command: bad,
			Manifest: bad}}})
	return m
}

// nodes are all elements of a page.
func nodes(t *testing.T, page string) []*html.Node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Collect(root.Descendants()), func(n *html.Node) bool {
		return n.Type != html.ElementNode
	})
}

// A page is read where no network is, and by someone who trusts nothing that comes with it: it fetches nothing and runs
// nothing, whatever the clusters call their objects.
func TestAPageNeedsNothingAndRunsNothing(t *testing.T) {
	ofZones, _ := mesh(t)
	for name, m := range map[string]Model{"done": of(done()), "mixed": of(mixed(300)), "mesh": ofZones,
		"hostile": hostile()} {
		page := printed(t, m.HTML)
		for _, n := range nodes(t, page) {
			if slices.Contains([]string{"script", "link", "iframe", "img", "object", "embed", "form", "base", "use",
				"image", "foreignobject"}, strings.ToLower(n.Data)) {
				t.Errorf("%s: the page has a <%s>", name, n.Data)
			}
			for _, a := range n.Attr {
				switch {
				case strings.HasPrefix(strings.ToLower(a.Key), "on"), a.Key == "style":
					t.Errorf("%s: <%s> has %s=%q", name, n.Data, a.Key, a.Val)
				case a.Key == "href" && n.Data == "a" && strings.HasPrefix(a.Val, "https://"): // of the documentation
				case slices.Contains([]string{"href", "src", "srcset", "xlink:href", "action"}, a.Key):
					t.Errorf("%s: <%s> leads to %q", name, n.Data, a.Val)
				}
			}
		}
		if strings.Contains(page, "url(") || strings.Contains(page, "@import") {
			t.Errorf("%s: the style sheet fetches something", name)
		}
	}
}

// What a cluster calls its objects stays text, in every format.
func TestTextsFromClustersStayText(t *testing.T) {
	m := hostile()
	page, ticket, tests := printed(t, m.HTML), printed(t, m.Markdown), printed(t, m.JUnit)
	for format, text := range map[string]string{"html": page, "markdown": ticket, "junit": tests} {
		if i := strings.IndexFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' }); i >= 0 {
			t.Errorf("%s: a control character in %q", format, text[max(0, i-40):min(len(text), i+40)])
		}
	}
	if strings.Contains(page, "<script") || !strings.Contains(page, "&lt;script&gt;alert(1)") {
		t.Error("html: the name of a member is not escaped")
	}
	for _, line := range loose(ticket) {
		t.Errorf("markdown: not escaped: %s", line)
	}
	if strings.Contains(tests, "<script") {
		t.Error("junit: the name of a member is not escaped")
	}
}

// loose are the lines of a page of Markdown that have what is not escaped, and a fence that is left open.
func loose(ticket string) []string {
	var found []string
	fence := ""
	for line := range strings.SplitSeq(ticket, "\n") {
		line = strings.TrimSpace(line)
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case fence == "" && len(ticks) >= 3:
			fence = ticks
		case fence != "" && line == fence:
			fence = ""
		case fence == "":
			bare := strings.NewReplacer(`\\`, "", "\\`", "", `\[`, "", `\<`, "", `\|`, "").Replace(line)
			if strings.ContainsAny(bare, "`[<") || strings.Contains(bare, "|") && !strings.HasPrefix(bare, "|") {
				found = append(found, line)
			}
		}
	}
	if fence != "" {
		found = append(found, fence)
	}
	return found
}

// suites is JUnit's XML as a pipeline reads it.
type suites struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Suites   []struct {
		Name  string `xml:"name,attr"`
		Tests int    `xml:"tests,attr"`
		Cases []struct {
			Name    string    `xml:"name,attr"`
			Failure *struct{} `xml:"failure"`
			Skipped *struct{} `xml:"skipped"`
			Out     string    `xml:"system-out"`
		} `xml:"testcase"`
	} `xml:"testsuite"`
}

func TestAPipelineFailsOnMembersAndErrors(t *testing.T) {
	for _, tc := range []struct {
		name           string
		m              Model
		tests, members string // what of the members fails, and what is skipped
		check          string // the rules that fail
	}{
		{"all done", of(done()), "4", "", ""},
		{"every state", of(mixed(10)), "13",
			"edge-001 edge-006 edge-007 edge-008 edge-009 edge-010 asleep (sandbox)", "XA001"},
		{"names that try to get out", hostile(), "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s suites
			if err := xml.Unmarshal([]byte(printed(t, tc.m.JUnit)), &s); err != nil {
				t.Fatal(err)
			}
			failures, tests := 0, 0
			failed := map[string][]string{}
			for _, suite := range s.Suites {
				tests += len(suite.Cases)
				for _, c := range suite.Cases {
					id, _, _ := strings.Cut(c.Name, " ")
					switch {
					case c.Failure != nil:
						failures++
						failed[suite.Name] = append(failed[suite.Name], id)
					case c.Skipped != nil:
						failed[suite.Name] = append(failed[suite.Name], "("+id+")")
					}
				}
			}
			if s.Tests != tests || s.Failures != failures {
				t.Errorf("it says %d tests and %d failures, and has %d and %d", s.Tests, s.Failures, tests, failures)
			}
			if tc.tests == "" {
				return
			}
			if got := fmt.Sprint(len(s.Suites[0].Cases)); got != tc.tests {
				t.Errorf("%s tests of members, want %s", got, tc.tests)
			}
			if got := strings.Join(failed["members"], " "); got != tc.members {
				t.Errorf("of the members fail %s, want %s", got, tc.members)
			}
			if got := strings.Join(failed["check"], " "); got != tc.check {
				t.Errorf("of the rules fail %s, want %s", got, tc.check)
			}
		})
	}
}

// A fence is a policy of some hundred lines, the same in each cluster.
func TestALongDiffIsCutAndSaysSo(t *testing.T) {
	m := of(done())
	m.Plan.Waves = []render.PlanWave{{Title: "fences", Steps: []render.PlanStep{{Title: "edge-eu: fence it",
		Diff: []string{"--- a\n+++ b\n" + strings.Repeat("+line\n", 300)}}}}}
	for format, text := range map[string]string{"html": printed(t, m.HTML), "markdown": printed(t, m.Markdown)} {
		if n := strings.Count(text, "+line"); n != diffShown-2 ||
			!strings.Contains(text, "… and 242 more lines, which kubectl xcpauth plan --diff shows") {
			t.Errorf("%s: %d lines are shown", format, n)
		}
	}
}
