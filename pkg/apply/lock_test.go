package apply

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Two runs at once could turn mTLS off while the other puts an edge back: a lock is only taken at once from a process
// that is surely dead.
func TestAHolderIsGoneOnlyWhenItsVeryMachineSaysSo(t *testing.T) {
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	dead, mine := ended.Process.Pid, processOf("ann@host")
	here, _, known := strings.Cut(mine, "/")
	if !strings.HasPrefix(here, "ann@host[") || !known {
		t.Fatalf("this process is called %q, want its machine in it", mine)
	}
	for _, tc := range []struct {
		name, holder, asker string
		want                bool
	}{
		{"a dead process of this machine", fmt.Sprintf("%s/%d", here, dead), mine, true},
		{"a dead process of this machine, of somebody else", fmt.Sprintf("%s/%d", strings.Replace(here, "ann", "bob", 1),
			dead), mine, true},
		{"a dead process of this machine, of a user with an @ and a /",
			fmt.Sprintf("%s/%d", strings.Replace(here, "ann", "arn:aws:sts::1:assumed-role/x/ann@example.com", 1), dead), mine,
			true},
		{"a process of this machine that runs", mine, mine, false},
		{"a process of another machine with the same name", fmt.Sprintf("ann@host[00000000]/%d", dead), mine, false},
		{"a machine that is known by name alone", fmt.Sprintf("ann@host/%d", dead), "ann@host/1", false},
		{"not a process at all", "ann@host", mine, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := gone(tc.holder, tc.asker); got != tc.want {
				t.Errorf("%s is gone, asked by %s: %v, want %v", tc.holder, tc.asker, got, tc.want)
			}
		})
	}
}

func TestALockWithoutManagedFieldsIsNoOlderThanItSays(t *testing.T) {
	renewed := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	var l lease
	l.Spec.RenewTime = renewed.Format(microTime)
	if got := l.written(); !got.Equal(renewed) {
		t.Errorf("written %s, want when it was renewed: it would be taken from a run that is at work", got)
	}
	l.Metadata.ManagedFields = []managedField{{Time: renewed.Add(time.Minute).Format(time.RFC3339)}}
	if got := l.written(); !got.Equal(renewed.Add(time.Minute)) {
		t.Errorf("written %s, want the API server's time, where there is one", got)
	}
}
