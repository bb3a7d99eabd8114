//go:build linux

package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/xcpauth/kubectl-xcpauth/test/webhooknode"
)

// forged is a review of a dry run, as anybody may send one who knows what is stored: a ManagementPlane with both modes
// on gets another xcp.
func (h *hub) forged(ns string, xcp m) []byte {
	h.Helper()
	old, err := h.objects.Resource(managementPlanes).Namespace(ns).Get(h.Context(), "managementplane", metav1.GetOptions{})
	h.must(err)
	old.Object["spec"].(m)["components"].(m)["xcp"] = copied(m{"apiVersion": "v1", "kind": "XCP",
		"xcp": bothModes}).Object["xcp"]
	changed := old.DeepCopy()
	changed.Object["spec"].(m)["components"].(m)["xcp"] = xcp
	body, err := json.Marshal(m{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
		"request": m{"uid": "forged", "operation": "UPDATE",
			"namespace": ns, "name": "managementplane", "dryRun": true, "userInfo": m{"username": "mallory"},
			"kind": m{"group": "install.tetrate.io", "version": "v1alpha1", "kind": "ManagementPlane"}, "oldObject": old.Object,
			"object": changed.Object}})
	h.must(err)
	return body
}

// trust is how the API server verifies the webhook.
func (h *hub) trust() *tls.Config {
	h.Helper()
	conf, err := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(h.Context(), component,
		metav1.GetOptions{})
	h.must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(conf.Webhooks[0].ClientConfig.CABundle)
	return &tls.Config{RootCAs: roots, ServerName: component + "." + system + ".svc"}
}

// caller is a client that calls the webhook without credentials, as anybody in the cluster's network can.
func (h *hub) caller() *http.Client {
	h.Helper()
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{TLSClientConfig: h.trust(),
		MaxIdleConnsPerHost: 200}}
}

// attacked has strangers call both replicas in every way that takes a server's places, memory or time, for as long as
// edits go on: the webhook denies no harmless edit for it, none that cuts somebody off is admitted, and no kubelet
// takes a replica out of the Service. Single probes may fail: how long a look takes is the machine's affair.
func attacked(d *drill) {
	lost := d.service.Lost()
	ctx, cancel := context.WithCancel(d.h.Context())
	var strangers sync.WaitGroup
	again := func(what func()) { // until the attack is over, with pauses, since both sides share this machine
		strangers.Go(func() {
			for ctx.Err() == nil {
				what()
				select {
				case <-time.After(200 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		})
	}
	client, config := d.h.caller(), d.h.trust()
	post := func(n *webhooknode.Node, query string, body io.Reader) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost,
			"https://"+n.Admission()+"/validate-managementplane"+query, body)
		if err != nil {
			return
		}
		req.Header.Set("Content-Type", "application/json")
		if res, err := client.Do(req); err == nil {
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	}
	// linger holds a connection until the other side ends it.
	linger := func(c net.Conn) {
		defer context.AfterFunc(ctx, func() { c.Close() })()
		io.Copy(io.Discard, c)
		c.Close()
	}
	dialer := &tls.Dialer{Config: config}
	elsewhere := bytes.Replace(d.h.forged(drilled, m{"centralAuthModes": m{"jwt": true}}), []byte(`"uid":"`),
		[]byte(`"uid":"0`), -1)
	var probes, failed atomic.Int32
	var first sync.Once
	for _, n := range d.nodes {
		for i := range 60 { // announce, and send one byte
			length := 100
			if i%9 == 0 {
				length = 7 << 20
			}
			again(func() {
				if c, err := dialer.DialContext(ctx, "tcp", n.Admission()); err == nil {
					fmt.Fprintf(c, "POST /validate-managementplane?timeout=30s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", length)
					linger(c)
				}
			})
		}
		for range 60 { // half-open: no word of TLS
			again(func() {
				if c, err := (&net.Dialer{}).DialContext(ctx, "tcp", n.Admission()); err == nil {
					linger(c)
				}
			})
		}
		again(func() { post(n, "?timeout=30s", strings.NewReader(strings.Repeat(" ", 7<<20+1))) })
		again(func() { post(n, "?timeout=1ns", bytes.NewReader(elsewhere)) })
		again(func() { // two hundred at once
			began := time.Now()
			var all sync.WaitGroup
			for range 200 {
				all.Go(func() { post(n, "?timeout=30s", bytes.NewReader(elsewhere)) })
			}
			all.Wait()
			select { // they are to take the server's places, and not the machine that all of this shares
			case <-time.After(5 * time.Since(began)):
			case <-ctx.Done():
			}
		})
		for range 10 {
			again(func() {
				probes.Add(1)
				if err := n.Ready(ctx); err != nil && ctx.Err() == nil {
					failed.Add(1)
					first.Do(func() { d.h.Logf("the first probe that failed: %v", err) })
				}
			})
		}
	}
	d.crowded(func() {
		d.more(43, harmless, admitted)
		d.more(43, cuts, ruled)
		d.more(20, unrelated, admitted)
	})
	cancel()
	strangers.Wait()
	client.CloseIdleConnections()
	d.h.Logf("%d probes while attacked, %d failed", probes.Load(), failed.Load())
	if n := d.service.Lost() - lost; n > 0 || probes.Load() < 80 || failed.Load() > probes.Load()/2 {
		d.h.Errorf("kubelets took replicas out of the Service %d times; %d of %d probes failed", n, failed.Load(),
			probes.Load())
	}
	d.more(20, harmless, admitted)
}
