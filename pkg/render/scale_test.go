package render

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/xcpauth/kubectl-xcpauth/pkg/finding"
	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
)

// edges is a fleet of so many edges in the middle of a migration: one in ten has not moved, one in fifty is not
// connected, one in seventy cannot be reached, and one in ninety has a long name in two scripts.
func edges(n int) (plan.State, plan.Plan) {
	f := plan.State{At: noon, Product: "tsb", Words: state.Words, Hub: plan.Hub{
		HubIdentity: plan.HubIdentity{Found: true, Context: "hub", Object: plan.Ref{Kind: "ManagementPlane", Name: "mp"}},
		HubDeclaration: plan.HubDeclaration{Accepts: guard.Hub{Accepts: map[guard.Cred]guard.Tri{"mtls": guard.Yes,
			"jwt": guard.Yes}}},
		HubRunning: plan.HubRunning{Workload: plan.Workload{Found: true, Replicas: 2, Settled: true,
			Processes: []plan.Process{{Name: "central-1", Ready: true}, {Name: "central-2", Ready: true}}},
			Connections: &plan.Connections{Config: n - n/50, State: n - n/50 + 1}},
		HubCertificate: plan.HubCertificate{Server: plan.Certificate{Expires: noon.AddDate(0, 2, 0)}}}}
	p := plan.Plan{Waves: []plan.Wave{{Title: "canary"}, {Title: "the others"}}}
	for i := 1; i <= n; i++ {
		name := fmt.Sprintf("edge-%04d", i)
		m := plan.Member{Identity: plan.Identity{Name: name, ClusterName: name, Role: plan.RoleEdge, Context: name},
			Declaration: plan.Declaration{Declared: "jwt"}, Effective: "jwt",
			Evidence:   guard.Member{Presents: []guard.Cred{"jwt"}, Why: "its pods"},
			Connecting: plan.Connecting{Link: plan.Link{Connected: guard.Yes, Why: "Central last heard of it at noon"}},
			Credentials: plan.Credentials{Credential: plan.Credential{State: plan.CredentialReady,
				Expires: noon.Add(time.Duration(30+i) * time.Minute)}},
			Workload: plan.Workload{Found: true, Replicas: 1, Settled: true, Processes: []plan.Process{{Ready: true}}}}
		switch {
		case i%90 == 2:
			m.Name = fmt.Sprintf("arn:aws:eks:eu-west-1:123456789012:cluster/東京-größe-%04d", i)
		case i%50 == 3:
			m.Link = plan.Link{Connected: guard.No, Why: "Central last heard of it 40m ago"}
		case i%70 == 4:
			m.Err, m.Evidence, m.Link = "the API server did not answer in time", guard.Member{}, plan.Link{}
		case i%10 == 1:
			m.Declared, m.Effective, m.Evidence.Presents = "mtls", "mtls", []guard.Cred{"mtls"}
			wave := &p.Waves[min(1, len(p.Waves[0].Steps))]
			wave.Steps = append(wave.Steps, plan.Step{ID: "move/" + name, Member: name, Verb: "move to JWT"})
		}
		f.Members = append(f.Members, m)
	}
	return f, p
}

// Whatever the size of the fleet and the width of the terminal, a status is a page that can be read: what is down
// comes first, members that are alike share a row, no line is wider than the terminal, and nothing is said twice.
func TestAStatusIsAPageAtEverySize(t *testing.T) {
	again := func(verb string) string { return "kubectl xcpauth " + verb }
	for _, n := range []int{3, 30, 300, 1000} {
		f, p := edges(n)
		s := NewStatus(f, p, again)
		for _, width := range []int{80, 120, 200} {
			var b bytes.Buffer
			if err := Print(&Page{Writer: &b, Width: width, Fit: true}, Format{Name: "table"}, s); err != nil {
				t.Fatal(err)
			}
			golden(t, fmt.Sprintf("status-%d-%d", n, width), b.String())
			lines := strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
			if len(lines) > 40 {
				t.Errorf("%d edges make %d lines", n, len(lines))
			}
			if !strings.HasPrefix(lines[0], "NOT CONNECTED: edge-0003 ") && !strings.HasPrefix(lines[0],
				"NOT CONNECTED: edge-0003, ") {
				t.Errorf("of %d edges the first line is %q", n, lines[0])
			}
			for _, line := range lines {
				if got := runewidth.StringWidth(line); got > width {
					t.Errorf("a line of %d columns in %d: %s", got, width, line)
				}
			}
		}
		if waits := strings.Count(laid(s, true), "   waits"); waits != len(p.Waves[1].Steps) {
			t.Errorf("%d of %d edges wait for their turn", waits, len(p.Waves[1].Steps))
		}
	}
}

