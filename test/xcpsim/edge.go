package xcpsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What the operators pass to an edge or MPC pod; the simulator's own names.
const (
	modeEnv    = "XCPSIM_MODE"
	clusterEnv = "XCPSIM_CLUSTER"
	centralEnv = "XCPSIM_CENTRAL"
	sniEnv     = "XCPSIM_SNI"
)

// edgeProgram is the edge of one pod. site is the edge's name for EdgeSwitches; the cluster name it claims comes from
// its EdgeXcp.
func (s *Sim) edgeProgram(site string) program {
	return func(ctx context.Context, c *container) {
		m := &member{sim: s, c: c, name: c.env[clusterEnv], mode: MTLS, host: c.env[centralEnv], state: &edgeState{}}
		c.metrics.MustRegister(m.state)
		bornBlocked := s.edge(site).NewPodsNeverConnect
		m.blocked = func() bool { return bornBlocked && s.edge(site).NewPodsNeverConnect }
		m.tls = func() (*tls.Config, error) {
			cert, roots, err := keyPair(c.volumes[edgeCertSecret])
			if err != nil {
				return nil, err
			}
			return verifyIdentity(roots, cert, centralSPIFFE), nil
		}
		if c.env[modeEnv] == modeJWT {
			m.mode = JWT
			m.tls = func() (*tls.Config, error) { return edgeJWTConfig(s, c) }
			m.token = func() (string, error) {
				if t := string(c.now(tokenVolume, !s.opts.Switches.NoHotReload)["jwt"]); t != "" {
					return t, nil
				}
				return "", errors.New("token file is empty")
			}
		}
		if s.opts.Switches.ReadyWithoutSession {
			c.setReady()
		}
		m.run(ctx)
	}
}

// edgeJWTConfig verifies Central by the CA bundle and the name: the overlay's centralSni, else the host that is
// dialled.
func edgeJWTConfig(s *Sim, c *container) (*tls.Config, error) {
	name := c.env[sniEnv]
	if name == "" {
		host, _, err := net.SplitHostPort(c.env[centralEnv])
		if err != nil {
			return nil, err
		}
		name = host
	}
	roots := s.publicRoots()
	if c.mounts(caVolume) {
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(c.volumes[caVolume]["ca.crt"]) {
			return nil, errors.New("CA bundle: ca.crt holds no certificate")
		}
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, ServerName: name}, nil
}

// mpcProgram is MPC of one pod. In JWT mode its token comes straight from the management plane, of which it is a part.
func (s *Sim) mpcProgram(hub *cluster) program {
	return func(ctx context.Context, c *container) {
		m := &member{sim: s, c: c, name: MPCMember, hub: hub.site.cluster(), mode: MTLS, host: c.env[centralEnv],
			state: &edgeState{}, blocked: func() bool { return false }}
		identities := []string{centralSPIFFE, centralDNS}
		m.tls = func() (*tls.Config, error) {
			cert, roots, err := keyPair(c.volumes[mpcCertSecret])
			if err != nil {
				return nil, err
			}
			return verifyIdentity(roots, cert, identities...), nil
		}
		if c.env[modeEnv] == modeJWT {
			m.mode = JWT
			m.tls = func() (*tls.Config, error) {
				data, _ := hub.secret(c.pod.Namespace, centralCertSecret)
				roots := s.publicRoots()
				roots.AppendCertsFromPEM(data["ca.crt"])
				return verifyIdentity(roots, nil, identities...), nil
			}
			m.token = func() (string, error) {
				i := s.issuerOf(hub.site.cluster())
				if i == nil {
					return "", errors.New("no signing key")
				}
				return i.mint(MPCMember, time.Now(), s.opts.Cadence.TokenTTL)
			}
		}
		m.run(ctx)
	}
}

var (
	descStreams = prometheus.NewDesc("xcp_edge_stream_connect_count", "Streams opened and closed.",
		[]string{"statusLabel"}, nil)
	descPush    = prometheus.NewDesc("xcp_edge_last_push_to_central_timestamp_ms", "Last push to Central.", nil, nil)
	descUpdates = prometheus.NewDesc("xcp_edge_updates_sent_to_central_count", "Updates sent to Central.", nil, nil)
)

// edgeState is what an edge pod's metrics say; they start at zero with the pod.
type edgeState struct {
	mu         sync.Mutex
	ok, closes int
	updates    int
	lastPush   time.Time
}

func (s *edgeState) connected() { s.add(&s.ok) }
func (s *edgeState) closed()    { s.add(&s.closes) }

func (s *edgeState) add(n *int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*n++
}

func (s *edgeState) pushed(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.updates++
	s.lastPush = now
}

func (s *edgeState) Describe(chan<- *prometheus.Desc) {}

// Collect leaves the time of the last push out until there is one.
func (s *edgeState) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch <- prometheus.MustNewConstMetric(descStreams, prometheus.CounterValue, float64(s.ok), "ok")
	ch <- prometheus.MustNewConstMetric(descStreams, prometheus.CounterValue, float64(s.closes), "close")
	ch <- prometheus.MustNewConstMetric(descUpdates, prometheus.CounterValue, float64(s.updates))
	if !s.lastPush.IsZero() {
		ch <- prometheus.MustNewConstMetric(descPush, prometheus.GaugeValue, float64(s.lastPush.UnixMilli()))
	}
}
