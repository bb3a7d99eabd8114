package inventory

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/xcpauth/kubectl-xcpauth/pkg/tsb/state"
	"github.com/xcpauth/kubectl-xcpauth/webhook/verdict"
)

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// plain lists objects of the vendor's as decoded JSON.
func (r *Reader) plain(ctx context.Context, gvr schema.GroupVersionResource, namespace string) (
	all []map[string]any, err error) {
	list, err := r.vendor(ctx, gvr, namespace)
	for i := range list {
		all = append(all, list[i].Object)
	}
	return all, err
}

// central adds what the running pods of the hub show: whether MPC runs, always; and, unless that is switched off, the
// edges that the metrics of Central's pods name. All pages are read at once. A page that cannot be read is told: an
// edge that nobody knows may be connected then. Without a running pod of Central no edge is connected.
func (r *Reader) central(ctx context.Context, namespace string, inv *verdict.Inventory) error {
	list, err := r.objects.Resource(pods).Namespace(namespace).List(ctx,
		metav1.ListOptions{FieldSelector: "status.phase=Running"})
	if err != nil {
		return fmt.Errorf("listing the pods of the hub in namespace %s: %w", namespace, err)
	}
	var scrapes errgroup.Group
	var found [][]string
	for _, pod := range list.Items {
		if state.MPCPod(pod.Object) {
			inv.MPC = namespace + "/" + pod.GetName()
		}
		if r.metrics == nil || !state.CentralPod(pod.Object) {
			continue
		}
		i, name := len(found), pod.GetName()
		ip, _, _ := unstructured.NestedString(pod.Object, "status", "podIP")
		found = append(found, nil)
		scrapes.Go(func() error {
			named, err := r.metrics.edges(ctx, ip)
			if err != nil {
				return fmt.Errorf("the metrics of pod %s/%s could not be read: %w", namespace, name, err)
			}
			found[i] = named
			return nil
		})
	}
	if err := scrapes.Wait(); err != nil {
		inv.CentralErr = err.Error()
		return nil
	}
	edges := slices.Concat(found...)
	slices.Sort(edges)
	inv.Central = slices.Compact(edges)
	return nil
}

// scrapeWithin bounds one page, inside what a call has left: a pod that does not answer must not use up the time of
// the denial.
const scrapeWithin = 2 * time.Second

// metrics gets the pages of Central's pods.
type metrics struct {
	client *http.Client
	port   int
}

// newMetrics dials pods and nothing else: no proxy, no redirect, no connection kept.
func newMetrics() *metrics {
	return &metrics{port: state.MetricsPort, client: &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("it answers with a redirect") },
	}}
}

// edges returns the edges that the page of one pod names.
func (m *metrics) edges(ctx context.Context, ip string) ([]string, error) {
	if net.ParseIP(ip) == nil {
		return nil, errors.New("it has no address yet")
	}
	ctx, cancel := context.WithTimeout(ctx, scrapeWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(ip,
		strconv.Itoa(m.port))+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain")
	res, err := m.client.Do(req)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return nil, failed.Err // without the address, which is said twice
	}
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with %s", res.Status)
	}
	return state.EdgesInMetrics(res.Body)
}
