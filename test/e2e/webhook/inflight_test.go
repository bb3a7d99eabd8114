//go:build linux

package webhook

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// drainedInFlight begins a call as the API server does, lets the process end, and goes on with the call when nobody
// is accepted any more.
func drainedInFlight(h *hub, n node) {
	h.guarded("inflight", cases.OnMTLS)
	n.Stop()
	h.must(n.Start(h.Context(), "--shutdown-delay=200ms"))
	service, err := h.kube.CoreV1().Services(system).Get(h.Context(), component, metav1.GetOptions{})
	h.must(err)
	conf, err := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(h.Context(), component,
		metav1.GetOptions{})
	h.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(conf.Webhooks[0].ClientConfig.CABundle)
	address := net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(service.Spec.Ports[0].Port)))
	conn, err := tls.Dial("tcp", address, &tls.Config{RootCAs: roots, ServerName: component + "." + system + ".svc"})
	h.must(err)
	defer conn.Close()

	body := h.forged("inflight", m{"centralAuthModes": m{"jwt": true}})
	half := len(body) / 2
	_, err = fmt.Fprintf(conn,
		"POST /validate-managementplane?timeout=5s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", address, len(body), body[:half])
	h.must(err)

	n.Signal(syscall.SIGTERM)
	h.eventually("it reports not ready first", func(ctx context.Context) error {
		if err := n.Ready(ctx); err == nil {
			return errors.New("still ready")
		}
		return nil
	})
	h.eventually("nobody is accepted any more", func(ctx context.Context) error {
		dialer := net.Dialer{Timeout: time.Second}
		if c, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			c.Close()
			return errors.New("still accepted")
		}
		return nil
	})
	_, err = conn.Write(body[half:])
	h.must(err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	h.must(err)
	var review admissionv1.AdmissionReview
	h.must(json.NewDecoder(res.Body).Decode(&review))
	if r := review.Response; r == nil || r.UID != "forged" || r.Allowed || r.Result.Code != http.StatusForbidden {
		h.Errorf("%+v", review.Response)
	}
	if !res.Close {
		h.Error("the caller is not told to connect again elsewhere")
	}
	conn.Close()
	if code := n.Wait().ExitCode(); code != 0 {
		h.Errorf("it ended with %d", code)
	}
	h.must(n.Start(h.Context()))
}
