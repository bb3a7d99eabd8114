package admit

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

// What is counted. No label takes what a caller writes. A client that never calls us counts nothing.
var (
	// Decisions counts the answers.
	Decisions = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xcpauth_webhook_decisions_total",
		Help: "Admission requests answered, by operation and decision (allowed, denied, overridden, error).",
	}, []string{"operation", "decision"})
	// Durations is how long answers took, from the review read to the answer, in seconds.
	Durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "xcpauth_webhook_decision_duration_seconds",
		Help:    "How long decisions took, reading the members included, by decision.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"decision"})
	// Overrides counts the edits that went over their blockers; a dry run goes over nothing.
	Overrides = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "xcpauth_webhook_overrides_total",
		Help: "Edits admitted over their blockers, dry runs left out.",
	})
	// Withdrawals counts the withdrawals that the rule admitted.
	Withdrawals = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "xcpauth_webhook_withdrawals_total",
		Help: "Edits admitted by the rule that withdraw a credential or take a hub away, dry runs and overrides left out.",
	})
	// Rested names what the last of them rested on.
	Rested = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "xcpauth_webhook_withdrawal_evidence_timestamp_seconds",
		Help: "What the last admitted withdrawal of each hub rested on: when it was seen that the member presents nothing that was withdrawn, as Unix time, by who " +
			"published that and the kind of evidence (live, fence, pods); the oldest hundred.",
	}, []string{"hub", "member", "source", "evidence"})
	// InFlight is how many calls have a place and are being decided.
	InFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "xcpauth_webhook_in_flight",
		Help: "Admission calls being decided.",
	})
	// Refused counts the calls that were denied undecided: they waited for a place in vain, or their body held too much
	// memory.
	Refused = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "xcpauth_webhook_refused_for_load_total",
		Help: "Admission calls denied undecided because --max-in-flight, or the memory for bodies, was used up for too long.",
	})
	// Unverified counts the reviews that nothing shows to come from the API server.
	Unverified = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xcpauth_webhook_unverified_reviews_total",
		Help: "Reviews answered without detail and counted nowhere else: malformed, of an object not-stored, overtaken by another edit, " +
			"a create, or unreadable: what is stored could not be read.",
	}, []string{"why"})
	// Errors counts what kept a decision from being made, by cause.
	Errors = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xcpauth_webhook_errors_total",
		Help: "What kept decisions from being made, by cause (malformed, too-large, unreadable, access-review, panic); anybody can cause the first two.",
	}, []string{"cause"})
)

// The causes of Errors that no verdict.Rule names.
const (
	causeTooLarge = "too-large"
	causeReview   = "access-review"
	causePanic    = "panic"
)

func init() {
	metrics.Registry.MustRegister(Decisions, Durations, Overrides, InFlight, Refused, Unverified, Errors, Withdrawals,
		Rested)
}

// restedMax is how many members a hub has in Rested.
const restedMax = 100

var resting sync.Mutex

// rested notes what a withdrawal rested on, in the place of what the one before did.
func rested(hub string, all []verdict.Evidence) {
	resting.Lock()
	defer resting.Unlock()
	Withdrawals.Inc()
	hub = short(hub)
	Rested.DeletePartialMatch(prometheus.Labels{"hub": hub})
	for _, e := range all[:min(len(all), restedMax)] {
		Rested.WithLabelValues(hub, short(e.Member), short(e.Source), e.Kind).Set(float64(e.Seen.Unix()))
	}
}
