package apifake

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// pod answers each request at any of its ports.
type pod func(to io.Writer) error

// PortForward implements portforward.PortForwarder.
func (p pod) PortForward(_ context.Context, _, _ string, _ int32, stream io.ReadWriteCloser) error {
	if _, err := http.ReadRequest(bufio.NewReader(stream)); err != nil {
		return err
	}
	return p(stream)
}

// Forward answers a port-forward by the streaming server of a node. The pod reads one HTTP request from the port, and
// then answers by answer; its error is what the node says of a failure.
func Forward(w http.ResponseWriter, r *http.Request, answer func(to io.Writer) error) {
	q := r.URL.Query()
	q[portforward.PortHeader] = q["ports"] // as the API server hands it on
	r.URL.RawQuery = q.Encode()
	options, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(w, r, pod(answer), "", "", options, time.Minute, time.Minute,
		portforward.SupportedProtocols)
}
