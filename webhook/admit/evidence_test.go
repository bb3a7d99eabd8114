package admit_test

import (
	"context"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/xcpauth/kubectl-xcpauth/webhook/admit"
	"github.com/xcpauth/kubectl-xcpauth/webhook/events"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// An admitted withdrawal leaves an Event and a metric that say on whose word it was admitted; a dry run leaves none.
func TestAnAdmittedWithdrawalIsToldWithItsEvidence(t *testing.T) {
	s := serve(t, func(ctx context.Context, ns string) (verdict.Inventory, error) {
		inv, err := edge(ctx, ns)
		inv.Roster[0].Status.Presents, inv.Roster[0].Status.Source = []string{"jwt"}, "ci@eu"
		return inv, err
	}, noon, admit.Limits{}, nil)
	before := metric(t, "xcpauth_webhook_withdrawals_total", "")
	if got := s.review(t, "UPDATE", both, jwtOnly); !got.Allowed || len(s.told) != 0 || metric(t,
		"xcpauth_webhook_withdrawals_total", "") != before {
		t.Errorf("a dry run: %+v, %d Events", got, len(s.told))
	}
	if got := s.post(t, "", nil, withoutDryRun(review("UPDATE", both, jwtOnly))); !got.Allowed {
		t.Fatalf("%+v", got.Result)
	}
	e := <-s.told
	if e.Reason != "WithdrawalAdmitted" || !e.Normal || e.UID != "uid-of-mp" || e.Action != "Update" ||
		len(e.Note) > events.NoteMax ||
		!strings.Contains(e.Note,
			"an edit by alice was admitted: Central would stop accepting mtls; it rested on 1 member by pods") ||
		!strings.Contains(e.Note, "edge-1 from ci@eu, pods, seen 2026-01-02T12:00:00Z") {
		t.Errorf("%+v", e)
	}
	if n := metric(t, "xcpauth_webhook_withdrawals_total", "") - before; n != 1 {
		t.Errorf("counted %v times", n)
	}
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, f := range families {
		if f.GetName() != "xcpauth_webhook_withdrawal_evidence_timestamp_seconds" {
			continue
		}
		for _, m := range f.Metric {
			series := ""
			for _, l := range m.Label {
				series += l.GetName() + "=" + l.GetValue() + " "
			}
			found = append(found, series)
			if m.GetGauge().GetValue() != float64(noon.Unix()) {
				t.Errorf("%s: %v", series, m.GetGauge().GetValue())
			}
		}
	}
	if strings.Join(found, "\n") != "evidence=pods hub=tsb/mp member=edge-1 source=ci@eu " {
		t.Errorf("%q", found)
	}
	if !strings.Contains(s.log.String(), `"rests":"it rested on 1 member by pods`) {
		t.Errorf("the log does not say: %s", s.log)
	}
}
