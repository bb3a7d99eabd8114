package observe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/xcpauth/kubectl-xcpauth/pkg/fleet"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// maxPage bounds a metrics page; a busy Central's is some hundred kilobytes.
const maxPage = 16 << 20

// scrape gets /metrics of a pod's port through the API server's port-forward, without opening a port on this machine: over
// WebSocket, or over SPDY where the API server or a proxy before it does not speak that, as kubectl does.
func scrape(ctx context.Context, c *fleet.Cluster, r plan.Read) ([]byte, error) {
	conn, err := dial(ctx, c, r)
	if err != nil {
		return nil, fmt.Errorf("forwarding port %d of pod %s/%s: %w", r.Port, r.Namespace, r.Name, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	header := http.Header{}
	header.Set(corev1.PortHeader, strconv.Itoa(r.Port))
	header.Set(corev1.PortForwardRequestIDHeader, "0")
	header.Set(corev1.StreamType, corev1.StreamTypeError)
	failure, err := conn.CreateStream(header)
	if err != nil {
		return nil, fmt.Errorf("forwarding port %d of pod %s/%s: %w", r.Port, r.Namespace, r.Name, err)
	}
	failure.Close() // we never write to it
	header.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(header)
	if err != nil {
		return nil, fmt.Errorf("forwarding port %d of pod %s/%s: %w", r.Port, r.Namespace, r.Name, err)
	}
	defer data.Close()
	if _, err := io.WriteString(data, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: text/plain\r\nConnection: close\r\n\r\n"); err != nil {
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %w", r.Namespace, r.Name, err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(data), nil)
	if err != nil {
		if why, _ := io.ReadAll(io.LimitReader(failure, 1<<10)); len(why) > 0 {
			return nil, fmt.Errorf("asking pod %s/%s for its metrics: %s", r.Namespace, r.Name, why)
		}
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %w", r.Namespace, r.Name, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("asking pod %s/%s for its metrics: %s", r.Namespace, r.Name, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, maxPage))
}

// dial opens the port-forward connection. The dialers take no context, so a stuck one is left behind at the deadline.
func dial(ctx context.Context, c *fleet.Cluster, r plan.Read) (httpstream.Connection, error) {
	cfg := rest.CopyConfig(c.Config)
	if deadline, ok := ctx.Deadline(); ok {
		cfg.Timeout = time.Until(deadline)
	}
	target := c.REST.Post().AbsPath(Path(r) + "/portforward").URL()
	transport, upgrader, err := spdy.RoundTripperFor(cfg)
	if err != nil {
		return nil, err
	}
	dialer := httpstream.Dialer(spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, target))
	overWS, err := portforward.NewSPDYOverWebsocketDialerForStreaming(target, cfg)
	if err != nil {
		return nil, err
	}
	dialer = portforward.NewFallbackDialerForStreaming(overWS, dialer, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
	type answer struct {
		conn httpstream.Connection
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		conn, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		got <- answer{conn, err}
	}()
	select {
	case a := <-got:
		return a.conn, a.err
	case <-ctx.Done():
		go func() {
			if a := <-got; a.conn != nil {
				a.conn.Close()
			}
		}()
		return nil, context.Cause(ctx)
	}
}
