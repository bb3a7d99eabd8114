//go:build linux

package webhook

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/xcpauth/kubectl-xcpauth/pkg/api"
	"github.com/xcpauth/kubectl-xcpauth/test/cases"
)

// accepted waits until a roster entry's condition has this status, and returns it.
func (h *hub) accepted(name string, status metav1.ConditionStatus) metav1.Condition {
	h.Helper()
	var found metav1.Condition
	h.eventually(fmt.Sprintf("%s is accepted: %s", name, status), func(ctx context.Context) error {
		o, err := h.objects.Resource(api.EdgeClusters).Namespace(system).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		var e api.EdgeCluster
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &e); err != nil {
			return err
		}
		c := meta.FindStatusCondition(e.Status.Conditions, api.ConditionAccepted)
		if c == nil || c.Status != status {
			return fmt.Errorf("condition %+v", c)
		}
		if found = *c; len(e.Status.Presents) == 0 {
			return fmt.Errorf("the statement is gone: %+v", e.Status)
		}
		return nil
	})
	return found
}

// told are the auditor's Events in a namespace with this reason.
func (h *hub) told(ns, reason string) []eventsv1.Event {
	h.Helper()
	list, err := h.kube.EventsV1().Events(ns).List(h.Context(), metav1.ListOptions{})
	h.must(err)
	var all []eventsv1.Event
	for _, e := range list.Items {
		if e.Reason == reason {
			all = append(all, e)
		}
	}
	return all
}

// audits waits until the auditor has begun and ended another audit.
func (h *hub) audits(n node) {
	h.Helper()
	began := time.Now().Add(time.Second) // the metric has whole seconds
	h.eventually("another audit", func(ctx context.Context) error {
		at, err := n.Metric(ctx, "xcpauth_webhook_audit_last_success_timestamp_seconds")
		if err == nil && at <= float64(began.Unix()) {
			err = fmt.Errorf("the last was at %v", at)
		}
		return err
	})
}

func audited(h *hub, n node) {
	const ns = "audit"
	h.guarded(ns, cases.OnMTLS)
	n.End(syscall.SIGTERM)
	confs := h.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	conf, err := confs.Get(h.Context(), component, metav1.GetOptions{})
	h.must(err)
	h.must(confs.Delete(h.Context(), component, metav1.DeleteOptions{}))
	h.eventually("nobody is asked any more", func(context.Context) error {
		return h.mergePatch(managementPlanes, ns, "managementplane", withoutMTLS)
	})
	h.deleteHubs(ns)
	conf.ResourceVersion, conf.UID = "", ""
	_, err = confs.Create(h.Context(), conf, metav1.CreateOptions{})
	h.must(err)
	h.must(n.Start(h.Context()))
	first, second := auditor(h, 0), auditor(h, 1)
	h.must(first.Start(h.Context(), "--audit-interval=1s"))
	h.audits(first)
	h.must(second.Start(h.Context(), "--audit-interval=1s"))

	if c := h.accepted("edge-1", metav1.ConditionFalse); c.Reason != "Refused" ||
		!strings.Contains(c.Message, "ManagementPlane audit/managementplane does not accept mtls") {
		h.Errorf("condition %+v", c)
	}
	h.audits(first)
	h.register("edge-1", "uid-1", time.Hour, "mtls") // its team states it again: nothing new
	h.audits(first)
	events := h.told(ns, "MembersRefused")
	if len(events) != 1 || events[0].Regarding.Kind != "ManagementPlane" ||
		events[0].Regarding.Name != "managementplane" || events[0].Type != "Warning" ||
		!strings.Contains(events[0].Note, "edge-1") {
		h.Errorf("events %+v", events)
	}
	if refused, err := first.Metric(h.Context(), "xcpauth_webhook_refused_members"); err != nil || refused != 1 {
		h.Errorf("refused members: %v, %v", refused, err)
	}

	h.must(h.mergePatch(managementPlanes, ns, "managementplane", m{"spec": m{"components": m{"xcp": bothModes}}}))
	h.accepted("edge-1", metav1.ConditionTrue)
	h.audits(first)
	if refused, err := first.Metric(h.Context(), "xcpauth_webhook_refused_members"); err != nil || refused != 0 {
		h.Errorf("refused members after it was fixed: %v, %v", refused, err)
	}
	if events := h.told(ns, "MembersAccepted"); len(events) != 1 || events[0].Type != "Normal" {
		h.Errorf("events %+v", events)
	}
	lease, err := h.kube.CoordinationV1().Leases(system).Get(h.Context(), "xcpauth-webhook-auditor", metav1.GetOptions{})
	if err != nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		h.Errorf("the Lease of the auditor: %+v, %v", lease, err)
	}

	if at, err := second.Metric(h.Context(), "xcpauth_webhook_audit_last_success_timestamp_seconds"); err == nil {
		h.Errorf("two audit at once: the second did at %v", at)
	}
	if code := first.End(syscall.SIGTERM).ExitCode(); code != 0 {
		h.Errorf("the first ended with %d:\n%s", code, first.Log())
	}
	h.audits(second)
	if refused, err := second.Metric(h.Context(), "xcpauth_webhook_refused_members"); err != nil || refused != 0 {
		h.Errorf("refused members by the second: %v, %v", refused, err)
	}
	if code := second.End(syscall.SIGTERM).ExitCode(); code != 0 {
		h.Errorf("the second ended with %d:\n%s", code, second.Log())
	}
	for _, log := range []string{first.Log(), second.Log()} {
		if strings.Contains(log, "forbidden") || strings.Contains(log, canary) {
			h.Errorf("its account lacks a right, or it logs an object:\n%s", log)
		}
	}
}

