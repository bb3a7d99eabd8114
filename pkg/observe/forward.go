package observe

import (
	"context"
	"fmt"
	"net"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/xcpauth/kubectl-xcpauth/pkg/kubeconfig"
	"github.com/xcpauth/kubectl-xcpauth/pkg/plan"
)

// Forward is a connection to a port of a pod through the API server's port-forward, without opening a port on this
// machine. It ends with ctx, and what the node said of a failure is the error of its first read. It goes over
// WebSocket, or over SPDY where the API server or a proxy before it does not take that.
func Forward(ctx context.Context, c *kubeconfig.Cluster, namespace, pod string, port int) (net.Conn, error) {
	conn, err := dial(ctx, c, plan.Read{Version: "v1", Resource: "pods", Namespace: namespace, Name: pod, Port: port})
	if err != nil {
		return nil, fmt.Errorf("forwarding port %d of pod %s/%s: %w", port, namespace, pod, err)
	}
	return &forwarded{Conn: conn, stop: context.AfterFunc(ctx, func() { conn.Close() })}, nil
}

// forwarded is a connection whose deadlines are its context's.
type forwarded struct {
	net.Conn
	stop func() bool
}

// Close implements net.Conn.
func (f *forwarded) Close() error {
	f.stop()
	return f.Conn.Close()
}

// dial opens the connection. Not all that dialling does takes a context, so a stuck one is left behind at the
// deadline.
func dial(ctx context.Context, c *kubeconfig.Cluster, r plan.Read) (net.Conn, error) {
	cfg := rest.CopyConfig(c.Config)
	if deadline, ok := ctx.Deadline(); ok {
		cfg.Timeout = time.Until(deadline)
	}
	target := c.REST.Post().AbsPath(Path(r) + "/portforward").URL()
	type answer struct {
		conn net.Conn
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		conn, err := overWebSocket(ctx, target, cfg, r.Port)
		if httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err) {
			conn, err = overSPDY(target, cfg, r.Port)
		}
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
