package inventory

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

type m = map[string]any

const page = "xcp_central_version{version=\"1.6\"} 1\nxcp_central_current_onboarded_edge{edge=\"eu-1\"} 1\nxcp_central_current_onboarded_edge{edge=\"us-1\"} 1\n"

// serving answers as Central's metrics port does, at 127.0.0.1 and the port returned.
func serving(t *testing.T, h http.HandlerFunc) int {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOneCentralPodsMetrics(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1") // must not be asked
	stalled := make(chan struct{})
	defer close(stalled)
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   string
		err    string
	}{
		"read": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/metrics" {
				fmt.Fprint(w, page)
			}
		}, "eu-1 us-1", ""},
		"an error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, page, http.StatusInternalServerError) },
			"", "500"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
			"", "redirect"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(len(page)+1))
			fmt.Fprint(w, page)
		}, "", "unexpected EOF"},
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			for range state.MaxMetrics/len(page) + 2 {
				if _, err := fmt.Fprint(w, page); err != nil {
					return
				}
			}
		}, "", "longer than"},
		"something else": {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }, "",
			"none of the documented series"},
		"stalled": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, page)
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
			case <-stalled:
			}
		}, "", "deadline"},
	} {
		t.Run(name, func(t *testing.T) {
			scraper := newMetrics()
			scraper.port = serving(t, tc.answer)
			got, err := scraper.edges(t.Context(), "127.0.0.1")
			if strings.Join(got, " ") != tc.want || (err == nil) != (tc.err == "") || err != nil &&
				!strings.Contains(err.Error(), tc.err) {
				t.Errorf("%v, %v; want %q, error %q", got, err, tc.want, tc.err)
			}
		})
	}
	for _, ip := range []string{"", "central.example", "127.0.0.1:80/x?"} {
		if _, err := newMetrics().edges(t.Context(), ip); err == nil || !strings.Contains(err.Error(), "no address") {
			t.Errorf("address %q: %v", ip, err)
		}
	}
}

// apiServer is one that has these running pods in namespace tsb, and nothing else.
func apiServer(t *testing.T, pods ...m) *rest.Config {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/api/v1/namespaces/tsb/pods" || r.URL.Query().Get("fieldSelector") != "status.phase=Running" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		json.NewEncoder(w).Encode(m{"apiVersion": "v1", "kind": "PodList", "items": pods})
	}))
	t.Cleanup(server.Close)
	return &rest.Config{Host: server.URL}
}

func pod(deployment, hash, ip string) m {
	return m{"apiVersion": "v1", "kind": "Pod", "status": m{"phase": "Running", "podIP": ip},
		"metadata": m{"namespace": "tsb", "name": deployment + "-" + hash + "-x",
			"labels": m{"pod-template-hash": hash}, "ownerReferences": []m{{"kind": "ReplicaSet",
				"name": deployment + "-" + hash}}}}
}

func TestWhoCentralsPodsShow(t *testing.T) {
	answered := serving(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, page) })
	refused := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "",
			http.StatusServiceUnavailable)
	})
	for name, tc := range map[string]struct {
		pods   []m
		port   int
		want   string
		unread string
	}{
		"MPC runs, and no Central": {[]m{pod("mpc", "1", "127.0.0.1")}, refused, "", ""},
		"two old and new pods name the same": {[]m{pod("central", "1", "127.0.0.1"), pod("central", "2", "127.0.0.1"),
			pod("web", "2", "")}, answered, "eu-1 us-1", ""},
		"one of two has no address": {[]m{pod("central", "1", "127.0.0.1"), pod("central", "2", "")}, answered, "",
			"pod tsb/central-2-x could not be read: it has no address yet"},
		"MPC runs, and Central is not read": {[]m{pod("mpc", "1", ""), pod("central", "1", "127.0.0.1")}, refused, "",
			"it answers with 503"},
		"none answers": {[]m{pod("central", "1", "127.0.0.1")}, refused, "",
			"pod tsb/central-1-x could not be read: it answers with 503"},
		"only another Deployment's pod fails": {[]m{pod("central-proxy", "1", "127.0.0.1")}, refused, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := NewReader(apiServer(t, tc.pods...), "xcpauth-system", true)
			if err != nil {
				t.Fatal(err)
			}
			r.metrics.port = tc.port
			var inv verdict.Inventory
			err = r.central(t.Context(), "tsb", &inv)
			edges, unread := inv.Central, inv.CentralErr
			if want := strings.Contains(name, "MPC"); (inv.MPC != "") != want {
				t.Errorf("MPC %q, want one: %v", inv.MPC, want)
			}
			if err != nil || strings.Join(edges, " ") != tc.want || (unread != "") != (tc.unread != "") ||
				!strings.Contains(unread, tc.unread) {
				t.Errorf("%v, %q, %v; want %q, %q", edges, unread, err, tc.want, tc.unread)
			}
		})
	}
}

// MPC dials Central like an edge. What it presents has nothing to do with the metrics of Central.
func TestMPCIsAMemberWhetherOrNotCentralsMetricsAreRead(t *testing.T) {
	pods := []m{pod("mpc", "1", "127.0.0.1"), pod("central", "1", "127.0.0.1")}
	var scraped atomic.Int32
	port := serving(t, func(w http.ResponseWriter, _ *http.Request) { scraped.Add(1); fmt.Fprint(w, page) })
	for _, metrics := range []bool{true, false} {
		r, err := NewReader(apiServer(t, pods...), "xcpauth-system", metrics)
		if err != nil {
			t.Fatal(err)
		}
		if metrics {
			r.metrics.port = port
		}
		scraped.Store(0)
		var inv verdict.Inventory
		if err := r.central(t.Context(), "tsb", &inv); err != nil || inv.MPC != "tsb/mpc-1-x" || inv.CentralErr != "" {
			t.Errorf("metrics read: %v: %+v, %v; want MPC tsb/mpc-1-x", metrics, inv, err)
		}
		if read := scraped.Load() > 0; read != metrics || (inv.Central != nil) != metrics {
			t.Errorf("metrics read: %v: scraped %v, edges %v", metrics, read, inv.Central)
		}
	}
	off, err := NewReader(&rest.Config{Host: "http://127.0.0.1:1"}, "xcpauth-system", false)
	if err != nil {
		t.Fatal(err)
	}
	var inv verdict.Inventory
	if err := off.central(t.Context(), "tsb", &inv); err == nil {
		t.Error("pods that cannot be listed are an error with the metrics off too: MPC may be among them")
	}
}

func TestTheDeadlineOfTheCallEndsAScrape(t *testing.T) {
	scraper := newMetrics()
	scraper.port = serving(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := scraper.edges(ctx, "127.0.0.1"); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("%v", err)
	}
}
