package auditor

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// exported says whether a metric of this name would be scraped.
func exported(t *testing.T, name string) bool {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return true
		}
	}
	return false
}

func TestALeadThatWasLostBeforeItBeganIsNone(t *testing.T) {
	a := &Auditor{lead: make(chan struct{}, 1)}
	term, end := context.WithCancel(t.Context())
	a.won(term)
	if !a.leading() || len(a.lead) != 1 {
		t.Fatal("the lead was won, and nothing follows")
	}
	const name = "xcpauth_webhook_refused_members"
	if Refused.WithLabelValues().Set(3); !exported(t, name) {
		t.Fatal("a replica that leads has no metrics")
	}
	end()
	a.lost()
	if a.leading() || exported(t, name) {
		t.Error("the lead was lost, and its metrics are still there")
	}
	a.won(term) // called late, as it may be
	if a.leading() {
		t.Error("a term that is over leads")
	}
}
