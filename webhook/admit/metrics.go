package admit

import (
	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
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
	// InFlight is how many calls have a place and are being decided.
	InFlight = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "xcpauth_webhook_in_flight",
		Help: "Admission calls being decided.",
	})
	// Refused counts the calls that were denied undecided: they waited for a place in vain, or their body held too much memory.
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
	metrics.Registry.MustRegister(Decisions, Durations, Overrides, InFlight, Refused, Unverified, Errors)
}