// deleteHubs removes every ManagementPlane of the parts before, with its namespace, but for those of one namespace.
func (h *hub) deleteHubs(but string) {
	h.Helper()
	for _, o := range h.all(managementPlanes) {
		if ns := o.GetNamespace(); ns != but {
			if err := h.kube.CoreV1().Namespaces().Delete(h.Context(), ns, metav1.DeleteOptions{}); err != nil &&
				!apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
				h.must(err)
			}
		}
	}
	h.eventually("no other hub is left", func(context.Context) error {
		for _, o := range h.all(managementPlanes) {
			if o.GetNamespace() != but {
				return fmt.Errorf("%s/%s is still there", o.GetNamespace(), o.GetName())
			}
		}
		return nil
	})
}

// centralsMetrics plays one pod of Central, at an address of this cluster's own.
func centralsMetrics(h *hub, _ node) {
	const ns = "metrics"
	h.guarded(ns, cases.OnJWT)
	edit := func() error { return h.mergePatch(managementPlanes, ns, "managementplane", withoutMTLS) }
	ip := h.cluster.ServiceIP(30)
	labels := map[string]string{"app": "nobody"} // so that the ReplicaSet leaves the pod alone
	set, err := h.kube.AppsV1().ReplicaSets(ns).Create(h.Context(),
		&appsv1.ReplicaSet{ObjectMeta: metav1.ObjectMeta{Name: "central-5b7"},
			Spec: appsv1.ReplicaSetSpec{Replicas: new(int32), Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: labels},
					Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "central",
						Image: "central"}}}}}}, metav1.CreateOptions{})
	h.must(err)
	pod, err := h.kube.CoreV1().Pods(ns).Create(h.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "central-5b7-x", Labels: map[string]string{"pod-template-hash": "5b7"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set.Name, UID: set.UID}}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "central", Image: "central"}}},
	}, metav1.CreateOptions{})
	h.must(err)
	pod.Status.Phase, pod.Status.PodIP, pod.Status.PodIPs = corev1.PodRunning, ip, []corev1.PodIP{{IP: ip}}
	_, err = h.kube.CoreV1().Pods(ns).UpdateStatus(h.Context(), pod, metav1.UpdateOptions{})
	h.must(err)

	h.denied(edit(), "any edge that Central's metrics would name: mtls", "pod metrics/central-5b7-x could not be read",
		"connection refused", "let the webhook reach the metrics of Central's pods")
	listener, err := net.Listen("tcp", net.JoinHostPort(ip, "8080"))
	h.must(err)
	page := func(edges ...string) string {
		text := "xcp_central_version{version=\"1.6\"} 1\n"
		for _, e := range edges {
			text += fmt.Sprintf("xcp_central_current_onboarded_edge{edge=%q} 1\n", e)
		}
		return text
	}
	edges := make(chan string, 1)
	server := &http.Server{ReadHeaderTimeout: limit, Handler: http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		fmt.Fprint(w, <-edges)
	})}
	go server.Serve(listener)
	defer server.Close()
	edges <- page("edge-1", "edge-7")
	h.denied(edit(), "edge-7: mtls (Central's metrics name this edge and the roster lacks it")
	edges <- page("edge-1")
	h.must(edit())
}
