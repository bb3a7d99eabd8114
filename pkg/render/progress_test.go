package render

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/xcpauth/kubectl-xcpauth/pkg/engine"
)

func event(second int, phase engine.Phase, member, text string) engine.Event {
	return engine.Event{At: noon.Add(time.Duration(second) * time.Second), Phase: phase, Member: member, Text: text}
}

// feed adds events and returns everything that scrolled up.
func feed(p *Progress, events ...engine.Event) []string {
	var up []string
	for _, e := range events {
		up = append(up, p.Add(e, false)...)
	}
	return up
}

func TestProgressOfAWave(t *testing.T) {
	p := &Progress{}
	up := feed(p,
		event(0, engine.WaveStarted, "hub", "wave: the rest"),
		event(1, engine.Started, "edge-2", "edge-2: present a JWT"),
		event(1, engine.Started, "a-cluster-with-quite-a-long-name-eu-west-1", "present a JWT"),
		event(1, engine.Started, "edge-4", "edge-4: present a JWT"),
		event(2, engine.Wrote, "edge-2", "wrote ControlPlane istio-system/controlplane in edge-2"),
		event(3, engine.Waiting, "edge-2", "waiting: EdgeXcp says MUTUAL_TLS"),
		event(9, engine.Waiting, "edge-2",
			"waiting: pod edge-6f7c9d-x2x4z mounts xcp-edge-cert and is older than the change, so that it must end first"),
		event(9, engine.StepVerified, "edge-4", "verified: EdgeXcp says JWT; 1 of 1 pods mounts the token"),
		event(10, engine.StepFailed, "a-cluster-with-quite-a-long-name-eu-west-1",
			"not verified within 15m0s: no pod connected; put back"),
		event(11, engine.Info, "hub", "something about the hub"))
	if want := "12:00:00 hub: wave: the rest\n12:00:11 hub: something about the hub"; strings.Join(up, "\n") != want {
		t.Errorf("scrolled up so far\n%s\nwant\n%s", strings.Join(up, "\n"), want)
	}
	var all []string
	for _, columns := range []int{120, 80, 40, 20} {
		all = append(all, fmt.Sprintf("%d columns:", columns))
		all = append(all, p.Lines(noon.Add(75*time.Second), columns, 24, false)...)
	}
	all = append(all, "then:")
	all = append(all, feed(p, event(80, engine.WaveStarted, "hub", "wave: mTLS off"))...)
	golden(t, "progress", strings.Join(all, "\n")+"\n")
	if lines := p.Lines(noon, 80, 24, false); len(lines) > 0 {
		t.Errorf("the next wave begins with rows of the last: %q", lines)
	}
}

func TestProgressOfAHundredMembersFolds(t *testing.T) {
	p := &Progress{}
	for i := range 100 {
		feed(p, event(0, engine.Waiting, fmt.Sprintf("edge-%d", i), "waiting: EdgeXcp says MUTUAL_TLS"))
	}
	for height, want := range map[int]string{24: "… and 88 more waiting", 60: "… and 88 more waiting",
		10: "… and 94 more waiting", 1: "… and 99 more waiting"} {
		lines := p.Lines(noon, 80, height, false)
		if got := lines[len(lines)-1]; got != want {
			t.Errorf("%d rows: the last line is %q, want %q", height, got, want)
		}
		if len(lines) > max(height-2, 3) {
			t.Errorf("%d lines on a terminal of %d rows", len(lines), height)
		}
	}
	feed(p, event(1, engine.StepFailed, "edge-99", "not verified"))
	for i := range 40 {
		feed(p, event(2, engine.StepVerified, fmt.Sprintf("edge-%d", i), "verified: x"))
	}
	lines := p.Lines(noon, 80, 24, false)
	if !strings.HasPrefix(lines[1], "edge-99   failed") ||
		lines[len(lines)-1] != "… and 88 more: 48 waiting, 40 verified" {
		t.Errorf("what failed is not first, or what is folded not counted:\n%s", strings.Join(lines, "\n"))
	}
	if up := p.End(false); len(up) != 100 {
		t.Errorf("%d lines scroll up in the end, want one for each member", len(up))
	}
}

