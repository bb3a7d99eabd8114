package render

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func row(name string, state RowState, change func(*StatusRow)) StatusRow {
	r := StatusRow{Member: name, Role: "edge", Context: name, State: state, Declared: "mTLS", Effective: "mTLS",
		Credential: "token 54s", Proof: "seen in pods", Next: "move to JWT"}
	if change != nil {
		change(&r)
	}
	if r.Health = Connected; state == "blocked" {
		r.Health = Blocked
	}
	return r
}

func TestChangesBetweenTwoLooks(t *testing.T) {
	before := Status{Next: "3 waves left", Roster: "2 of 2 members registered", Members: []StatusRow{
		row("hub", "ok", func(r *StatusRow) { r.Credential, r.Proof, r.Next = "cert 3652d", "2 edges connected", "-" }),
		row("edge-1", "pending", nil), row("edge-2", "pending", nil), row("edge-3", "blocked",
			func(r *StatusRow) { r.Why = []string{"no token; make one"} }),
		row("-", "skipped", func(r *StatusRow) { r.Context = "other" }), row("edge-4", "ok",
			func(r *StatusRow) { r.Proof = "verified 3m ago" }),
	}}
	after := Status{Next: "nothing to do", Roster: before.Roster, InFlight: `the wave "canary"`, Members: []StatusRow{
		row("hub", "ok", func(r *StatusRow) { r.Credential, r.Proof, r.Next = "cert 3651d", "1 edges connected", "-" }),
		row("edge-1", "pending", func(r *StatusRow) { r.Credential = "token 12s" }), // ages alone
		row("edge-2", "unreachable", func(r *StatusRow) {
			r.Declared, r.Effective, r.Why = "unknown", "unknown", []string{"the API server refused the connection"}
		}),
		row("edge-3", "pending", nil), row("edge-4", "ok", func(r *StatusRow) { r.Proof = "verified just now" }),
		row("edge-5", "pending", nil),
	}}
	want := []string{
		"hub: proof 2 edges connected -> 1 edges connected",
		"edge-2: state pending -> unreachable; declared mTLS -> unknown; effective mTLS -> unknown: the API server refused the connection",
		"edge-3: state blocked -> pending; nothing stands in its way any more",
		"edge-5: new; pending; effective mTLS, next move to JWT",
		"context other: not seen any more",
		`fleet: in flight: the wave "canary"`,
		"fleet: next: nothing to do",
	}
	if got := Changes(&before, after); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := Changes(&before, before); len(got) > 0 {
		t.Errorf("nothing changed, and it says %q", got)
	}
	back := Changes(&after, before)
	if !slices.Contains(back, "fleet: in flight: nothing any more") || !slices.Contains(back,
		"edge-3: state pending -> blocked: no token; make one") {
		t.Errorf("the way back is\n%s", strings.Join(back, "\n"))
	}
	first := Changes(nil, before)
	if len(first) != len(before.Members)+1 ||
		first[1] != "edge-1: pending; declared mTLS, effective mTLS, credential token 54s, proof seen in pods, next move to JWT" {
		t.Errorf("the first look is\n%s", strings.Join(first, "\n"))
	}
}

// A member that loses its connection, or has it again, is said where nothing is drawn too.
func TestALostConnectionIsAChange(t *testing.T) {
	up := Status{Members: []StatusRow{row("edge-1", RowOK, nil)}}
	down := Status{Members: []StatusRow{row("edge-1", RowOK, nil)}}
	down.Members[0].Health, down.Members[0].HealthWhy = NotConnected, "Central last heard of it 40m ago"
	if got := Changes(&up, down); !slices.Equal(got, []string{"edge-1: NOT CONNECTED: Central last heard of it 40m ago"}) {
		t.Errorf("it went, and that is said: %q", got)
	}
	if got := Changes(&down, up); !slices.Equal(got, []string{"edge-1: was not connected, and is connected"}) {
		t.Errorf("it came back, and that is said: %q", got)
	}
}

func TestAPageFitsItsWindow(t *testing.T) {
	s := Status{Next: "fix what is blocked", Roster: "101 of 101 members registered",
		Members: []StatusRow{row("hub", "ok", nil)}}
	for i := range 100 {
		state := RowOK
		if i%50 == 7 {
			state = "blocked"
		}
		s.Members = append(s.Members, row(fmt.Sprintf("edge-%d", i), state, func(r *StatusRow) {
			r.Witnesses = []string{"a witness"}
			if state != "ok" {
				r.Why = []string{strings.Repeat("a long reason ", 12)}
			}
		}))
	}
	for _, size := range [][2]int{{80, 22}, {200, 200}, {80, 5}, {30, 10}, {1, 1}, {2, 2}} {
		lines := s.Page(false, size[0], size[1])
		if len(lines) > size[1] {
			t.Errorf("%d lines in a window of %d", len(lines), size[1])
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n >= size[0] {
				t.Errorf("a line of %d in %d columns: %q", n, size[0], line)
			}
		}
	}
	small, tall := strings.Join(s.Page(false, 80, 22), "\n"), strings.Join(s.Page(false, 80, 200), "\n")
	golden(t, "page", small+"\n")
	for _, said := range []string{"edge-7 ", "edge-57 ", "99 members ", "Next: fix what is blocked"} {
		if !strings.Contains(small, said) {
			t.Errorf("a small window does not show %q:\n%s", said, small)
		}
	}
	if !strings.Contains(tall, "edge-99 ") || strings.Contains(tall, "more") || strings.Contains(tall, "witness") {
		t.Errorf("a tall window shows\n%s", tall)
	}
}

func TestAStreamOfReports(t *testing.T) {
	var b bytes.Buffer
	for range 2 {
		if err := PrintOne(&b, Format{Name: "json"}, Status{Kind: "Status", Next: "a < b"}); err != nil {
			t.Fatal(err)
		}
	}
	if lines := strings.Split(b.String(), "\n"); len(lines) != 3 || lines[0] != lines[1] ||
		!strings.Contains(lines[0], `"next":"a < b"`) {
		t.Errorf("JSON is\n%s", b.String())
	}
	b.Reset()
	err := PrintOne(&b, Format{Name: "yaml"}, Status{Kind: "Status"})
	if err != nil || !strings.HasPrefix(b.String(), "---\n") {
		t.Errorf("YAML is %v\n%s", err, b.String())
	}
}
