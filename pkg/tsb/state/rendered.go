package state

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xcpauth/kubectl-xcpauth/pkg/guard"
	"github.com/xcpauth/kubectl-xcpauth/pkg/kube"
)

// MetricsPort is where Central's pods serve their metrics in plain HTTP (the vendor's firewall page), under /metrics.
const MetricsPort = metricsPort

// MaxMetrics bounds a metrics page; a busy Central's is some hundred kilobytes.
const MaxMetrics = 16 << 20

// metricOnboarded is 1 for each edge that Central has onboarded (the vendor's key metrics page).
const metricOnboarded = "xcp_central_current_onboarded_edge"

// ReadEdgeXcp reads the mode of an EdgeXcp, which the operator renders below a ControlPlane: MTLS or JWT when it is
// exactly the documented word, else "".
func ReadEdgeXcp(edgeXcp map[string]any) guard.Cred {
	spec, _ := Walk(edgeXcp, "", "spec")
	switch spec["centralAuthMode"] {
	case "JWT":
		return JWT
	case "MUTUAL_TLS":
		return MTLS
	}
	return ""
}

// ReadCentralXcp reads which credentials a CentralXcp says that Central accepts. The vendor documents no field for
// it. As the EdgeXcp repeats its ControlPlane's centralAuthMode, the one that repeats the ManagementPlane's
// centralAuthModes is looked for; only explicit booleans count, and everything else is unknown. Good for a warning,
// and for no decision.
func ReadCentralXcp(centralXcp map[string]any) map[guard.Cred]guard.Tri {
	stanza, _ := Walk(centralXcp, "", "spec", "centralAuthModes")
	said := map[guard.Cred]guard.Tri{}
	for key, c := range map[string]guard.Cred{"mutualTls": MTLS, "jwt": JWT} {
		switch v := stanza[key]; v {
		case true:
			said[c] = guard.Yes
		case false:
			said[c] = guard.No
		}
	}
	return said
}

// CentralPod says whether a pod is one of Deployment central, by its ReplicaSet's name. The labels of the product's own
// are not documented.
func CentralPod(pod map[string]any) bool { return podOf(pod, "central") }

// MPCPod says the same of Deployment mpc, the hub's own client.
func MPCPod(pod map[string]any) bool { return podOf(pod, "mpc") }

func podOf(pod map[string]any, deployment string) bool {
	meta, _ := Walk(pod, "", "metadata")
	labels, _ := meta["labels"].(map[string]any)
	hash, _ := labels["pod-template-hash"].(string)
	owners, _ := meta["ownerReferences"].([]any)
	return slices.ContainsFunc(owners, func(o any) bool {
		owner, _ := o.(map[string]any)
		kind, _ := owner["kind"].(string)
		name, _ := owner["name"].(string)
		return kube.MadeFor(kube.Owner{Kind: kind, Name: name}, hash) == deployment
	})
}

// EdgesInMetrics lists, sorted, the edges that a page of Central's metrics names: those that are onboarded, and those
// of which it ever had or sent anything since it started. A page that is cut off, longer than MaxMetrics, or without
// any of the documented series is an error, since it does not say that there is nobody.
func EdgesInMetrics(page io.Reader) ([]string, error) {
	counted := &counter{r: io.LimitReader(page, MaxMetrics+1)}
	lines := bufio.NewScanner(counted)
	lines.Buffer(nil, 1<<20)
	edges, documented := map[string]bool{}, false
	for lines.Scan() {
		series, value, ok := cutSeries(strings.TrimSpace(lines.Text()))
		if !ok || !strings.HasPrefix(series, "xcp_central_") {
			continue
		}
		documented = true
		edge := label(series, "edge")
		if edge == "" || !named(series, metricOnboarded) && !named(series, metricEvent) {
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("the value of %s is no number", series)
		}
		if v != 0 {
			edges[edge] = true
		}
	}
	switch {
	case lines.Err() != nil:
		return nil, lines.Err()
	case counted.n > MaxMetrics:
		return nil, fmt.Errorf("the page is longer than %d MiB", MaxMetrics>>20)
	case !documented:
		return nil, errors.New("the page has none of the documented series")
	}
	names := make([]string, 0, len(edges))
	for e := range edges {
		names = append(names, e)
	}
	slices.Sort(names)
	return names, nil
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