// The status of one member says what shows how it is, and that of others is not there.
func TestAStatusOfOneMemberSaysWhatShowsIt(t *testing.T) {
	f, p := edges(30)
	s := NewStatus(f, p, func(verb string) string { return "kubectl xcpauth " + verb })
	for _, name := range []string{"edge-0003", "edge/edge-0003"} {
		one, err := s.Only([]string{name, "edge-0003"})
		if err != nil {
			t.Fatal(err)
		}
		text := laid(one, false)
		golden(t, "status-one", text)
		if len(one.Members) != 1 || strings.Contains(text, "edge-0001") || !one.Down() {
			t.Errorf("%s: %+v\n%s", name, one.Members, text)
		}
	}
	if _, err := s.Only([]string{"edge-7"}); err == nil || !strings.Contains(err.Error(), "there are: hub, edge-0001") {
		t.Errorf("a name that is none: %v", err)
	}
}

// Whatever the size of the fleet, what check finds is a page: each rule once, and under it once what is the same of
// many, with the command of one of them.
func TestACheckIsAPageAtEverySize(t *testing.T) {
	for _, n := range []int{3, 30, 300, 1000} {
		f, _ := edges(n)
		var found []finding.Finding
		add := func(rule string, severity finding.Severity, m plan.Member, text, fix, command string) {
			found = append(found, finding.Finding{Rule: rule, Severity: severity, Title: "the title of " + rule,
				Member: m.Name, Context: m.Context, Object: "Secret istio-system/token", Found: text, Remedy: fix,
				Command: command, Docs: "docs/checks.md#" + strings.ToLower(rule)})
		}
		for i, m := range f.Members {
			if i%3 == 0 {
				add("XA030", finding.Error, m, "the token of "+m.Name+" is not there", "make it with: tctl make --cluster "+m.Name,
					"")
			}
		}
		for i, m := range f.Members {
			if i%7 == 1 {
				add("XA003", finding.Warning, m, fmt.Sprintf("pod %d could not be read", i%2), "fix that",
					"kubectl --context "+m.Context+" get pods")
			}
			add("XA041", finding.Info, m, "its version is not known", "give it one", "")
		}
		slices.SortStableFunc(found, func(a, b finding.Finding) int {
			return strings.Compare(string(a.Severity), string(b.Severity))
		})
		r := NewCheck(f, found, nil, finding.Error, func(verb string) string { return "kubectl xcpauth " + verb })
		for _, width := range []int{80, 120, 200} {
			var b bytes.Buffer
			if err := Print(&Page{Writer: &b, Width: width, Fit: true}, Format{Name: "table"}, r); err != nil {
				t.Fatal(err)
			}
			golden(t, fmt.Sprintf("check-%d-%d", n, width), b.String())
			if lines := strings.Count(b.String(), "\n"); lines > 50 {
				t.Errorf("%d edges make %d lines", n, lines)
			}
			for line := range strings.Lines(b.String()) {
				if got := runewidth.StringWidth(strings.TrimRight(line, "\n")); got > width && !strings.Contains(line, "ctl ") {
					t.Errorf("a line of %d columns in %d: %s", got, width, line)
				}
			}
		}
		if wide := laid(r, true); strings.Count(wide, "tctl make --cluster") != (n+2)/3 {
			t.Errorf("of %d edges wide has %d commands", n, strings.Count(wide, "tctl make --cluster"))
		}
	}
}
