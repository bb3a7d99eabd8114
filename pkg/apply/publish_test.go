package apply_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xcpauth/kubectl-xcpauth/pkg/roster"
	"github.com/xcpauth/kubectl-xcpauth/test/bed"
)

// What was taken back between the look and the write is found there.
func TestPublishingLooksWhatStands(t *testing.T) {
	now := time.Now().UTC().Truncate(time.Second)
	entry := func(status bed.Object) bed.Object {
		e := bed.Stated("far")
		e["metadata"].(bed.Object)["uid"], e["metadata"].(bed.Object)["resourceVersion"] = "u", "7"
		e["status"] = status
		return e
	}
	for name, tc := range map[string]struct {
		stands bed.Object
		says   string
	}{
		"an older statement": {bed.Object{"presents": []any{"jwt"},
			"observedTime": now.Add(-time.Minute).Format(time.RFC3339)}, ""},
		"nothing":                       {bed.Object{}, ""},
		"taken back before it was seen": {bed.Object{"observedTime": now.Add(-time.Minute).Format(time.RFC3339)}, ""},
		"taken back after it was seen": {bed.Object{"observedTime": now.Add(time.Minute).Format(time.RFC3339)},
			"was taken back at"},
		"taken back in that very second": {bed.Object{"observedTime": now.Format(time.RFC3339)}, "was taken back at"},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := bed.New(t, map[string][]bed.Object{"hub": append(bed.OpenHub("far"), entry(tc.stands))})
			handed := bed.HandedOver("far", 0, nil)
			handed.Status.ObservedTime.Time = now
			err := b.Publish(t.Context(), "hub", roster.MemberOf(handed), handed.Status)
			if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
				t.Errorf("error %v, want %q", err, tc.says)
			}
			if wrote := slices.Contains(b.Wrote, "hub status"); wrote != (tc.says == "") {
				t.Errorf("wrote %v", b.Wrote)
			}
		})
	}
}
