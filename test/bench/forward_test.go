package bench

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// page is what the pods serve as their metrics: the series of an edge that is connected.
const page = `HTTP/1.1 200 OK
Content-Type: text/plain; version=0.0.4
Connection: close

# TYPE xcp_edge_stream_connect_count counter
xcp_edge_stream_connect_count{statusLabel="ok"} 1
xcp_edge_stream_connect_count{statusLabel="close"} 0
# TYPE xcp_edge_last_push_to_central_timestamp_ms gauge
xcp_edge_last_push_to_central_timestamp_ms 1.7e+12
`

// pods answer a request at each port with the page.
type pods struct{}

// PortForward implements portforward.PortForwarder.
func (pods) PortForward(_ context.Context, _, _ string, _ int32, stream io.ReadWriteCloser) error {
	if _, err := http.ReadRequest(bufio.NewReader(stream)); err != nil {
		return err
	}
	_, err := io.WriteString(stream, page)
	return err
}

// forward answers a port-forward as a node does.
func forward(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	q[portforward.PortHeader] = q["ports"] // as the API server hands it on
	r.URL.RawQuery = q.Encode()
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, pods{}, "", "", options, time.Minute, time.Minute, portforward.SupportedProtocols)
}
