package render

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Changes says in one line for each member what differs from an earlier status, from what to what. Of the first look,
// when earlier is nil, each member is said as it is. Ages alone are no change.
func Changes(earlier *Status, now Status) []string {
	var lines []string
	if earlier == nil {
		for _, r := range now.Members {
			lines = append(lines, fmt.Sprintf("%s: %s; declared %s, effective %s, credential %s, proof %s, next %s%s",
				r.name(), r.State, r.Declared, r.Effective, r.Credential, r.Proof, r.Next, because(r.Why)))
		}
		return append(lines, "fleet: next: "+now.Next)
	}
	was := map[string]StatusRow{}
	for _, r := range earlier.Members {
		was[r.name()] = r
	}
	for _, r := range now.Members {
		before, known := was[r.name()]
		delete(was, r.name())
		if !known {
			lines = append(lines, fmt.Sprintf("%s: new; %s; effective %s, next %s%s", r.name(), r.State, r.Effective, r.Next,
				because(r.Why)))
			continue
		}
		var words []string
		for _, v := range []struct{ name, a, b string }{{"state", string(before.State), string(r.State)},
			{"declared", before.Declared, r.Declared}, {"effective", before.Effective, r.Effective},
			{"credential", before.Credential, r.Credential}, {"proof", before.Proof, r.Proof}, {"next", before.Next, r.Next}} {
			if a, b := ageless(v.a), ageless(v.b); a != b {
				words = append(words, fmt.Sprintf("%s %s -> %s", v.name, a, b))
			}
		}
		switch was, is := before.Health == NotConnected, r.Health == NotConnected; {
		case is && !was:
			words = append([]string{"NOT CONNECTED: " + r.HealthWhy}, words...)
		case was && !is:
			words = append([]string{"was not connected, and is " + string(r.Health)}, words...)
		}
		why := because(r.Why)
		if ageless(because(before.Why)) == ageless(why) {
			why = ""
		} else if why == "" {
			words = append(words, "nothing stands in its way any more")
		}
		if len(words) > 0 || why != "" {
			lines = append(lines, r.name()+": "+strings.TrimPrefix(strings.Join(words, "; ")+why, ": "))
		}
	}
	for _, r := range earlier.Members {
		if _, gone := was[r.name()]; gone {
			lines = append(lines, r.name()+": not seen any more")
		}
	}
	for _, v := range []struct{ name, a, b string }{{"in flight", earlier.InFlight, now.InFlight},
		{"roster", earlier.Roster, now.Roster}, {"next", earlier.Next, now.Next}} {
		if v.a != v.b {
			lines = append(lines, fmt.Sprintf("fleet: %s: %s", v.name,
				strings.TrimSpace(v.b+map[bool]string{true: "nothing any more"}[v.b == ""])))
		}
	}
	return lines
}

// name is the member's, or its context's when it holds none.
func (r StatusRow) name() string {
	if r.Member == "-" {
		return "context " + r.Context
	}
	return r.Member
}

func because(why []string) string {
	if len(why) == 0 {
		return ""
	}
	return ": " + strings.Join(why, "; ")
}

var age = regexp.MustCompile(`\s*\b(\d+[smhd]( ago)?|just now)\b`)

// ageless is text without ages, which change by themselves.
func ageless(text string) string { return strings.TrimSpace(age.ReplaceAllString(text, "")) }

// Page lays the status out for a window of a size that shows it again and again, without evidence. When there are more
// members than fit, those that are alike share a row; then those with whom all is well are only counted.
func (s Status) Page(wide bool, columns, height int) []string {
	all := func(StatusRow) bool { return true }
	lines := s.page(columns, wide, false, all)
	if len(lines) > height {
		lines = s.page(columns, wide, true, all)
	}
	if len(lines) > height {
		lines = s.page(columns, wide, true, func(r StatusRow) bool { return r.State != "ok" && r.State != "skipped" })
	}
	if n := len(lines) - height; n > 0 && height > 0 {
		lines = append(slices.Clone(lines[:height-1]), fmt.Sprintf("… and %d more lines; a taller window shows them", n+1))
	}
	for i, line := range lines {
		lines[i] = Clip(line, columns-1)
	}
	return lines
}

func (s Status) page(columns int, wide, grouped bool, shown func(StatusRow) bool) []string {
	var text bytes.Buffer
	b := Page{Writer: &text, Width: columns - 1, Fit: true}
	s.headline(&b)
	s.rows(&b, wide, grouped, shown)
	well := 0
	for _, r := range s.Members {
		if !shown(r) {
			well++
		}
	}
	if well > 0 {
		fmt.Fprintf(&b, "… and %d more with nothing to do\n", well)
	}
	fmt.Fprintln(&b)
	s.summary(&b) // above the reasons: what does not fit is cut off at the end
	s.reasons(&b, false, false)
	return strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
}
