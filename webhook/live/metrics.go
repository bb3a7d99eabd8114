package live

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// Outcomes of a reading, beside the kinds of access.Fault.
const (
	ok            = "ok"
	unclear       = "unknown"        // it was read, and what it presents is not clear from that
	noKubeconfig  = "no-kubeconfig"  // there is none, or it could not be read
	badKubeconfig = "bad-kubeconfig" // it is refused
	notRegistered = "not-registered" // the entry does not say what to read
)

// Outcomes of a renewal.
const (
	renewed        = "renewed"
	renewedByOther = "other-replica"
	renewalFailed  = "failed"
)

var (
	reads = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xcpauth_webhook_live_reads_total",
		Help: "Edges read in their own clusters for a decision, by outcome: ok, or why what they present is unknown.",
	}, []string{"outcome"})
	took = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "xcpauth_webhook_live_read_duration_seconds",
		Help:    "How long it took to read one edge in its own cluster for a decision, whatever came of it.",
		Buckets: []float64{0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 4, 5, 10},
	})
	renewals = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "xcpauth_webhook_live_token_renewals_total",
		Help: "Tokens of edges' readers that were due for renewal, by outcome (renewed, other-replica, failed).",
	}, []string{"outcome"})
)

func init() { metrics.Registry.MustRegister(reads, took, renewals) }

func count(outcome string, d time.Duration) {
	reads.WithLabelValues(outcome).Inc()
	took.Observe(d.Seconds())
}
