package migration

import (
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// A new key counts once it was there without a break for as long as the global may take to read it.
func TestAKeyIsUsableOnceItWasThereForLongEnough(t *testing.T) {
	began := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	const there, gone, unseen = "there", "gone", "unseen"
	for name, tc := range map[string]struct {
		seen []string // one look a second
		met  bool
	}{
		"not there":                      {[]string{gone}, false},
		"just made":                      {[]string{there}, false},
		"not for long enough":            {[]string{there, there, there}, false},
		"for long enough":                {[]string{there, there, there, there}, true},
		"gone in between":                {[]string{there, there, gone, there, there}, false},
		"for long enough after that":     {[]string{there, gone, there, there, there, there}, true},
		"gone at last":                   {[]string{there, there, there, there, gone}, false},
		"the global was not seen":        {[]string{there, there, unseen, there, there}, false},
		"the global is not seen at last": {[]string{there, there, there, there, unseen}, false},
	} {
		var since []plan.State
		for i, s := range tc.seen {
			f := plan.State{At: began.Add(time.Duration(i) * time.Second)}
			if f.Hub.Found = s != unseen; s == there {
				f.Hub.Keys = []plan.Key{{ID: "2"}}
			}
			since = append(since, f)
		}
		if e := keyUsable("2").Evaluate(plan.State{}, since...); e.Met != tc.met {
			t.Errorf("%s: %+v, want %v", name, e, tc.met)
		}
	}
}
