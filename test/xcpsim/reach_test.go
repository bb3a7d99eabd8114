package xcpsim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/xcpauth/kubectl-xcpauth/test/xcpsim"
)

func TestMetricsAndLogsAreReadThroughTheAPIServer(t *testing.T) {
	f := start(t, nil)
	edge, central := f.session("edge-1").Pod, f.session("edge-1").Central
	for _, c := range []struct {
		cluster, ns, pod string
		want             []string
	}{
		{"edge-1", "istio-system", edge, []string{
			`xcp_edge_stream_connect_count{statusLabel="ok"} 1`, `xcp_edge_stream_connect_count{statusLabel="close"} 0`,
			`xcp_edge_last_push_to_central_timestamp_ms`, `xcp_edge_updates_sent_to_central_count`,
		}},
		{"hub", "tsb", central, []string{
			`xcp_central_current_edge_connections{connection_type="edge_config_distribution"} 1`,
			`xcp_central_current_edge_connections{connection_type="cluster_state"} 2`,
			`xcp_central_current_onboarded_edge{edge="edge-1"} 1`,
			`xcp_central_last_config_propagation_event_timestamp_ms{edge="edge-1",status="received",type="config_resync_request"}`,
			`xcp_central_last_config_propagation_event_timestamp_ms{edge="edge-1",status="sent",type="config_resync_request"}`,
		}},
	} {
		f.await("metrics of "+c.pod, func() error {
			for _, read := range []func() (string, error){
				func() (string, error) { return f.metrics(overSPDY, c.cluster, c.ns, c.pod) },
				func() (string, error) {
					return f.metrics(portforward.NewSPDYOverWebsocketDialerForStreaming, c.cluster, c.ns, c.pod)
				},
				func() (string, error) { return f.ownMetrics(c.cluster, c.ns, c.pod) },
			} {
				text, err := read()
				if err != nil {
					return err
				}
				for _, want := range c.want {
					if !strings.Contains(text, want) {
						return fmt.Errorf("no %s in\n%s", want, text)
					}
				}
			}
			return nil
		})
	}
	f.SetEdge("edge-1", xcpsim.EdgeSwitches{NewPodsNeverConnect: true})
	if err := f.kube("edge-1").CoreV1().Pods("istio-system").Delete(t.Context(), edge,
		metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	f.await("the new pod's log", func() error {
		pods, err := f.kube("edge-1").CoreV1().Pods("istio-system").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, p := range pods.Items {
			raw, err := f.kube("edge-1").CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
			if err != nil {
				return err
			}
			if p.Name != edge && strings.Contains(string(raw), "error getting stream. retrying in") {
				return nil
			}
		}
		return errors.New("no such line")
	})
}

func overSPDY(to *url.URL, config *rest.Config) (httpstream.Dialer, error) {
	rt, up, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	return spdy.NewDialerForStreaming(up, &http.Client{Transport: rt}, http.MethodPost, to), nil
}

// ownMetrics reads a pod's metrics as Prometheus would, at the pod's own address.
func (f *fleet) ownMetrics(cluster, ns, pod string) (string, error) {
	p, err := f.kube(cluster).CoreV1().Pods(ns).Get(f.t.Context(), pod, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	res, err := http.Get("http://" + net.JoinHostPort(p.Status.PodIP, "8080") + "/metrics")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// metrics reads a pod's metrics as kubectl port-forward would.
func (f *fleet) metrics(dial forwardDialer, cluster, ns, pod string) (text string, err error) {
	err = f.forward(dial, cluster, ns, pod, 8080, func(addr string) error {
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + addr + "/metrics")
		if err != nil {
			return err
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		text = string(b)
		return err
	})
	return text, err
}

type forwardDialer = func(*url.URL, *rest.Config) (httpstream.Dialer, error)

// forward makes a pod's port reachable, through the API server, for as long as use takes.
func (f *fleet) forward(dial forwardDialer, cluster, ns, pod string, port int, use func(addr string) error) error {
	to := f.kube(cluster).CoreV1().RESTClient().Post().Resource("pods").Namespace(ns).Name(pod).SubResource("portforward").URL()
	stop, ready := make(chan struct{}), make(chan struct{})
	dialer, err := dial(to, f.config(cluster))
	if err != nil {
		return err
	}
	fw, err := portforward.NewForStreaming(dialer, []string{fmt.Sprintf("0:%d", port)}, stop, ready,
		io.Discard, io.Discard)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- fw.ForwardPorts() }()
	defer func() { close(stop); <-ended }()
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		return err
	}
	ports, err := fw.GetPorts()
	if err != nil {
		return err
	}
	return use(fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
}

func TestTheFleetSurvivesAnAPIServerThatIsAway(t *testing.T) {
	f := start(t, func(o *xcpsim.Options) { o.Installation.CABundle = true })
	f.bothModes()
	before := f.session("edge-1")
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	bed.Cluster("edge-1").KillAPIServer()
	if err := bed.Cluster("edge-1").RestartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	bed.Cluster("hub").KillAPIServer()
	if s := f.session("edge-1"); s != before {
		t.Errorf("session %+v, want %+v", s, before)
	}
	f.edgeMode("JWT")
	f.await("the flip is followed while the hub's API server is away",
		func() error { return f.presents("edge-1=jwt mpc=jwt") })
	if err := bed.Cluster("hub").RestartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	central := f.session("edge-1").Central
	f.hubModes(`{"jwt":true,"mutualTls":false}`)
	f.await("the hub follows again", func() error {
		if s := f.session("edge-1"); s.Central == central {
			return fmt.Errorf("still at %s", central)
		}
		return nil
	})
	f.noRefusals()
}

func TestStopLeavesNothingRunning(t *testing.T) {
	f := start(t, nil)
	if goroutines() == nil {
		t.Fatal("a running simulation shows no goroutine: the check below could not fail")
	}
	node, err := f.kube("edge-1").CoreV1().Nodes().Get(t.Context(), "xcpsim-node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	kubelet := net.JoinHostPort(node.Status.Addresses[0].Address,
		strconv.Itoa(int(node.Status.DaemonEndpoints.KubeletEndpoint.Port)))
	if conn, err := net.Dial("tcp", kubelet); err != nil {
		t.Errorf("the node does not answer: %v", err)
	} else {
		_ = conn.Close()
	}
	f.Stop()
	if n := len(f.Sessions()); n != 0 {
		t.Errorf("%d sessions left", n)
	}
	if conn, err := net.Dial("tcp", kubelet); err == nil {
		_ = conn.Close()
		t.Error("the node still answers")
	}
	if err := poll(goroutines); err != nil {
		t.Error(err)
	}
}

// goroutines returns an error that shows one goroutine of the simulation, nil if there is none.
func goroutines() error {
	buf := make([]byte, 4<<20)
	for _, s := range bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n")) {
		if bytes.Contains(s, []byte("test/xcpsim.")) {
			return fmt.Errorf("a goroutine is left:\n%s", s)
		}
	}
	return nil
}

func TestASecondSimulationTakesUpWhereTheFirstStopped(t *testing.T) {
	f := start(t, nil)
	before := f.session("edge-1").Pod
	f.Stop()
	again, err := xcpsim.Start(context.Background(), f.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Stop()
	g := &fleet{Sim: again, t: t, opts: f.opts}
	g.await("the same pods connected", func() error { return g.presents("edge-1=mtls mpc=mtls") })
	if s := g.session("edge-1"); s.Pod != before {
		t.Errorf("session of %s, want %s", s.Pod, before)
	}
}
