package verdict

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

const (
	shown      = 10  // members that a message names before it counts the rest
	warningMax = 256 // runes; the API server cuts what is longer
	whyMax     = 200 // runes of one member's reason
	oddMax     = 5   // anomalies of the stanza that are told before the rest is counted
)

// denial is the message of a denial. Its lines, in this order, are the same for the same facts, so that a GitOps
// controller that retries shows a still picture:
//
//  1. what the edit withdraws, from what;
//  2. at most ten members, by name, each with the credentials that it may present and why that is thought;
//  3. the count of the rest;
//  4. what in the new stanza is not written as documented;
//  5. the next command;
//  6. what an override needs, and the one patch that carries it.
func (q Question) denial(v Verdict, p Permission) string {
	lines := byMember(v.Blockers)
	var b strings.Builder
	fmt.Fprintf(&b, "%s would %s %s, which %s may still present:", q.what(), q.stop(), credList(q.withdrawn),
		Count(len(lines)))
	for _, l := range lines[:min(len(lines), shown)] {
		fmt.Fprintf(&b, "\n- %s: %s (%s)", clean(l.name, 300), credList(l.creds), clean(l.why, whyMax))
	}
	if rest := len(lines) - shown; rest > 0 {
		fmt.Fprintf(&b, "\n- and %d more", rest)
	}
	for _, o := range q.anomalies() {
		fmt.Fprintf(&b, "\nNot as documented: %s", clean(o, 400))
	}
	b.WriteString("\nRun `kubectl xcpauth status` to see every member" + q.remedy())
	b.WriteString("\n" + q.overrideHint(v, p))
	return b.String()
}

// what is what would withdraw something.
func (q Question) what() string {
	if q.req.Operation == Delete {
		return "without ManagementPlane " + q.req.subject() + " the hub"
	}
	return "ManagementPlane " + q.req.subject()
}

// inOneLine is what an edit withdraws, and from whom.
func (q Question) inOneLine(blockers []guard.Blocker) string {
	var members []string
	for _, l := range byMember(blockers) {
		members = append(members, l.name)
	}
	return fmt.Sprintf("%s %s, which may still be presented by %s", q.stop(), credList(q.withdrawn), summary(members))
}

// remedy is what to do instead: members can be moved off mutual TLS first, and off nothing else.
func (q Question) remedy() string {
	switch {
	case q.req.Operation == Delete:
		return ". To change the object, edit it in place: `kubectl apply`, not `kubectl replace --force`, which deletes it first. " +
			"To take the hub down, forget each member first: `kubectl xcpauth edge forget NAME --reason ...`."
	case len(q.owners) > 0:
		return ". Leave the owner out (" + clean(strings.Join(q.owners, ", "), 300) +
			"): where an owner is gone, or goes, the garbage collector deletes this object and takes the hub away."
	}
	if len(q.withdrawn) == 1 && q.withdrawn[0] == state.MTLS && q.new.Accepts[state.MTLS] == guard.No {
		return ", and `kubectl xcpauth migrate` to move them first."
	}
	return "; write every mode that they present as true."
}

// stop is what the edit does to what it withdraws: it says plainly that it is not accepted any more, or leaves it
// unsaid.
func (q Question) stop() string {
	for _, c := range q.withdrawn {
		if q.new.Accepts[c] != guard.No {
			return "no longer surely accept"
		}
	}
	return "stop accepting"
}

// anomalies tells what in the new object is not written as documented, one sentence each.
func (q Question) anomalies() []string {
	var told []string
	for _, o := range q.odd[:min(len(q.odd), oddMax)] {
		told = append(told, o.String())
	}
	if rest := len(q.odd) - oddMax; rest > 0 {
		told = append(told, fmt.Sprintf("and %d more of that kind", rest))
	}
	return told
}

// line is what one member stands for in a denial.
type line struct {
	name  string
	creds []guard.Cred
	why   string
}

// byMember joins the blockers of one member and one reason; blockers come sorted by member.
func byMember(blockers []guard.Blocker) []line {
	var lines []line
	for _, b := range blockers {
		if n := len(lines); n > 0 && lines[n-1].name == b.Member && lines[n-1].why == b.Why {
			lines[n-1].creds = append(lines[n-1].creds, b.Cred)
			continue
		}
		lines = append(lines, line{b.Member, []guard.Cred{b.Cred}, b.Why})
	}
	return lines
}

func blockingMembers(blockers []guard.Blocker) int { return len(byMember(blockers)) }

// summary is a list that fits a warning: the count first, then as many names as there is room for.
func summary(all []string) string {
	s := Count(len(all)) + ": "
	for i, name := range all {
		if i > 0 {
			s += ", "
		}
		if i == 3 {
			return s + fmt.Sprintf("and %d more", len(all)-i)
		}
		s += clean(name, 40)
	}
	return s
}

// Count is a number of members in words.
func Count(n int) string {
	if n == 1 {
		return "1 member"
	}
	return fmt.Sprintf("%d members", n)
}

func credList(creds []guard.Cred) string {
	var words []string
	for _, c := range creds {
		words = append(words, string(c))
	}
	return strings.Join(words, " and ")
}

func warnings(texts ...string) []string {
	for i := range texts {
		texts[i] = clean(texts[i], warningMax)
	}
	return texts
}

// OneLine is text of others as a log or an Event takes it; see clean.
func OneLine(s string, limit int) string { return clean(s, limit) }

// clean makes text written by others safe for one line of a terminal or a header: control and invisible characters
// become spaces, and what is longer than limit runes ends in "...".
func clean(s string, limit int) string {
	runes := []rune(strings.ToValidUTF8(s, " "))
	for i, r := range runes {
		if !unicode.IsPrint(r) {
			runes[i] = ' '
		}
	}
	if len(runes) > limit {
		return string(runes[:limit-3]) + "..."
	}
	return string(runes)
}
