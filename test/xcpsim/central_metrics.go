package xcpsim

import (
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// clusterStateEvery is how many pushes pass between two full cluster states (60 s against 10 min in the product).
const clusterStateEvery = 10

var (
	descConnections = prometheus.NewDesc("xcp_central_current_edge_connections", "Streams open at this Central.",
		[]string{"connection_type"}, nil)
	descOnboarded   = prometheus.NewDesc("xcp_central_current_onboarded_edge", "Onboarded edges.", []string{"edge"}, nil)
	descPropagation = prometheus.NewDesc("xcp_central_last_config_propagation_event_timestamp_ms", "Last event per edge.",
		[]string{"edge", "status", "type"}, nil)
)

type propagation struct{ edge, status, kind string }

// centralState is what a Central pod's metrics say: only the documented names.
type centralState struct {
	onboarded func() []string
	every     int // pushes between two full cluster states

	mu      sync.Mutex
	streams map[string]int // streams per member
	pushes  map[string]int
	last    map[propagation]time.Time
}

func newCentralState(onboarded func() []string, slow bool) *centralState {
	every := clusterStateEvery
	if slow {
		every = 1
	}
	return &centralState{onboarded: onboarded, every: every, streams: map[string]int{}, pushes: map[string]int{},
		last: map[propagation]time.Time{}}
}

func (s *centralState) open(member string) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams[member]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.streams[member]--
	}
}

func (s *centralState) received(member string, now time.Time) { s.event(member, "received", now) }
func (s *centralState) sent(member string, now time.Time)     { s.event(member, "sent", now) }

func (s *centralState) event(member, status string, now time.Time) {
	if member == MPCMember {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last[propagation{member, status, "config_resync_request"}] = now
	if status == "received" {
		if s.pushes[member]%s.every == 0 {
			s.last[propagation{member, status, "cluster_state"}] = now
		}
		s.pushes[member]++
	}
}

// Describe makes this an unchecked collector: series come and go with the edges.
func (s *centralState) Describe(chan<- *prometheus.Desc) {}

// Collect counts MPC among the cluster_state connections only, as the product does.
func (s *centralState) Collect(ch chan<- prometheus.Metric) {
	onboarded := s.onboarded()
	s.mu.Lock()
	defer s.mu.Unlock()
	all, edges := 0, 0
	for member, n := range s.streams {
		all += n
		if member != MPCMember {
			edges += n
		}
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	gauge(descConnections, float64(edges), "edge_config_distribution")
	gauge(descConnections, float64(all), "cluster_state")
	for _, e := range onboarded {
		gauge(descOnboarded, 1, e)
	}
	for p, t := range s.last {
		gauge(descPropagation, float64(t.UnixMilli()), p.edge, p.status, p.kind)
	}
}

// inventory returns the names of the edges that the hub's namespace has a Cluster object for.
func inventory(hub *cluster, namespace string) []string {
	var out []string
	for _, c := range hub.plane(xcpClusters).all() {
		if c.GetNamespace() == namespace {
			out = append(out, c.GetName())
		}
	}
	slices.Sort(out)
	return out
}