func TestNoLineIsWiderThanTheTerminal(t *testing.T) {
	p := &Progress{}
	feed(p, event(0, engine.Waiting, strings.Repeat("edge", 20), "waiting: "+strings.Repeat("x", 300)),
		event(0, engine.Started, "b", "a\nb\x1b[31mc"))
	for columns := range 130 {
		for _, line := range p.Lines(noon, columns, 24, false) {
			if n := utf8.RuneCountInString(line); n >= max(columns, 1) || strings.ContainsAny(line, "\n\x1b") {
				t.Errorf("%d columns: a line of %d: %q", columns, n, line)
			}
		}
	}
}

func TestColourIsOnlyAroundWhatIsShownWithout(t *testing.T) {
	p := &Progress{}
	feed(p, event(0, engine.StepFailed, "a", "not verified"), event(0, engine.StepVerified, "b", "verified: x"),
		event(0, engine.Waiting, "c", "waiting: y"))
	plain, coloured := p.Lines(noon, 80, 24, false), p.Lines(noon, 80, 24, true)
	bare := strings.NewReplacer("\x1b[1m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[0m", "")
	for i, line := range coloured {
		if bare.Replace(line) != plain[i] {
			t.Errorf("%q is not %q in colour", line, plain[i])
		}
	}
	if strings.Contains(strings.Join(plain, ""), "\x1b") || !strings.HasPrefix(coloured[1], "\x1b[31ma ") {
		t.Errorf("plain %q, coloured %q", plain, coloured)
	}
}

// Who watches for hours sees the date once it is another day, and not before.
func TestATimeHasItsDateWhereItIsAnotherDay(t *testing.T) {
	p := &Progress{}
	const day = 24 * 60 * 60
	for _, tc := range []struct {
		second int
		want   string
	}{{0, "12:00:00"}, {day/2 - 1, "23:59:59"}, {day / 2, "2026-03-28 00:00:00"}, {30 * day, "2026-04-26 12:00:00"}, {1,
		"12:00:01"}} {
		if got := p.Line(event(tc.second, engine.Waiting, "eu", "waiting: x"), false); got != tc.want+" eu: waiting: x" {
			t.Errorf("after %d s: %q, want %s", tc.second, got, tc.want)
		}
	}
}

// Progress as JSON is one object a line, whatever its text holds, with times as a program reads them.
func TestProgressAsJSONIsOneObjectALine(t *testing.T) {
	e := event(3, engine.Waiting, "eu", "waiting: a\nb \x1b[2J")
	e.Until = e.At.Add(time.Minute)
	line := string(JSONLine(e))
	var got ProgressEvent
	if err := json.Unmarshal([]byte(line), &got); err != nil || strings.ContainsAny(line, "\n\x1b") {
		t.Fatalf("%v: %q", err, line)
	}
	if got.Kind != "ProgressEvent" || got.Phase != engine.Waiting || got.Member != "eu" || got.Until == nil ||
		!got.Until.Equal(e.Until) || got.Text != "waiting: a b  [2J" {
		t.Errorf("%+v", got)
	}
}

// On a terminal a long line is wrapped below its text; elsewhere it stays one line, for a search to find.
func TestALongLineOfProgressIsWrappedOnATerminal(t *testing.T) {
	at := time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)
	e := engine.Event{Member: "hub", Phase: engine.Info, At: at,
		Text: "verified: Central was rolled out; EdgeXcp says JWT; its token is signed by the key of the hub"}
	for columns, want := range map[int]string{
		0: "12:00:00 hub: verified: Central was rolled out; EdgeXcp says JWT; its token is signed by the key of the hub",
		60: "12:00:00 hub: verified: Central was rolled out; EdgeXcp\n" +
			"         says JWT; its token is signed by the key of the\n         hub",
		10: "12:00:00 hub: verified: Central was rolled out; EdgeXcp says JWT; its token is signed by the key of the hub",
	} {
		p := Progress{Columns: columns}
		if got := p.Add(e, false); len(got) != 1 || got[0] != want {
			t.Errorf("at %d columns:\n%s", columns, strings.Join(got, "\n"))
		}
	}
}
