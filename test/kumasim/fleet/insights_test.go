package fleet

import (
	"fmt"
	"testing"
	"time"
)

// A subscription that is there is replaced, a new one ends those that are open, ten are kept, and where the global is
// told to, what is over keeps no configuration.
func TestSubscriptionsAreMergedAsTheProductDoes(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	sub := func(id, ended string) map[string]any {
		m := map[string]any{"id": id, "config": "{}"}
		if ended != "" {
			m["disconnectTime"] = ended
		}
		return m
	}
	for _, compact := range []bool{false, true} {
		old := []any{sub("a", "then"), sub("b", "")}
		all := merge(old, []subscription{{sub("b", "later"), compact}, {sub("c", ""), compact}, {sub("d", ""), compact}}, now)
		var got []string
		for _, o := range all {
			m := o.(map[string]any)
			got = append(got, fmt.Sprint(m["id"], " ", m["disconnectTime"], " ", m["config"]))
		}
		config := "{}"
		if compact {
			config = "<nil>"
		}
		want := []string{"a then " + config, "b later " + config, "c 2026-11-30T12:00:00Z " + config, "d <nil> {}"}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("compact %v: %q, want %q", compact, got, want)
		}
	}
	var all []any
	for i := range 12 {
		all = merge(all, []subscription{{sub(fmt.Sprint(i), ""), false}}, now)
	}
	if len(all) != 10 || all[0].(map[string]any)["id"] != "2" {
		t.Errorf("%d are kept, from %v on", len(all), all[0])
	}
}
